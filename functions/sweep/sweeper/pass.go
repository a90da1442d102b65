package sweeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
)

const (
	workers    = 8  // conversations in work at the same time
	keptErrors = 10 // of one pass: an outage fails everything alike
)

// pass is one sweep under way.
type pass struct {
	store     Store
	publisher Publisher
	batch     int
	limit     int
	began     time.Time
	budget    time.Duration
	tellAfter time.Duration
	seen      map[string]bool // by owner and id
	late      late
	looked    bool  // the store answered, each time
	at        place // where it is
	from      place // where it began; zero: at the beginning, as it does when it has come to the end
	through   bool  // it has seen all that is due

	mu     sync.Mutex // guards what follows
	report Report
	errs   []error
}

// place is how far a pass is in both lists.
type place struct{ late, untold cursor }

// cursor is how far a pass is in a list that is in the order of a time. Those of the very time may come again.
type cursor struct {
	at   time.Time
	ties int // conversations of that time
}

// span is what comes next.
func (c cursor) span(through time.Time, limit int) conversation.Span {
	return conversation.Span{From: c.at, Through: through, Limit: limit + c.ties}
}

func (s *Sweeper) newPass() *pass {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &pass{
		at: s.left, from: s.left,
		store: s.Store, publisher: s.Publisher, began: time.Now(), seen: make(map[string]bool),
		batch: cmp.Or(s.Batch, DefaultBatch), limit: cmp.Or(s.Limit, DefaultLimit), budget: cmp.Or(s.Budget, DefaultBudget),
		tellAfter: cmp.Or(s.AnnounceAfter, DefaultAnnounceAfter),
	}
}

// run goes on until it has seen all that is due, or to its bounds. What stays due, since it failed or since somebody
// else has it in hand, is passed over. A pass that began in the middle goes on at the beginning.
func (p *pass) run(ctx context.Context) error {
	for p.report.Due < p.limit && time.Since(p.began) < p.budget && ctx.Err() == nil {
		now, limit := time.Now(), min(p.batch, p.limit-p.report.Due)
		overdue, unannounced, err := p.store.Due(ctx, p.at.late.span(now, limit), p.at.untold.span(now.Add(-p.tellAfter), limit))
		p.looked = err == nil
		if err != nil {
			p.errs = append(p.errs, err)
			break
		}
		p.late.see(now, overdue)
		p.late.see(now, unannounced)
		before := p.at
		fresh := p.take(nil, &p.at.late, overdue, limit-min(p.unknown(unannounced), limit/2), func(o conversation.Owned) time.Time { return o.ExpiresAt })
		fresh = p.take(fresh, &p.at.untold, unannounced, limit, func(o conversation.Owned) time.Time { return o.Pending.Since })
		switch {
		case len(fresh) > 0:
			p.work(ctx, fresh)
		case p.at != before: // all of these are in the other list too
		case p.from != place{}:
			p.at, p.from = place{}, place{}
		default:
			p.through = true
			return errors.Join(p.errs...)
		}
	}
	return errors.Join(p.errs...)
}

// take goes on in a list, and adds what the pass has not seen to fresh, which is to have a limit of elements at most.
func (p *pass) take(fresh []conversation.Owned, c *cursor, list []conversation.Owned, limit int,
	at func(conversation.Owned) time.Time,
) []conversation.Owned {
	c.ties = 0
	for _, o := range list {
		if len(fresh) == limit {
			break
		}
		if t := at(o); !t.Equal(c.at) {
			*c = cursor{at: t}
		}
		c.ties++
		if !p.known(o) {
			fresh = append(fresh, o)
		}
	}
	return fresh
}

// unknown is how many in a list the pass has not seen. So many places, and half of them at most, are kept for the second
// list: a long backlog in one must not hold up the other for passes.
func (p *pass) unknown(list []conversation.Owned) (n int) {
	for _, o := range list {
		if !p.seen[key(o)] {
			n++
		}
	}
	return n
}

// known reports whether the pass has seen the conversation, and notes that it has now.
func (p *pass) known(o conversation.Owned) bool {
	known := p.seen[key(o)]
	p.seen[key(o)] = true
	return known
}

// key is that of seen.
func key(o conversation.Owned) string { return o.UID + "/" + o.ID }

func (p *pass) work(ctx context.Context, due []conversation.Owned) {
	p.report.Due += len(due)
	var group errgroup.Group
	group.SetLimit(workers)
	for _, o := range due {
		group.Go(func() error {
			did, err := p.tend(ctx, o)
			p.note(o, did, err)
			return nil
		})
	}
	_ = group.Wait() // each conversation's error was noted
}

// tend does what is due to one conversation and reports what it did, also where it failed in the end.
func (p *pass) tend(ctx context.Context, o conversation.Owned) (did Report, err error) {
	if o.Unreadable != nil {
		return did, o.Unreadable
	}
	c := o.Conversation
	live := c.Status == conversation.Live
	if c.Expired(time.Now(), event.ConversationEnded) {
		if err := p.store.Commit(ctx, o.UID, &c); err != nil {
			return did, err
		}
		if live {
			did.Ended = 1
		} else {
			did.Revived = 1
		}
	}
	if c.Pending == nil {
		return did, nil
	}
	if !slices.Contains(event.Types, c.Pending.Event) {
		return did, fault.Newf(fault.Internal, "announce", "there is no event %q", c.Pending.Event)
	}
	e, err := event.OfConversation(c.Pending.Event, o.UID, &c, time.Now())
	if err != nil {
		return did, fault.New(fault.Internal, "announce", err)
	}
	e.Traceparent = c.Session.Traceparent // rather than that of the sweep, which caused nothing
	if err := p.publisher.Publish(ctx, e); err != nil {
		return did, err
	}
	did.Announced = 1
	c.Pending = nil
	return did, p.store.Commit(ctx, o.UID, &c)
}

// note counts what was done. A conflict says that somebody else has the conversation in hand.
func (p *pass) note(o conversation.Owned, did Report, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Ended += did.Ended
	p.report.Revived += did.Revived
	p.report.Announced += did.Announced
	switch {
	case err == nil:
	case fault.Is(err, fault.Conflict):
		p.report.Overtaken++
	default:
		p.report.Failed++
		if len(p.errs) < keptErrors {
			p.errs = append(p.errs, fault.Wrap(fmt.Sprintf("conversation %s/%s", o.UID, o.ID), err))
		}
	}
}
