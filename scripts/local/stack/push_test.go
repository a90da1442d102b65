package stack

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"go.uber.org/goleak"

	"earshot.dev/shared/event"
)

func TestMain(m *testing.M) {
	if play(os.Getenv(roleVariable)) {
		return
	}
	goleak.VerifyTestMain(m,
		// Of the Pub/Sub client: it waits for the next tick of a ticker that is stopped.
		goleak.IgnoreTopFunction("cloud.google.com/go/pubsub/v2.(*messageIterator).streamKeepAliveHandler"),
		// Started by an init function of a library of Google's clients.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// endpoint takes pushes, keeps them, and answers as it is told.
type endpoint struct {
	*httptest.Server
	answer func(n int) int // status to the nth request, from 1

	mu      sync.Mutex
	got     []envelope
	headers []http.Header
	arrived chan struct{}
}

func newEndpoint(t *testing.T, answer func(n int) int) *endpoint {
	t.Helper()
	e := &endpoint{answer: answer, arrived: make(chan struct{}, 1000)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body envelope
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("decode a push: %v", err)
		}
		e.mu.Lock()
		e.got, e.headers = append(e.got, body), append(e.headers, r.Header)
		w.WriteHeader(e.answer(len(e.got)))
		e.mu.Unlock()
		e.arrived <- struct{}{}
	}))
	t.Cleanup(e.Close)
	return e
}

