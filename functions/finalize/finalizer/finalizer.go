// Package finalizer turns an ended conversation into a completed one, once, whatever fails on the way.
//
// The lock keeps two workers from doing the same work; what makes the work correct is the chain of versions in the
// store. A worker takes the claim with one fenced commit and completes with another, and when the answer to a
// commit is lost, or refused, it reads back what became of it: the claim's token says whose the claim is, and the
// claim's number, which never goes down, says whose the completion is.
//
// What has begun to fail is tried again by the next delivery of the event, and the sweep sees to it that there is
// one: an attempt that can't go on gives its claim back, one that dies leaves a claim that runs out. Attempts are
// counted, but for those that an outage broke off, so that a conversation that can't be finalized fails, with a reason
// for the person, instead of being in the works for ever. So does one that meets outages alone for a day, however often
// it is tried.
package finalizer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// Store keeps conversations. A commit or a deletion takes effect only if the stored conversation is still the
// version that c was read from. fault.Conflict: it isn't, or the write was the echo of one that took effect before;
// fault.Unavailable: nobody knows.
type Store interface {
	Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, error)
	Segments(ctx context.Context, uid, cid string) ([]transcript.Segment, error)
	Commit(ctx context.Context, uid string, c *conversation.Conversation, pages ...transcript.Page) error
	Delete(ctx context.Context, uid string, c *conversation.Conversation) error
}

// Publisher publishes events. With an error an event may have been published all the same.
type Publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// Summarizer finds out what a conversation was about. The language is a BCP 47 code, or "multi"; began is what the
// times of the segments count from, and so what words like "tomorrow" refer to. Discard says that it is not worth
// showing. The result names who made it.
type Summarizer interface {
	Summarize(ctx context.Context, segments []transcript.Segment, language string, began time.Time) (
		s conversation.Structured, discard bool, err error)
}

// Hold runs fn while nobody else runs one under the name. fault.Busy: somebody does. The context of fn ends when the
// lock is lost.
type Hold func(ctx context.Context, name string, fn func(context.Context) error) error

// DefaultClaimTTL is how long a claim lasts unless a Finalizer says otherwise: it holds the slowest summary, and a
// worker that died costs the person no more than this.
const DefaultClaimTTL = 5 * time.Minute

// Finalizer finalizes conversations. All fields but ClaimTTL are needed. It is safe for concurrent use.
type Finalizer struct {
	Store      Store
	Publisher  Publisher
	Hold       Hold
	Summarizer Summarizer
	Fallback   Summarizer    // used where Summarizer fails for good
	ClaimTTL   time.Duration // 0 is DefaultClaimTTL; the last fifth is kept for storing what was found
}

// Finalize handles conversation.ended. It returns nil when the conversation is finalized, or was before, or is no
// more, or has failed for good; fault.Busy when another works on it; fault.Conflict when another has taken over;
// fault.Invalid for an event that can't be understood; and what failed otherwise, for another try.
func (f *Finalizer) Finalize(ctx context.Context, e event.Event) error {
	const op = "finalize"
	told, err := event.Decode[event.Conversation](e)
	if err != nil {
		return fault.New(fault.Invalid, op, err)
	}
	if !isID(told.UID) || !isID(told.ConversationID) {
		return fault.Newf(fault.Invalid, op, "the event names no conversation")
	}
	name := fmt.Sprintf("conversation:%s:%s", told.UID, told.ConversationID)
	err = f.Hold(ctx, name, func(ctx context.Context) error {
		a := &attempt{Finalizer: f, uid: told.UID, cid: told.ConversationID, began: time.Now()}
		o, err := a.run(ctx)
		a.signal(ctx, o, err)
		if err == nil {
			a.log(ctx, o)
		}
		return err
	})
	return fault.Wrap(op, err)
}

// isID reports whether s can be the name of a document.
func isID(s string) bool { return s != "" && !strings.Contains(s, "/") }

func (f *Finalizer) claimTTL() time.Duration {
	if f.ClaimTTL > 0 {
		return f.ClaimTTL
	}
	return DefaultClaimTTL
}
