package finalizer

import (
	"cmp"
	"context"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// photosTitle is that of a conversation without words.
const photosTitle = "Photos"

// summarize asks the summarizer, in time for the result to be stored under the claim, and the fallback where the
// summarizer fails for good. The fallback has no say in what is discarded: what can't be judged is kept.
//
// A failure that passes is returned for another attempt, up to the last that has patience; time that ran out is not
// such a failure, since the next attempt would take as long.
func (a *attempt) summarize(ctx context.Context) (conversation.Structured, bool, error) {
	if a.words == 0 { // of photos nobody can say more
		s, _, err := a.ask(ctx, a.Fallback)
		s.Title = cmp.Or(s.Title, photosTitle)
		return s, false, err
	}
	began := time.Now()
	defer func() { a.summarized = time.Since(began) }()
	within, cancel := context.WithDeadline(ctx, a.c.Claim.Until.Add(-a.claimTTL()/5))
	defer cancel()
	s, discard, err := a.ask(within, a.Summarizer)
	if err == nil || ctx.Err() != nil {
		return s, discard, err
	}
	if within.Err() == nil && passes(err) && a.c.Attempts < patience {
		return s, false, err
	}
	logging.Error(ctx, summarizerFailed, err)
	s, _, err = a.ask(ctx, a.Fallback)
	return s, false, err
}

// ask has a summarizer do its work. A panic of its is an error of its.
func (a *attempt) ask(ctx context.Context, by Summarizer) (s conversation.Structured, discard bool, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = logging.Recovered(value)
		}
	}()
	s, discard, err = by.Summarize(ctx, a.segments, a.c.Language, a.c.StartedAt)
	now := time.Now()
	for i := range s.ActionItems {
		item := &s.ActionItems[i]
		item.ConversationID, item.CreatedAt, item.UpdatedAt = a.cid, now, now
	}
	return s, discard, fault.Wrap("summarize", err)
}

// passes reports whether an error may be gone at another try.
func passes(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Overloaded)
}