// wait gives the first n pushes.
func (e *endpoint) wait(t *testing.T, n int) []envelope {
	t.Helper()
	for range n {
		select {
		case <-e.arrived:
		case <-time.After(20 * time.Second):
			t.Fatalf("waited in vain for %d pushes", n)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.got)
}

// queue is a topic, the Push that delivers from it, and the server that both are on.
type queue struct {
	*Push
	server *pstest.Server
	topic  *pubsub.Publisher
}

// newQueue runs a Push to url until the end of the test.
func newQueue(t *testing.T, url string, deliveries int) *queue {
	t.Helper()
	return queueOf(t, url, deliveries, event.ConversationEnded, "finalize")
}

// queueOf is one of a type of event for a function.
func queueOf(t *testing.T, url string, deliveries int, eventType, function string) *queue {
	t.Helper()
	b := &backends{}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	server := pstest.NewServer()
	b.closes(server.Close)
	client, err := pubsub.NewClient(t.Context(), "test", emulated(server.Addr)...)
	if err != nil {
		t.Fatal(err)
	}
	b.closes(client.Close)
	b.pubsub = client
	for range 2 { // what is there already is left as it is
		if err := b.subscribe(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
	}
	q := &queue{
		server: server, topic: client.Publisher(event.Topic(eventType)),
		Push: &Push{
			Subscription: subscriptionName("test", subscriptionOf(eventType, function)),
			Endpoint:     func() (string, error) { return url, nil },
			Token:        func() (string, error) { return "the-token", nil },
			DeadLetter:   client.Publisher(deadLetterTopic),
			Retry:        Retry{First: time.Millisecond, Longest: 4 * time.Millisecond, Deliveries: deliveries},
			Client:       &http.Client{Transport: &http.Transport{}},
		},
	}
	q.topic.EnableMessageOrdering = event.Ordered(eventType)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- q.Run(ctx, client.Subscriber(q.Subscription)) }()
	b.closes(func() error {
		cancel()
		err := <-ran
		q.topic.Stop()
		q.DeadLetter.Stop()
		q.Client.CloseIdleConnections()
		return err
	})
	return q
}

func (q *queue) publish(t *testing.T, data string) {
	t.Helper()
	q.ordered(t, "", data)
}

// ordered publishes a message of an order.
func (q *queue) ordered(t *testing.T, order, data string) {
	t.Helper()
	m := &pubsub.Message{Data: []byte(data), Attributes: map[string]string{"id": data}, OrderingKey: order}
	if _, err := q.topic.Publish(t.Context(), m).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// acknowledged reports whether the server was told that the message is done.
func (q *queue) acknowledged(data string) bool {
	return slices.ContainsFunc(q.server.Messages(), func(m *pstest.Message) bool {
		return string(m.Data) == data && m.Acks > 0
	})
}

func always(status int) func(int) int { return func(int) int { return status } }

func TestPushIsWhatPubSubSends(t *testing.T) {
	e := newEndpoint(t, always(http.StatusNoContent))
	q := newQueue(t, e.URL, 20)
	before := time.Now().Add(-time.Minute)
	q.publish(t, "hello")
	got := e.wait(t, 1)[0]
	if string(got.Message.Data) != "hello" || got.Message.Attributes["id"] != "hello" || got.Message.MessageID == "" {
		t.Errorf("got the message %+v", got.Message)
	}
	if got.Subscription != q.Subscription || got.DeliveryAttempt != 1 || got.Message.PublishTime.Before(before) {
		t.Errorf("got %+v, want attempt 1 of %s, published now", got, q.Subscription)
	}
	if got, want := e.headers[0].Get("Authorization"), "Bearer the-token"; got != want {
		t.Errorf("Authorization %q, want %q", got, want)
	}
	eventually(t, "the message is acknowledged", func() bool { return q.acknowledged("hello") })
}

func TestPushComesAgainUntilAcknowledged(t *testing.T) {
	statuses := []int{503, 500, 400, 302, 429, 200}
	e := newEndpoint(t, func(n int) int { return statuses[n-1] })
	q := newQueue(t, e.URL, 20)
	q.publish(t, "a")
	for i, got := range e.wait(t, len(statuses)) {
		if got.DeliveryAttempt != i+1 || string(got.Message.Data) != "a" {
			t.Errorf("push %d: attempt %d of %q, want %d of a", i, got.DeliveryAttempt, got.Message.Data, i+1)
		}
	}
	eventually(t, "the message is acknowledged", func() bool { return q.acknowledged("a") })
	deliveries := q.Deliveries()
	if last := deliveries[len(deliveries)-1]; last.Dead || last.Status != 200 || last.Attempt != len(statuses) {
		t.Errorf("the last delivery is %+v", last)
	}
}

func TestPushEndsAsADeadLetter(t *testing.T) {
	e := newEndpoint(t, always(http.StatusBadRequest))
	q := newQueue(t, e.URL, 3)
	q.publish(t, "a")
	e.wait(t, 3)
	dead := func() *pstest.Message {
		for _, m := range q.server.Messages() {
			if strings.HasSuffix(m.Topic, deadLetterTopic) {
				return m
			}
		}
		return nil
	}
	eventually(t, "there is a dead letter", func() bool { return dead() != nil })
	eventually(t, "the message is acknowledged", func() bool { return q.acknowledged("a") })
	m := dead()
	if string(m.Data) != "a" || m.Attributes["id"] != "a" || m.Attributes["CloudPubSubDeadLetterSourceDeliveryCount"] != "3" {
		t.Errorf("the dead letter is %q with %v", m.Data, m.Attributes)
	}
	if deliveries := q.Deliveries(); len(deliveries) != 3 || !deliveries[2].Dead || deliveries[1].Dead {
		t.Errorf("deliveries %+v, want three, of which the last is dead", deliveries)
	}
	if dead := q.Dead(); len(dead) != 1 || dead[0].Attempt != 3 {
		t.Errorf("dead: got %+v, want the third delivery", dead)
	}
}

func TestPushRepeatsWhatWasAcknowledged(t *testing.T) {
	e := newEndpoint(t, func(n int) int {
		if n == 2 {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	q := newQueue(t, e.URL, 20)
	q.Repeat(2)
	q.publish(t, "a")
	var attempts []int
	for _, got := range e.wait(t, 4) {
		attempts = append(attempts, got.DeliveryAttempt)
	}
	if want := []int{1, 1, 2, 1}; !slices.Equal(attempts, want) {
		t.Errorf("attempts %v, want %v", attempts, want)
	}
	eventually(t, "the message is acknowledged", func() bool { return q.acknowledged("a") })
}

func TestPushDeliversAgainWhatIsDone(t *testing.T) {
	e := newEndpoint(t, always(http.StatusNoContent))
	q := newQueue(t, e.URL, 20)
	q.publish(t, "a")
	eventually(t, "the message is done with", func() bool { return len(q.Done()) == 1 && q.Waiting() == 0 })
	if err := q.Again(t.Context(), q.Done()[0]); err != nil {
		t.Fatal(err)
	}
	got := e.wait(t, 2)
	if got[0].Message.MessageID != got[1].Message.MessageID || len(q.Done()) != 1 {
		t.Errorf("got %+v, want the same message twice", got)
	}
}

func TestPushReleasesTheLastFirst(t *testing.T) {
	e := newEndpoint(t, always(http.StatusNoContent))
	q := newQueue(t, e.URL, 20)
	q.Hold()
	for i, data := range []string{"a", "b", "c"} {
		q.publish(t, data)
		eventually(t, "the message is held", func() bool { return q.Held() == i+1 })
	}
	if n := len(q.Deliveries()); n != 0 {
		t.Errorf("%d deliveries while holding, want none", n)
	}
	q.Release()
	var order string
	for _, got := range e.wait(t, 3) {
		order += string(got.Message.Data)
	}
	if order != "cba" {
		t.Errorf("delivered in the order %q, want cba", order)
	}
}

func TestPushToNobodyIsTriedAgain(t *testing.T) {
	e := newEndpoint(t, always(http.StatusNoContent))
	q := newQueue(t, e.URL, 1000)
	down := make(chan struct{})
	q.Endpoint = func() (string, error) {
		select {
		case <-down:
			return e.URL, nil
		default:
			return "", errors.New("no process runs")
		}
	}
	q.publish(t, "a")
	eventually(t, "it was tried", func() bool { return len(q.Deliveries()) > 2 })
	if d := q.Deliveries()[0]; d.Err == nil || d.Status != 0 || d.Acknowledged() {
		t.Errorf("the first delivery is %+v, want one without an answer", d)
	}
	close(down)
	e.wait(t, 1)
	eventually(t, "the message is acknowledged", func() bool { return q.acknowledged("a") })
}

// roundTripper answers without a network.
type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func TestPushWaitsTwiceAsLongEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []int
		p := &Push{
			Endpoint: func() (string, error) { return "http://function.test", nil },
			Token:    func() (string, error) { return "", nil },
			Retry:    CloudRetry,
			Client: &http.Client{Transport: roundTripper(func(*http.Request) *http.Response {
				at = append(at, int(time.Since(begin).Seconds()))
				status := http.StatusServiceUnavailable
				if len(at) == 9 {
					status = http.StatusOK
				}
				return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(""))}
			})},
		}
		if err := p.deliver(t.Context(), &pubsub.Message{ID: "1"}); err != nil {
			t.Fatal(err)
		}
		if want := []int{0, 10, 30, 70, 150, 310, 630, 1230, 1830}; !slices.Equal(at, want) {
			t.Errorf("delivered at %d s, want %d", at, want)
		}
	})
}

