package finalizer

import (
	"context"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// uncertain reports whether a write that failed with err may have taken effect, or may yet be made on top of what
// somebody else wrote.
func uncertain(err error) bool {
	return fault.Is(err, fault.Conflict) || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.NotFound)
}

// settle writes what the attempt came to, which leaves the status that is meant; "" is that it is deleted. Where the write
// is refused or its answer lost, it reads back. The stored conversation has this claim's number as long as nobody else
// has claimed it: if it is settled as meant, then by this attempt; if it is not settled, somebody touched something else
// (an edit, the sweep), and what was found still holds, since an ended conversation takes no more words. After the last
// attempt another may have given it up, which takes no claim: then it is settled otherwise. fault.NotFound: it was
// deleted; fault.Conflict: another has taken over.
func (a *attempt) settle(
	ctx context.Context, meant conversation.Status, write func(context.Context, *conversation.Conversation) error,
) error {
	var refused error
	for range writeTries {
		next := a.c
		if refused = write(ctx, &next); refused == nil {
			a.c = next
			return nil
		}
		if !uncertain(refused) {
			return refused
		}
		stored, err := a.Store.Conversation(ctx, a.uid, a.cid)
		if err != nil {
			return err
		}
		if stored.Revision != a.c.Revision || stored.Claims != a.c.Claims ||
			stored.Status.Terminal() && stored.Status != meant {
			return fault.New(fault.Conflict, "settle", errOvertaken)
		}
		a.c = stored
		if stored.Status.Terminal() {
			return nil
		}
	}
	return refused
}

// announce tells what the conversation's marker says is still to be told, and clears the marker. A marker that stays
// is told again by the sweep, which is harmless.
func (a *attempt) announce(ctx context.Context) error {
	if a.c.Pending == nil {
		return nil
	}
	e, err := event.OfConversation(a.c.Pending.Event, a.uid, &a.c, time.Now())
	if err != nil {
		return fault.New(fault.Internal, "announce", err)
	}
	if err := a.Publisher.Publish(ctx, e); err != nil {
		return fault.Wrap("announce", err)
	}
	next := a.c
	next.Pending = nil
	switch err := a.Store.Commit(ctx, a.uid, &next); {
	case err == nil:
		a.c = next
	case !fault.Is(err, fault.Conflict): // else somebody wrote in between, and the sweep sees what
		logging.Error(ctx, pendingNotCleared, err)
	}
	return nil
}

// tellUsage tells all that the conversation has used, in case what its sessions told was lost.
func (a *attempt) tellUsage(ctx context.Context) error {
	if len(a.c.Usage) == 0 {
		return nil
	}
	e, err := event.OfUsage(a.uid, &a.c, a.c.Usage, time.Now())
	if err != nil {
		return fault.New(fault.Internal, "tell usage", err)
	}
	return fault.Wrap("tell usage", a.Publisher.Publish(ctx, e))
}

// release gives the claim back after a failure, so that the next attempt need not wait until it runs out. The attempt
// counts, unless it met an outage or another's doing: hours of that must not cost the person their summary. A claim of
// which nobody knows whether it took effect is made and given back in one if it did not: then it can't later either.
func (a *attempt) release(ctx context.Context, cause error) {
	if a.c.Claim == nil || a.c.Claim.Token != a.token {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	counts := a.failing || !passes(cause) && !fault.Is(cause, fault.Busy) && !fault.Is(cause, fault.Conflict)
	err := a.settle(ctx, conversation.Finalizing, func(ctx context.Context, c *conversation.Conversation) error {
		if !c.Release(a.token, counts, time.Now()) {
			return nil // a try before took effect
		}
		return a.Store.Commit(ctx, a.uid, c)
	})
	if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
		logging.Error(ctx, claimNotReleased, err)
	}
}
