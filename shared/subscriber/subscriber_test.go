package subscriber

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var sent = event.Event{
	ID: "c1:ended:3", Type: event.ConversationEnded, Subject: "u1/c1",
	Time:        time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC),
	Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	Data:        json.RawMessage(`{"uid":"u1","conversation_id":"c1","revision":3}`),
}

// body is a push of an event as Pub/Sub sends it.
func body(t testing.TB, e event.Event, change func(attributes map[string]string)) []byte {
	t.Helper()
	attributes := map[string]string{
		"id": e.ID, "type": e.Type, "subject": e.Subject, "time": e.Time.Format(time.RFC3339Nano), "traceparent": e.Traceparent,
	}
	if change != nil {
		change(attributes)
	}
	encoded, err := json.Marshal(map[string]any{
		"message": map[string]any{
			"data": []byte(e.Data), "attributes": attributes, "messageId": "1234", "message_id": "1234",
			"publishTime": "2026-11-23T10:00:01.5Z",
		},
		"subscription":    "projects/p/subscriptions/finalize",
		"deliveryAttempt": 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// pushed is a subscriber behind what the functions framework makes of a CloudEvent function.
func pushed(t testing.TB, sub *Subscriber) http.Handler {
	t.Helper()
	protocol, err := cloudevents.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	framework, err := cloudevents.NewHTTPReceiveHandler(context.Background(), protocol, sub.Receive)
	if err != nil {
		t.Fatal(err)
	}
	return sub.Push(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		framework.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
	}))
}

type handlers = map[string]func(context.Context, event.Event) error

// push gives the status of the answer to a push, and the lines that were logged.
func push(ctx context.Context, handler http.Handler, body []byte) (status int, logged string) {
	var out bytes.Buffer
	ctx = logging.NewContext(ctx, logging.New(&out, logging.Config{Level: slog.LevelInfo}, "test"))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body)))
	return w.Code, out.String()
}

func TestEventArrivesWhole(t *testing.T) {
	var got event.Event
	var line bytes.Buffer
	handler := pushed(t, New(handlers{sent.Type: func(ctx context.Context, e event.Event) error {
		got = e
		logging.From(ctx).InfoContext(ctx, "seen")
		return nil
	}}))
	ctx := logging.NewContext(t.Context(), logging.New(&line, logging.Config{}, "test"))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body(t, sent, nil))))
	if w.Code != http.StatusNoContent {
		t.Fatalf("got status %d, want 204", w.Code)
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("the event changed on its way (-sent +got):\n%s", diff)
	}
	for _, want := range []string{
		`"event_id":"c1:ended:3","event_type":"conversation.ended.v1","uid":"u1","conversation_id":"c1"`,
		`"logging.googleapis.com/trace":"4bf92f3577b34da6a3ce929d0e0e4736"`,
	} {
		if !strings.Contains(line.String(), want) {
			t.Errorf("the handler's line %s lacks %s", line.String(), want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	const secret = "said in confidence"
	sent := sent
	sent.Data = json.RawMessage(`"` + secret + `"`)
	for _, tt := range []struct {
		name     string
		handler  func(context.Context, event.Event) error
		body     []byte
		status   int
		severity string // of the one line; none if empty
		says     string
	}{
		{name: "done", handler: returns(nil), status: 204},
		{name: "busy", handler: returns(fault.New(fault.Busy, "lock", errors.New("held"))), status: 503, severity: "INFO", says: "lock: held"},
		{name: "dependency", handler: returns(fault.New(fault.Unavailable, "read", errors.New("x"))), status: 503, severity: "WARNING"},
		{name: "bug", handler: returns(errors.New("x")), status: 503, severity: "ERROR"},
		{name: "payload", handler: returns(fault.New(fault.Invalid, "decode", errors.New("x"))), status: 400, severity: "ERROR"},
		{name: "critical", handler: returns(fault.Escalate(fault.Critical, errors.New("x"))), status: 503, severity: "CRITICAL"},
		{name: "panic", handler: func(context.Context, event.Event) error { panic("boom") }, status: 503, severity: "CRITICAL", says: "panic: boom"},
		{name: "nobody's type", body: body(t, sent, func(a map[string]string) { a["type"] = "x.v1" }), status: 400, severity: "ERROR", says: `\"x.v1\"`},
		{name: "no id", body: body(t, sent, func(a map[string]string) { delete(a, "id") }), status: 400, severity: "ERROR"},
		{name: "no type", body: body(t, sent, func(a map[string]string) { delete(a, "type") }), status: 400, severity: "ERROR"},
		{name: "no subject", body: body(t, sent, func(a map[string]string) { delete(a, "subject") }), status: 400, severity: "ERROR"},
		{name: "no time", body: body(t, sent, func(a map[string]string) { a["time"] = "noon" }), status: 400, severity: "ERROR"},
		{name: "no JSON", body: []byte(secret), status: 400, severity: "ERROR"},
		{name: "other JSON", body: []byte(`{"message":"` + secret + `"}`), status: 400, severity: "ERROR"},
		{name: "no base64", body: []byte(`{"message":{"data":"` + secret + `"}}`), status: 400, severity: "ERROR"},
		{name: "no time of publishing", body: []byte(`{"message":{"publishTime":"` + secret + `"}}`), status: 400, severity: "ERROR"},
		{name: "too large", body: bytes.Repeat([]byte(" "), maxBody+1), status: 400, severity: "ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.body == nil {
				tt.body = body(t, sent, nil)
			}
			sub := New(handlers{sent.Type: tt.handler})
			status, logged := push(t.Context(), pushed(t, sub), tt.body)
			if status != tt.status {
				t.Errorf("got status %d, want %d; logged %s", status, tt.status, logged)
			}
			want := 1
			if tt.severity == "" {
				want = 0
			}
			if got := strings.Count(logged, "\n"); got != want {
				t.Fatalf("got %d lines, want %d: %s", got, want, logged)
			}
			if want == 1 && !strings.HasPrefix(logged, `{"severity":"`+tt.severity+`"`) || !strings.Contains(logged, tt.says) {
				t.Errorf("want severity %s and %q in %s", tt.severity, tt.says, logged)
			}
			if strings.Contains(logged, secret) {
				t.Errorf("the payload is in the log: %s", logged)
			}
			if len(sub.waiting) != 0 {
				t.Errorf("%d attempts still wait", len(sub.waiting))
			}
		})
	}
}

