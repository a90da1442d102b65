package session

import (
	"context"
	"sync"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/usage"
)

// maxAnnouncing is how many commits may wait for Pub/Sub to take what is to be told of them.
const maxAnnouncing = 8

var errTooMuchToAnnounce = fault.Newf(fault.Unavailable, "publish", "%d commits already wait for it", maxAnnouncing)

// announce tells of what was committed, and doesn't wait for it: that the conversation ended, and what it used, if that is
// due. What can't be told now isn't lost: the pending marker stays for the sweep, and the totals are told again at the
// next report and by finalize.
func (s *scribe) announce(ctx context.Context, c conversation.Conversation, reported usage.Hours, report bool) {
	if s.announcing.TryGo(func() error {
		s.announceEnd(ctx, &c)
		if report {
			s.report(ctx, &c, reported)
		}
		return nil
	}) {
		return
	}
	if c.Pending != nil || report {
		logging.Error(ctx, "not_announced", errTooMuchToAnnounce)
	}
}

func (s *scribe) announceEnd(ctx context.Context, c *conversation.Conversation) {
	if c.Pending == nil || c.Pending.Event != event.ConversationEnded {
		return
	}
	e, err := event.OfConversation(event.ConversationEnded, s.params.UID, c, time.Now())
	if err == nil {
		err = s.publisher.Publish(ctx, e)
	}
	if err != nil {
		logging.Error(ctx, "end_not_announced", err)
	} else {
		s.unmark(ctx, *c)
	}
}

// report tells what a conversation used since the last report.
func (s *scribe) report(ctx context.Context, c *conversation.Conversation, reported usage.Hours) {
	news := changed(c.Usage, reported)
	if len(news) == 0 {
		return
	}
	e, err := event.OfUsage(s.params.UID, c, news, time.Now())
	if err == nil {
		err = s.publisher.Publish(ctx, e)
	}
	if err != nil {
		logging.Error(ctx, "usage_not_reported", err)
		return
	}
	s.reported.told(c.ID, c.Usage)
}

// unmark clears the marker of what was announced. Whoever wrote in between, finalize most likely, knows already.
func (s *scribe) unmark(ctx context.Context, c conversation.Conversation) {
	c.Pending = nil
	if err := s.store.Commit(ctx, s.params.UID, &c); err != nil && !fault.Is(err, fault.Conflict) {
		logging.Error(ctx, "pending_not_cleared", err)
	}
}

// reports is what usage.recorded has told of the latest conversation. Who tells it does so beside the transcribe loop.
type reports struct {
	mu    sync.Mutex
	cid   string
	hours usage.Hours
}

// of gives what was told of a conversation: nothing, if it isn't the latest.
func (r *reports) of(cid string) usage.Hours {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cid != cid {
		return nil
	}
	return r.hours
}

// told notes that usage was told of a conversation.
func (r *reports) told(cid string, hours usage.Hours) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cid == cid {
		r.hours = hours
	}
}

// begin goes on with a conversation.
func (r *reports) begin(cid string, hours usage.Hours) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cid, r.hours = cid, hours
}

// changed are the hours in which more was used than reported.
func changed(hours, reported usage.Hours) usage.Hours {
	news := usage.Hours{}
	for hour, t := range hours {
		if t != reported[hour] {
			news[hour] = t
		}
	}
	return news
}
