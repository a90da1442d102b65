package finalizer

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
)

// outcome is what an attempt came to, as it is logged. With any of them the event is done with.
type outcome string

const (
	completed outcome = "completed"
	discarded outcome = "discarded" // completed, and not worth showing
	deleted   outcome = "deleted"   // nothing had been said
	failed    outcome = "failed"    // given up for good, with a reason for the person
	repeated  outcome = "repeated"  // it was completed, or had failed, before
	gone      outcome = "gone"      // the person has deleted it

	// stale: the conversation is live. The event was published after its end was committed, so it speaks of a former
	// one with the same id, which a client may choose. The present one will have an event of its own, and if that
	// were somehow this one, the pending marker would bring it again.
	stale outcome = "stale"
)

// Names of the events that are logged here.
const (
	conversationFinalized = "conversation_finalized"
	conversationFailed    = "conversation_failed"
	summarizerFailed      = "summarizer_failed"
	pendingNotCleared     = "pending_not_cleared"
	claimNotReleased      = "claim_not_released"
)

const (
	keepAbove      = 100 // words: a longer conversation is never discarded, as Omi has it
	writeTries     = 3   // of one commit, each after reading back
	patience       = 3   // attempts that a summarizer has which fails in a way that passes
	releaseTimeout = 5 * time.Second
	failureReason  = "This conversation couldn't be summarized. Its words are kept, and you can try again."
)

var (
	errExhausted = errors.New("every attempt was broken off")
	errOvertaken = errors.New("another worker took over when the claim had run out")
)

// attempt is one try to finalize one conversation.
type attempt struct {
	*Finalizer
	uid, cid string
	began    time.Time

	token      string                    // of the claim, once it is asked for
	c          conversation.Conversation // as last read or written
	segments   []transcript.Segment
	words      int
	summarized time.Duration // how long that took
	cause      error         // why it failed for good
	failing    bool          // what broke it off was the summarizer's
}

func (a *attempt) run(ctx context.Context) (outcome, error) {
	claim, err := a.claim(ctx)
	switch {
	case fault.Is(err, fault.NotFound):
		return gone, nil
	case err != nil:
		a.release(ctx, err) // the claim may have taken effect all the same
		return "", err
	case claim == conversation.ClaimHeld:
		return "", fault.Newf(fault.Busy, "claim", "another worker holds the claim")
	case claim == conversation.ClaimTooEarly:
		return stale, nil
	case claim == conversation.ClaimDone:
		return repeated, a.announce(ctx)
	case claim == conversation.ClaimExhausted:
		return a.fail(ctx, fault.New(fault.Internal, "claim", errExhausted))
	}
	o, err := a.finish(ctx)
	if err != nil {
		a.release(ctx, err)
	}
	return o, err
}

// claim asks for the right to finalize. It often meets the session that has just published the event and now clears
// its marker, so it reads back at once and asks again. Usage is told before anything is committed: however
// often the attempt fails from then on, or if there was nothing to keep, the totals have been told. Where nobody knows
// whether a commit took effect, an error leaves a.c as it would be then, for release.
func (a *attempt) claim(ctx context.Context) (conversation.ClaimOutcome, error) {
	a.token = rand.Text()
	var refused error
	for try := range writeTries + 1 {
		stored, err := a.Store.Conversation(ctx, a.uid, a.cid)
		if err != nil {
			return 0, err
		}
		a.c = stored
		if stored.Claim != nil && stored.Claim.Token == a.token {
			return conversation.Claimed, nil
		}
		next := stored
		got := next.TakeClaim(a.token, time.Now(), a.claimTTL())
		if try == 0 && (got == conversation.Claimed || got == conversation.ClaimExhausted) {
			if err := a.tellUsage(ctx); err != nil {
				return 0, err
			}
		}
		if got != conversation.Claimed {
			return got, nil
		}
		if try == writeTries {
			break
		}
		refused = a.Store.Commit(ctx, a.uid, &next)
		if refused != nil && !uncertain(refused) {
			return 0, refused
		}
		a.c = next
		if refused == nil {
			return conversation.Claimed, nil
		}
	}
	return 0, refused
}

