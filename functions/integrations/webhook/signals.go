package webhook

import (
	"context"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/measure"
)

var meter = measure.Meter("functions/integrations/webhook")

// What is measured of deliveries: see the list in infra/README.md.
var (
	deliveries = measure.Counter(meter, "earshot.delivery.attempts", "{attempt}", "Attempts to deliver a webhook")
	answers    = measure.Histogram(meter, "earshot.delivery.duration", "s", "How long receivers took to answer",
		0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
)

// signal tells what came of an attempt: delivered, refused for good, or failed, to be tried again.
func signal(ctx context.Context, t account.WebhookType, refused error, took time.Duration) {
	outcome := "delivered"
	switch {
	case fault.Is(refused, fault.Unavailable):
		outcome = "failed"
	case refused != nil:
		outcome = "refused"
	}
	by := measure.By("webhook", string(t), "outcome", outcome)
	deliveries.Add(ctx, 1, by)
	answers.Record(ctx, took.Seconds(), by)
}
