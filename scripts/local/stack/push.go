package stack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/cenkalti/backoff/v5"
)

// Retry says when a message that was not acknowledged comes again.
type Retry struct {
	First      time.Duration // after the first delivery; each later wait is twice as long
	Longest    time.Duration
	Deliveries int // so many, and then the dead letter topic

	// Deadline is how long an answer may take, the acknowledgement deadline; 0 is the longest that there is.
	Deadline time.Duration
}

// CloudRetry is what the subscriptions have in the cloud.
var CloudRetry = Retry{First: 10 * time.Second, Longest: 600 * time.Second, Deliveries: 20, Deadline: pushTimeout}

// pushTimeout is the longest acknowledgement deadline that a push subscription can have.
// https://cloud.google.com/pubsub/docs/lease-management
const pushTimeout = 600 * time.Second

// keptDeliveries is how many deliveries a Push remembers.
const keptDeliveries = 4096

// Delivery is one attempt to deliver a message.
type Delivery struct {
	MessageID  string
	Attributes map[string]string
	Attempt    int   // from 1
	Status     int   // of the answer; 0 if there was none
	Err        error // why there was none
	Dead       bool  // it was the last, and the message went to the dead letter topic
}

// Acknowledged reports whether the answer was one that Pub/Sub takes for an acknowledgement.
// https://cloud.google.com/pubsub/docs/push#receive_push
func (d Delivery) Acknowledged() bool {
	switch d.Status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return true
	default:
		return false
	}
}

// Push delivers the messages of a pull subscription as Pub/Sub's push subscriptions do: by HTTP, with an OIDC token,
// again and again until they are acknowledged, and in the end to a dead letter topic. Where Pub/Sub is free to deliver
// twice, or in another order, it can be made to (see Repeat, Hold).
type Push struct {
	Subscription string // projects/{project}/subscriptions/{name}
	Endpoint     func() (string, error)
	Token        func() (string, error)
	DeadLetter   *pubsub.Publisher
	Retry        Retry
	Client       *http.Client

	mu         sync.Mutex
	deliveries []Delivery
	events     map[string]map[string]string // attributes by the event's id, of all that were ever delivered
	dead       []Delivery
	done       []*pubsub.Message // the latest that are done with, oldest first
	waiting    int               // messages that have come and are not done with
	repeat     int               // further deliveries of each message
	holding    bool              // messages wait
	held       []*held           // those that do
}

// held is a message that waits for Release.
type held struct{ release, delivered chan struct{} }

// Run delivers what comes until ctx ends. What is under way then is not acknowledged. Of a subscription that keeps the
// order each message is delivered after the one before it is done with: the client library sees to that.
func (p *Push) Run(ctx context.Context, subscriber *pubsub.Subscriber) error {
	subscriber.ReceiveSettings.MaxOutstandingMessages = -1 // those that wait for their next attempt are outstanding
	return subscriber.Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		p.come(1)
		defer p.come(-1)
		delivered := p.hold(ctx)
		defer delivered()
		for range 1 + p.repeats() {
			if err := p.deliver(ctx, m); err != nil {
				m.Nack()
				return
			}
		}
		p.keep(m)
		m.Ack()
	})
}

func (p *Push) come(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting += n
}

// Waiting is how many messages have come and are not done with.
func (p *Push) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// keep remembers a message that is done with, for Again.
func (p *Push) keep(m *pubsub.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.done) == keptDeliveries {
		p.done = slices.Delete(p.done, 0, keptDeliveries/2)
	}
	p.done = append(p.done, m)
}

// Done are the latest messages that are done with, oldest first.
func (p *Push) Done() []*pubsub.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.done)
}

// Again delivers a message of Done once more, as Pub/Sub may at any time, and returns when it is acknowledged.
func (p *Push) Again(ctx context.Context, m *pubsub.Message) error { return p.deliver(ctx, m) }

// Repeat has every message from now on delivered so many times more, after it was acknowledged.
func (p *Push) Repeat(times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repeat = times
}

func (p *Push) repeats() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.repeat
}

// Hold keeps back the messages that come from now on.
func (p *Push) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding = true
}

// Release delivers what was held back, the last one first, each after the one before it is done with.
func (p *Push) Release() {
	p.mu.Lock()
	waiting := p.held
	p.holding, p.held = false, nil
	p.mu.Unlock()
	for _, h := range slices.Backward(waiting) {
		close(h.release)
		<-h.delivered
	}
}

