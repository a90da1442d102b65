// Package subscriber takes events from Pub/Sub push subscriptions to their handlers, through the functions framework,
// and answers each push by what became of it.
//
// The outcome of a handler doesn't travel through the framework, which would print it as text and answer 500 to
// whatever it is. Push stands in front of the framework and waits there; Receive, behind it, finds who waits by the
// attempt that the event carries, runs the handler under the context of the waiting push, and leaves the outcome.
//
//	framework, err := server.CloudEvents(ctx, sub.Receive)
//	handler := sub.Push(framework)
package subscriber

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/tracing"
)

// scope is whose spans they are.
const scope = "earshot.dev/shared/subscriber"

// Names of the events that are logged here.
const (
	eventHandled = "event_handled"
	eventFailed  = "event_failed"
)

// Subscriber takes events to the handlers of their types.
type Subscriber struct {
	// Timeout ends the context of a handler; to be set before the first push. By default 9 minutes: Pub/Sub gives up
	// on a push after at most 10, and delivers again.
	Timeout time.Duration

	handlers map[string]func(context.Context, event.Event) error

	mu       sync.Mutex
	attempts uint64
	waiting  map[string]*attempt // by the number of the attempt
}

// attempt is a push that waits for its handler.
type attempt struct {
	ctx     context.Context
	outcome chan error // of one
}

// New makes a Subscriber of handlers by type of event. A handler that returns nil has done its work, or durably
// recorded that it can't be done; what its error means to Pub/Sub is said by fault.Kind.PushStatus.
func New(handlers map[string]func(context.Context, event.Event) error) *Subscriber {
	return &Subscriber{Timeout: 9 * time.Minute, handlers: handlers, waiting: make(map[string]*attempt)}
}

// Push answers Pub/Sub push requests, with next, the functions framework, between it and Receive: 204 if the event
// is done with, 503 if it has to come again, 400 if it can never be understood and belongs in the dead letter topic.
// Each failure is logged here, once, without the payload.
func (s *Subscriber) Push(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "POST a push", http.StatusMethodNotAllowed)
			return
		}
		start := time.Now()
		m, err := read(w, r)
		ctx, span := s.trace(r.Context(), &m)
		ctx = m.bind(ctx)
		if err == nil {
			err = s.deliver(ctx, m, next)
		}
		tracing.End(span, err)
		if err == nil {
			logging.From(ctx).DebugContext(ctx, eventHandled, "took", time.Since(start))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		status := fault.KindOf(err).PushStatus()
		if status == http.StatusBadRequest && fault.SeverityOf(err) < fault.High {
			err = fault.Escalate(fault.High, err) // it won't come right by itself
		}
		logging.Error(ctx, eventFailed, err, slog.Int("status", status), slog.String("message_id", m.Message.ID),
			slog.Int("delivery", m.DeliveryAttempt), slog.Duration("took", time.Since(start)))
		w.WriteHeader(status)
	})
}

// deliver passes a message to the framework as a CloudEvent and waits for what its handler says.
func (s *Subscriber) deliver(ctx context.Context, m message, next http.Handler) error {
	number, a := s.wait(ctx)
	defer s.take(number)
	request, err := m.cloudEvent(ctx, number)
	if err != nil {
		return fault.New(fault.Invalid, "push", err)
	}
	answer := answer{header: make(http.Header), status: http.StatusOK}
	next.ServeHTTP(&answer, request)
	select {
	case err := <-a.outcome:
		return err
	default:
		return fault.Newf(fault.Invalid, "push", "the framework refused the event with status %d", answer.status)
	}
}

// Receive is the function to register with the framework. It returns an error, and the framework prints it, only for
// an event that didn't come through Push.
func (s *Subscriber) Receive(_ context.Context, ce cloudevents.Event) error {
	number, _ := ce.Extensions()[attemptExtension].(string)
	a := s.take(number)
	if a == nil {
		return fault.Newf(fault.Forbidden, "receive", "no push waits for this event")
	}
	// Not the framework's context, which may be that of another request.
	a.outcome <- s.handle(a.ctx, eventOf(ce))
	return nil
}

func (s *Subscriber) handle(ctx context.Context, e event.Event) (err error) {
	handler, ok := s.handlers[e.Type]
	if !ok {
		return fault.Newf(fault.Invalid, "handle", "no handler for events of type %q", e.Type)
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			err = logging.Recovered(value)
		}
	}()
	return handler(ctx, e)
}

func (s *Subscriber) wait(ctx context.Context) (number string, a *attempt) {
	a = &attempt{ctx: ctx, outcome: make(chan error, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	number = strconv.FormatUint(s.attempts, 10)
	s.waiting[number] = a
	return number, a
}

// take gives the attempt of a number, once.
func (s *Subscriber) take(number string) *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.waiting[number]
	delete(s.waiting, number)
	return a
}

// answer keeps the status of the framework's answer and nothing else of it.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
func (a *answer) WriteHeader(status int)      { a.status = status }

// trace begins a span for the event, in the trace of what caused it. It is linked to that of the push, which belongs to
// Pub/Sub's delivery.
func (s *Subscriber) trace(ctx context.Context, m *message) (context.Context, trace.Span) {
	attributes, name := m.Message.Attributes, "process"
	if _, ok := s.handlers[attributes["type"]]; ok {
		name += " " + attributes["type"]
	}
	push := trace.LinkFromContext(ctx)
	return otel.Tracer(scope).Start(tracing.Continue(ctx, attributes["traceparent"]), name,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(push), trace.WithAttributes(
			attribute.String("event_id", attributes["id"]), attribute.Int("delivery", m.DeliveryAttempt)))
}

// bind binds what tells the event apart to all that is logged about it.
func (m *message) bind(ctx context.Context) context.Context {
	attributes := m.Message.Attributes
	uid, conversation, _ := strings.Cut(attributes["subject"], "/")
	var labels []slog.Attr
	for _, label := range []struct{ key, value string }{
		{"event_id", attributes["id"]},
		{"event_type", attributes["type"]},
		{"uid", uid},
		{"conversation_id", conversation},
	} {
		if label.value != "" {
			labels = append(labels, slog.String(label.key, label.value))
		}
	}
	return logging.WithTrace(logging.With(ctx, labels...))
}
