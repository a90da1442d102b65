package finalizer

import (
	"context"
	"time"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/measure"
)

var meter = measure.Meter("functions/finalize/finalizer")

// What is measured of finalizing: see the list in infra/README.md.
var (
	attempts = measure.Counter(meter, "earshot.finalization.attempts", "{attempt}", "Attempts to finalize a conversation")
	age      = measure.Histogram(meter, "earshot.finalization.age", "s", "From a conversation's end to its completion",
		1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
	summaries = measure.Histogram(meter, "earshot.summary.duration", "s", "How long summarizing took",
		0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
)

// signal tells what an attempt came to.
func (a *attempt) signal(ctx context.Context, o outcome, err error) {
	switch {
	case fault.Is(err, fault.Busy):
		o = "busy"
	case err != nil:
		o = "error"
	}
	attempts.Add(ctx, 1, measure.By("outcome", string(o)))
	if a.summarized > 0 && a.c.Structured != nil {
		summaries.Record(ctx, a.summarized.Seconds(), measure.By("summarizer", a.c.Structured.Summarizer))
	}
	if (o == completed || o == discarded || o == failed) && !a.c.EndedAt.IsZero() {
		age.Record(ctx, time.Since(a.c.EndedAt).Seconds(), measure.By("outcome", string(o)))
	}
}
