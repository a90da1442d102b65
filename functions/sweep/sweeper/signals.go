package sweeper

import (
	"context"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/measure"
)

var meter = measure.Meter("functions/sweep/sweeper")

// What is measured of sweeping: see the list in infra/README.md.
var (
	oldest = measure.Gauge(meter, "earshot.sweep.oldest", "s", "How late what the last pass found was, at most")
	passes = measure.Counter(meter, "earshot.sweep.passes", "{pass}", "Passes that were made")
	swept  = measure.Counter(meter, "earshot.sweep.conversations", "{conversation}", "Conversations that a pass dealt with")
)

// What is late, and what became of conversations.
var (
	untold  = measure.By("kind", "untold")  // a change that was committed, and not announced
	expired = measure.By("kind", "expired") // a conversation that nobody ended, or finalized

	ended     = measure.By("outcome", "ended")
	revived   = measure.By("outcome", "revived")
	announced = measure.By("outcome", "announced")
	overtaken = measure.By("outcome", "overtaken")
	failed    = measure.By("outcome", "failed")

	done   = measure.By("outcome", "done")
	broken = measure.By("outcome", "failed")
)

// late is how late things are, at most.
type late struct{ untold, expired time.Duration }

// see takes in what is due at a time.
func (l *late) see(now time.Time, due []conversation.Owned) {
	for _, o := range due {
		if o.Pending != nil {
			l.untold = max(l.untold, now.Sub(o.Pending.Since))
		}
		if !o.ExpiresAt.IsZero() {
			l.expired = max(l.expired, now.Sub(o.ExpiresAt))
		}
	}
}

// signal tells what a pass found and did. One that couldn't look doesn't say that nothing is late; one that looked, and
// failed at a conversation, says how late that is.
func (p *pass) signal(ctx context.Context, err error) {
	if p.looked {
		oldest.Record(ctx, p.late.untold.Seconds(), untold)
		oldest.Record(ctx, p.late.expired.Seconds(), expired)
	}
	outcome := done
	if err != nil {
		outcome = broken
	}
	passes.Add(ctx, 1, outcome)
	r := p.report
	swept.Add(ctx, int64(r.Ended), ended)
	swept.Add(ctx, int64(r.Revived), revived)
	swept.Add(ctx, int64(r.Announced), announced)
	swept.Add(ctx, int64(r.Overtaken), overtaken)
	swept.Add(ctx, int64(r.Failed), failed)
}