func returns(err error) func(context.Context, event.Event) error {
	return func(context.Context, event.Event) error { return err }
}

func TestStackOfPanicIsLogged(t *testing.T) {
	sub := New(handlers{sent.Type: func(context.Context, event.Event) error { return panics() }})
	_, logged := push(t.Context(), pushed(t, sub), body(t, sent, nil))
	if !strings.Contains(logged, "subscriber.panics(") {
		t.Errorf("where it panicked is not in %s", logged)
	}
}

//go:noinline
func panics() error { panic("boom") }

// Pushes at once, of which each third is given up beforehand: each is handled under its own context and answered by
// what its own event came to. The framework takes contexts crosswise.
func TestManyAtOnce(t *testing.T) {
	type key struct{}
	handler := pushed(t, New(handlers{sent.Type: func(ctx context.Context, e event.Event) error {
		if got := ctx.Value(key{}); got != e.ID {
			return fmt.Errorf("event %s under the context of %v", e.ID, got)
		}
		if strings.HasSuffix(e.ID, "0") {
			return fault.New(fault.Invalid, "handle", errors.New("no tens"))
		}
		return ctx.Err()
	}}))
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			e := sent
			e.ID = fmt.Sprint(i)
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, e.ID))
			defer cancel()
			want := http.StatusNoContent
			switch {
			case i%10 == 0:
				want = http.StatusBadRequest
			case i%3 == 0:
				want = http.StatusServiceUnavailable
				cancel()
			}
			if status, logged := push(ctx, handler, body(t, e, nil)); status != want {
				t.Errorf("event %d: got status %d, want %d: %s", i, status, want, logged)
			}
		})
	}
	wg.Wait()
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := pushed(t, New(handlers{sent.Type: func(ctx context.Context, _ event.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}}))
		start := time.Now()
		status, _ := push(t.Context(), handler, body(t, sent, nil))
		if took := time.Since(start); status != http.StatusServiceUnavailable || took != 9*time.Minute {
			t.Errorf("got status %d after %v, want 503 after 9 minutes", status, took)
		}
	})
}

// Whoever goes away takes the handler's context with him: his answer can't be given.
func TestCancelledPush(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	handler := pushed(t, New(handlers{sent.Type: func(ctx context.Context, _ event.Event) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}))
	if status, _ := push(ctx, handler, body(t, sent, nil)); status != http.StatusServiceUnavailable {
		t.Errorf("got status %d, want 503", status)
	}
}

// An event that comes past Push, or whose attempt is over, reaches no handler.
func TestReceiveWithoutPush(t *testing.T) {
	sub := New(handlers{sent.Type: func(context.Context, event.Event) error {
		t.Error("the handler was called")
		return nil
	}})
	ce := cloudevents.NewEvent()
	ce.SetType(sent.Type)
	for _, number := range []any{nil, "", "1", "nonsense"} {
		if number != nil {
			ce.SetExtension(attemptExtension, number)
		}
		if err := sub.Receive(t.Context(), ce); err == nil {
			t.Errorf("attempt %v: no error", number)
		}
	}
}

func TestOnlyPosts(t *testing.T) {
	w := httptest.NewRecorder()
	pushed(t, New(nil)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("got status %d, want 405", w.Code)
	}
}

// Whatever comes in, the answer is one that Pub/Sub understands, and what the handler gets is what was sent.
func FuzzPush(f *testing.F) {
	for _, seed := range [][]byte{
		body(f, sent, nil),
		body(f, event.Event{ID: "i d", Type: sent.Type, Subject: "ü/\n\x00", Time: sent.Time}, nil),
		body(f, sent, func(a map[string]string) { a["traceparent"] = "\xff" }),
		[]byte(`{}`), []byte(`{"message":{"data":"!"}}`), []byte(`{"message":null,"deliveryAttempt":-1}`), []byte("\x00"),
	} {
		f.Add(seed)
	}
	handler := pushed(f, New(handlers{sent.Type: returns(nil)}))
	f.Fuzz(func(t *testing.T, body []byte) {
		status, logged := push(t.Context(), handler, body)
		if status != http.StatusNoContent && status != http.StatusBadRequest {
			t.Errorf("got status %d for %q: %s", status, body, logged)
		}
		if m, err := parse(body); err == nil && m.Message.Attributes["type"] == sent.Type && status != http.StatusNoContent {
			t.Errorf("got status %d for a whole event, %q: %s", status, body, logged)
		}
	})
}