// finish does the work under the claim.
func (a *attempt) finish(ctx context.Context) (outcome, error) {
	var err error
	if a.segments, err = a.Store.Segments(ctx, a.uid, a.cid); err != nil {
		return "", err
	}
	for _, s := range a.segments {
		a.words += s.Words()
	}
	switch empty, err := a.empty(ctx); {
	case fault.Is(err, fault.NotFound):
		return gone, nil
	case err != nil:
		return "", err
	case empty:
		return a.delete(ctx)
	}
	structured, discard, err := a.summarize(ctx)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
		a.failing = !fault.Is(err, fault.Busy) // else the lock is lost, which is nobody's
		return "", fault.Wrap("summarize", err)
	case passes(err):
		a.failing = true
		return "", err
	case err != nil:
		return a.fail(ctx, err)
	}
	discard = discard && a.words <= keepAbove
	err = a.settle(ctx, conversation.Completed, func(ctx context.Context, c *conversation.Conversation) error {
		if !c.Complete(structured, discard, time.Now(), event.ConversationFinalized) {
			return fault.New(fault.Conflict, "complete", errOvertaken)
		}
		return a.Store.Commit(ctx, a.uid, c)
	})
	switch {
	case fault.Is(err, fault.NotFound):
		return gone, nil
	case err != nil:
		return "", err
	case discard:
		return discarded, a.announce(ctx)
	default:
		return completed, a.announce(ctx)
	}
}

// empty reports whether there is nothing to keep: no words, and no photos. Pages without the words that the conversation
// counts are a fault of ours, and no reason to delete anything, unless they were deleted with it since it was claimed:
// fault.NotFound.
func (a *attempt) empty(ctx context.Context) (bool, error) {
	switch {
	case a.words > 0:
		return false, nil
	case a.c.Words > 0:
		if _, err := a.Store.Conversation(ctx, a.uid, a.cid); err != nil {
			return false, err
		}
		return false, fault.Newf(fault.Internal, "read pages", "%d words are counted and none is stored", a.c.Words)
	}
	return a.c.Photos == 0, nil
}

// delete removes a conversation in which nothing was said.
func (a *attempt) delete(ctx context.Context) (outcome, error) {
	err := a.settle(ctx, "", func(ctx context.Context, c *conversation.Conversation) error {
		return a.Store.Delete(ctx, a.uid, c)
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	return deleted, nil
}

func (a *attempt) fail(ctx context.Context, cause error) (outcome, error) {
	err := a.settle(ctx, conversation.Failed, func(ctx context.Context, c *conversation.Conversation) error {
		if !c.Fail(failureReason, time.Now()) {
			return fault.New(fault.Conflict, "fail", errOvertaken)
		}
		return a.Store.Commit(ctx, a.uid, c)
	})
	if fault.Is(err, fault.NotFound) {
		return gone, nil
	}
	a.cause = fault.Escalate(max(fault.High, fault.SeverityOf(cause)), cause)
	return failed, err
}

func (a *attempt) log(ctx context.Context, o outcome) {
	attrs := []slog.Attr{
		slog.String("outcome", string(o)), slog.Int("revision", a.c.Revision), slog.Int("attempts", a.c.Attempts),
		slog.Int("segments", len(a.segments)), slog.Int("words", a.words),
		slog.Duration("summarized", a.summarized), slog.Duration("took", time.Since(a.began)),
	}
	if a.c.Structured != nil {
		attrs = append(attrs, slog.String("summarizer", a.c.Structured.Summarizer))
	}
	if a.cause != nil {
		logging.Error(ctx, conversationFailed, a.cause, attrs...)
		return
	}
	logging.From(ctx).LogAttrs(ctx, slog.LevelInfo, conversationFinalized, attrs...)
}