func TestDeadLettersHaveASubscription(t *testing.T) {
	q := newQueue(t, "", 1)
	r := &pubsubpb.GetSubscriptionRequest{Subscription: subscriptionName("test", deadLetterTopic)}
	got, err := q.server.GServer.GetSubscription(t.Context(), r)
	if err != nil || got.Topic != topicName("test", deadLetterTopic) {
		t.Errorf("got %v, %v; want one of the topic %s", got, err, deadLetterTopic)
	}
}

// A run may be long: of what it delivered, ids and dead letters are kept to the end.
func TestPushKnowsAllEvents(t *testing.T) {
	const n = 2 * keptDeliveries
	var p Push
	for i := range n {
		p.record(Delivery{Attributes: map[string]string{"id": strconv.Itoa(i)}, Dead: i == 0})
	}
	if got := p.Events(); len(got) != n || got["0"]["id"] != "0" || len(p.Dead()) != 1 {
		t.Errorf("%d events and %d dead are known, want %d and 1", len(got), len(p.Dead()), n)
	}
	if got := len(p.Deliveries()); got > keptDeliveries {
		t.Errorf("%d deliveries are kept, want %d at most", got, keptDeliveries)
	}
}

// What is ordered waits until what is before it is done with, however often that fails; other orders don't.
func TestPushKeepsTheOrder(t *testing.T) {
	failures := 5
	e := newEndpoint(t, nil)
	e.answer = func(n int) int {
		if string(e.got[n-1].Message.Data) == "a1" && failures > 0 {
			failures--
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	}
	q := queueOf(t, e.URL, 20, event.AudioAppended, "integrations")
	for _, data := range []string{"a1", "a2", "b1", "a3", "b2", "a4"} {
		q.ordered(t, data[:1], data)
	}
	pushed := map[string][]string{}
	for _, got := range e.wait(t, 11) {
		order := string(got.Message.Data[:1])
		pushed[order] = append(pushed[order], string(got.Message.Data))
	}
	for order, want := range map[string][]string{"a": {"a1", "a1", "a1", "a1", "a1", "a1", "a2", "a3", "a4"}, "b": {"b1", "b2"}} {
		if !slices.Equal(pushed[order], want) {
			t.Errorf("pushed %q, want %q", pushed[order], want)
		}
	}
	eventually(t, "all are done with", func() bool { return len(q.Done()) == 6 && q.Waiting() == 0 })
}
