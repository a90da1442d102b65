// Package publisher publishes events to their Pub/Sub topics.
package publisher

import (
	"cmp"
	"context"
	"errors"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/tracing"
)

// batchDelay is how long an event waits for others to go with it. Callers wait for the acknowledgement, so it is
// short: what a batch saves is requests, when many sessions flush at once.
const batchDelay = 3 * time.Millisecond

// ackLimit is how long a batch is tried, less than a service has to drain. Later, the sweep tells the event again.
const ackLimit = 7 * time.Second

// Publisher publishes events, each to the topic of its type.
type Publisher struct {
	topics map[string]*pubsub.Publisher // by type of event
}

// New makes a Publisher on a client, which it doesn't close.
func New(client *pubsub.Client) *Publisher {
	topics := make(map[string]*pubsub.Publisher, len(event.Types))
	for _, eventType := range event.Types {
		topic := client.Publisher(event.Topic(eventType))
		topic.PublishSettings.DelayThreshold = batchDelay
		topic.PublishSettings.Timeout = ackLimit
		topic.EnableMessageOrdering = event.Ordered(eventType)
		topics[eventType] = topic
	}
	return &Publisher{topics: topics}
}

// Publish returns nil once Pub/Sub has the event. With an error it may have it all the same, and may also get it
// after ctx has ended: the event is to be told again, under the same id. One without a trace of its own gets the
// current span's. Events of one order are to be published one after the other. It fails with fault.Unavailable, and for an
// event that no topic takes with fault.Invalid, or fault.TooLarge over 10 MB.
func (p *Publisher) Publish(ctx context.Context, e event.Event) error {
	const op = "publish"
	topic, ok := p.topics[e.Type]
	if !ok {
		return fault.Newf(fault.Invalid, op, "there is no topic for events of type %q", e.Type)
	}
	e.Traceparent = cmp.Or(e.Traceparent, tracing.Parent(ctx))
	m := &pubsub.Message{Data: e.Data, Attributes: attributes(e)}
	if event.Ordered(e.Type) {
		m.OrderingKey = e.Order
	}
	_, err := topic.Publish(ctx, m).Get(ctx)
	if err != nil && m.OrderingKey != "" {
		topic.ResumePublish(m.OrderingKey) // else it takes nothing of this order any more
	}
	if errors.Is(err, pubsub.ErrOversizedMessage) {
		return fault.New(fault.TooLarge, op, err)
	}
	return fault.New(fault.Unavailable, op, err)
}

// attributes are what subscribers and their filters find beside the data.
func attributes(e event.Event) map[string]string {
	attributes := map[string]string{
		"id": e.ID, "type": e.Type, "subject": e.Subject, "time": e.Time.UTC().Format(time.RFC3339Nano),
	}
	if e.Traceparent != "" {
		attributes["traceparent"] = e.Traceparent
	}
	return attributes
}

// Close sends what waits, and returns when all of it was acknowledged or given up. Nothing can be published then.
func (p *Publisher) Close() {
	for _, topic := range p.topics {
		topic.Stop()
	}
}
