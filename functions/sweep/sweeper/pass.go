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

	mu     sync.Mutex // guards what follows
	report Report
	stuck  int // seen and perhaps still due
	errs   []error
}

func (s *Sweeper) newPass() *pass {
	return &pass{
		store: s.Store, publisher: s.Publisher, began: time.Now(), seen: make(map[string]bool),
		batch: cmp.Or(s.Batch, DefaultBatch), limit: cmp.Or(s.Limit, DefaultLimit), budget: cmp.Or(s.Budget, DefaultBudget),
		tellAfter: cmp.Or(s.AnnounceAfter, DefaultAnnounceAfter),
	}
}

// run goes on as long as there is something that it has not seen. What stays due, since it failed or since somebody
// else has it in hand, comes again with each list, in front: the lists grow by as much.
func (p *pass) run(ctx context.Context) error {
	for p.report.Due < p.limit && time.Since(p.began) < p.budget && ctx.Err() == nil {
		now := time.Now()
		due, err := p.store.Due(ctx, now, now.Add(-p.tellAfter), p.stuck+min(p.batch, p.limit-p.report.Due))
		if err != nil {
			p.errs = append(p.errs, err)
			break
		}
		p.late.see(now, due)
		fresh := slices.DeleteFunc(due, p.known)
		if len(fresh) == 0 {
			break
		}
		p.work(ctx, fresh)
	}
	return errors.Join(p.errs...)
}

// known reports whether the pass has seen the conversation, and notes that it has now.
func (p *pass) known(o conversation.Owned) bool {
	key := o.UID + "/" + o.ID
	known := p.seen[key]
	p.seen[key] = true
	return known
}

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
	if err != nil || did == (Report{}) {
		p.stuck++
	}
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