// Held is how many messages wait for Release.
func (p *Push) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// hold waits for Release, if messages are held back. What it gives is to be called when the message is done with.
func (p *Push) hold(ctx context.Context) (delivered func()) {
	p.mu.Lock()
	if !p.holding {
		p.mu.Unlock()
		return func() {}
	}
	h := &held{make(chan struct{}), make(chan struct{})}
	p.held = append(p.held, h)
	p.mu.Unlock()
	select {
	case <-h.release:
	case <-ctx.Done():
	}
	return func() { close(h.delivered) }
}

// Deliveries gives the latest deliveries, oldest first.
func (p *Push) Deliveries() []Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.deliveries)
}

func (p *Push) record(d Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.deliveries) == keptDeliveries {
		p.deliveries = slices.Delete(p.deliveries, 0, keptDeliveries/2)
	}
	p.deliveries = append(p.deliveries, d)
	if p.events == nil {
		p.events = make(map[string]map[string]string)
	}
	p.events[d.Attributes["id"]] = d.Attributes
	if d.Dead {
		p.dead = append(p.dead, d)
	}
}

// Events are the attributes of all events that were delivered since the start, by id.
func (p *Push) Events() map[string]map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.events)
}

// Dead are all last deliveries since the start, after which the message went to the dead letter topic.
func (p *Push) Dead() []Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dead)
}

// deliver returns when the message is acknowledged or has gone to the dead letter topic, or else with an error.
func (p *Push) deliver(ctx context.Context, m *pubsub.Message) error {
	waits := backoff.ExponentialBackOff{InitialInterval: p.Retry.First, Multiplier: 2, MaxInterval: p.Retry.Longest}
	waits.Reset()
	for attempt := 1; ; attempt++ {
		d := Delivery{MessageID: m.ID, Attributes: m.Attributes, Attempt: attempt}
		if d.Status, d.Err = p.post(ctx, m, attempt); ctx.Err() != nil {
			return ctx.Err()
		}
		d.Dead = !d.Acknowledged() && attempt >= p.Retry.Deliveries
		p.record(d)
		switch {
		case d.Acknowledged():
			return nil
		case d.Dead:
			return p.bury(ctx, m, attempt)
		}
		select {
		case <-time.After(waits.NextBackOff()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// envelope is the body of a push. https://cloud.google.com/pubsub/docs/push#receive_push
type envelope struct {
	Message         message `json:"message"`
	Subscription    string  `json:"subscription"`
	DeliveryAttempt int     `json:"deliveryAttempt"`
}

type message struct {
	Data        []byte            `json:"data"` // base64
	Attributes  map[string]string `json:"attributes"`
	MessageID   string            `json:"messageId"`
	PublishTime time.Time         `json:"publishTime"`
}

// post makes one attempt.
func (p *Push) post(ctx context.Context, m *pubsub.Message, attempt int) (status int, err error) {
	body, err := json.Marshal(envelope{message{m.Data, m.Attributes, m.ID, m.PublishTime}, p.Subscription, attempt})
	if err != nil {
		return 0, err
	}
	endpoint, err := p.Endpoint()
	if err != nil {
		return 0, err
	}
	token, err := p.Token()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Retry.Deadline, pushTimeout))
	defer cancel()
	return post(ctx, p.Client, endpoint, token, body)
}

// post sends JSON with a bearer token and gives the status of the answer.
func post(ctx context.Context, client *http.Client, endpoint, token string, body []byte) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection can be used again; the status says it all
	return response.StatusCode, nil
}

// bury publishes a message to the dead letter topic, with what Pub/Sub adds to its attributes.
// https://cloud.google.com/pubsub/docs/handling-failures#dead_letter_topic
func (p *Push) bury(ctx context.Context, m *pubsub.Message, attempts int) error {
	attributes := maps.Clone(m.Attributes)
	if attributes == nil {
		attributes = make(map[string]string)
	}
	attributes["CloudPubSubDeadLetterSourceSubscription"] = p.Subscription
	attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = strconv.Itoa(attempts)
	attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] = m.PublishTime.Format(time.RFC3339Nano)
	result := p.DeadLetter.Publish(ctx, &pubsub.Message{Data: m.Data, Attributes: attributes})
	if _, err := result.Get(ctx); err != nil {
		return fmt.Errorf("publish a dead letter: %w", err)
	}
	return nil
}
