package api

import (
	"context"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

const (
	changeTries   = 8 // a live conversation is written to each second
	announceLimit = 10 * time.Second
	maxTitle      = 500 // characters
)

// conversation is GET /v1/conversations/{id}.
func (a *API) conversation(ctx context.Context, r request) (answer, error) {
	cid, err := r.id()
	if err != nil {
		return answer{}, err
	}
	return a.whole(ctx, r.uid, cid, bare)
}

// finalization is GET /v1/conversations/{id}/finalization.
func (a *API) finalization(ctx context.Context, r request) (answer, error) {
	cid, err := r.id()
	if err != nil {
		return answer{}, err
	}
	c, err := a.Reader.Head(ctx, r.uid, cid)
	return answer{body: struct {
		Status    string `json:"status"`
		Terminal  bool   `json:"terminal"`
		Retryable bool   `json:"retryable"` // by reprocess
		Attempts  int    `json:"attempt_count"`
		Failure   string `json:"failure,omitempty"` // why it failed, for the person
	}{c.WireStatus(), c.Status.Terminal(), c.Status == conversation.Failed, c.Attempts, c.Failure}}, err
}

// finalized is what is said of a conversation that is to be finalized. Messages are Omi's; there are none.
type finalized struct {
	Conversation conversation.Wire `json:"conversation"`
	Messages     []struct{}        `json:"messages"`
}

// endLive is POST /v1/conversations: it ends the live conversation of the device that asks, or, where a request doesn't
// name its device, the newest of the person's that is live. Omi has one live conversation of a person, and its clients mean
// that one.
func (a *API) endLive(ctx context.Context, r request) (answer, error) {
	none := fault.Newf(fault.NotFound, "find live conversation", "there is no live conversation")
	var cid string
	var err error
	if id := r.Header.Get("X-Device-Id-Hash"); conversation.ValidName(id) {
		var device conversation.Device
		device, err = a.Store.Device(ctx, r.uid, id)
		cid = device.ConversationID
	} else {
		cid, err = a.Store.NewestLive(ctx, r.uid)
	}
	if fault.Is(err, fault.NotFound) || err == nil && cid == "" {
		a.Store.Forget(ctx, r.uid, "") // what ended it may have been lost on its way
		return answer{}, none
	}
	if err != nil {
		return answer{}, err
	}
	ended := false
	reply, err := a.endAs(ctx, r, cid, &ended)
	if err == nil && !ended || fault.Is(err, fault.NotFound) {
		return answer{}, none
	}
	return reply, err
}

// end is POST /v1/conversations/{id}/finalize. One that has ended is as it should be.
func (a *API) end(ctx context.Context, r request) (answer, error) {
	cid, err := r.id()
	if err != nil {
		return answer{}, err
	}
	return a.endAs(ctx, r, cid, new(bool))
}

// endAs ends a conversation and says whether it was live. Its session finds out when its next commit is refused.
func (a *API) endAs(ctx context.Context, r request, cid string, ended *bool) (answer, error) {
	err := a.change(ctx, r, cid, func(c *conversation.Conversation) (bool, error) {
		if c.End(now(), conversation.EndRequested, event.ConversationEnded) {
			*ended = true
			return true, nil
		}
		return false, nil
	})
	if err != nil {
		return answer{}, err
	}
	return a.whole(ctx, r.uid, cid, func(wire conversation.Wire) any { return finalized{wire, []struct{}{}} })
}

// reprocess is POST /v1/conversations/{id}/reprocess. One that is on its way as it is goes on. One whose revision has
// grown since the first read has been reprocessed, by the write whose answer was lost or by another's: it may be
// finalized again by now, and that is what was asked for.
func (a *API) reprocess(ctx context.Context, r request) (answer, error) {
	cid, err := r.id()
	if err != nil {
		return answer{}, err
	}
	first := math.MaxInt // the revision that was read first
	err = a.change(ctx, r, cid, func(c *conversation.Conversation) (bool, error) {
		if first = min(first, c.Revision); c.Revision > first {
			return false, nil
		}
		switch c.Reprocess(now(), event.ConversationEnded) {
		case conversation.Reprocessing:
			return true, nil
		case conversation.StillLive:
			return false, fault.Newf(fault.Conflict, "reprocess", "the conversation has not ended")
		default:
			return false, nil
		}
	})
	if err != nil {
		return answer{}, err
	}
	return a.whole(ctx, r.uid, cid, bare)
}

// rename is PATCH /v1/conversations/{id}/title?title=.
func (a *API) rename(ctx context.Context, r request) (answer, error) {
	cid, err := r.id()
	if err != nil {
		return answer{}, err
	}
	title := strings.TrimSpace(r.URL.Query().Get("title"))
	if title == "" || !utf8.ValidString(title) || utf8.RuneCountInString(title) > maxTitle {
		return answer{}, invalid("title", "of 1 to 500 characters")
	}
	err = a.change(ctx, r, cid, func(c *conversation.Conversation) (bool, error) {
		if c.Structured != nil && c.Structured.Renamed && c.Structured.Title == title {
			return false, nil
		}
		c.Rename(title)
		return true, nil
	})
	return ok(err)
}

// remove is DELETE /v1/conversations/{id}. What the conversation used is told before it is gone: nobody could tell it
// after, and it counts against the plan all the same.
func (a *API) remove(ctx context.Context, r request) (answer, error) {
	cid, err := r.id()
	if err != nil {
		return answer{}, err
	}
	var refused error
	for try := range changeTries {
		c, err := a.find(ctx, r, cid)
		if try > 0 && fault.Is(err, fault.NotFound) {
			refused = nil // by an earlier try, whose answer was lost, or by another
			break
		}
		if err != nil {
			return answer{}, err
		}
		if err := a.tellUsage(ctx, r.uid, &c); err != nil {
			return answer{}, err
		}
		if refused = a.Store.Delete(ctx, r.uid, &c); refused == nil || !uncertain(refused) {
			break
		}
	}
	return answer{status: http.StatusNoContent}, contested(refused)
}

// find is the stored conversation. One that is gone is gone for the Reader too, whoever deleted it.
func (a *API) find(ctx context.Context, r request, cid string) (conversation.Conversation, error) {
	c, err := a.Store.Conversation(ctx, r.uid, cid)
	if fault.Is(err, fault.NotFound) {
		a.Store.Forget(ctx, r.uid, cid)
	}
	return c, err
}

// tellUsage tells all that a conversation has used, of which what its session told last may be a while ago.
func (a *API) tellUsage(ctx context.Context, uid string, c *conversation.Conversation) error {
	const op = "tell usage"
	if len(c.Usage) == 0 {
		return nil
	}
	e, err := event.OfUsage(uid, c, c.Usage, now())
	if err != nil {
		return fault.New(fault.Internal, op, err)
	}
	e.Traceparent = c.Session.Traceparent
	ctx, cancel := context.WithTimeout(ctx, announceLimit)
	defer cancel()
	if err := a.Publisher.Publish(ctx, e); err != nil {
		return fault.New(fault.Unavailable, op, err)
	}
	return nil
}

// uncertain reports whether a write that failed with err may have taken effect, or may yet be made on top of what
// somebody else wrote.
func uncertain(err error) bool {
	return fault.Is(err, fault.Conflict) || fault.Is(err, fault.Unavailable)
}

// contested is the error of a write that was refused each time: it may be tried again.
func contested(err error) error {
	if fault.Is(err, fault.Conflict) {
		return fault.New(fault.Busy, "write", err)
	}
	return err
}

// change commits what edit makes of a conversation, and tells what is to be told. An edit that changes nothing is not
// committed, and what the Reader has is forgotten all the same. Where the commit is refused or its answer lost, it reads
// again what there is, and edit decides anew: what took effect is there, and is no change any more.
func (a *API) change(ctx context.Context, r request, cid string,
	edit func(*conversation.Conversation) (changed bool, err error),
) error {
	var refused error
	for range changeTries {
		c, err := a.find(ctx, r, cid)
		if err != nil {
			return err
		}
		changed, err := edit(&c)
		if err != nil {
			return err
		}
		refused = nil
		if changed {
			refused = a.Store.Commit(ctx, r.uid, &c)
		} else {
			a.Store.Forget(ctx, r.uid, cid)
		}
		if refused == nil {
			a.announce(ctx, r, c)
			return nil
		}
		if !uncertain(refused) {
			return refused
		}
	}
	return contested(refused)
}

// announce tells that a conversation has ended, and clears the marker that says it is still to be told. What can't be
// told now the sweep tells.
func (a *API) announce(ctx context.Context, r request, c conversation.Conversation) {
	if c.Pending == nil || c.Pending.Event != event.ConversationEnded {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceLimit)
	defer cancel()
	e, err := event.OfConversation(event.ConversationEnded, r.uid, &c, now())
	if err == nil {
		e.Traceparent = c.Session.Traceparent // what was said leads on, not who asked
		err = a.Publisher.Publish(ctx, e)
	}
	if err != nil {
		logging.Error(ctx, endNotAnnounced, err)
		return
	}
	c.Pending = nil
	if err := a.Store.Commit(ctx, r.uid, &c); err != nil && !fault.Is(err, fault.Conflict) {
		logging.Error(ctx, pendingNotCleared, err)
	}
}

// ok is Omi's answer to what needs none.
func ok(err error) (answer, error) {
	return answer{body: struct {
		Status string `json:"status"`
	}{"ok"}}, err
}
