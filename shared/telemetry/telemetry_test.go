package telemetry_test

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"earshot.dev/shared/otlptest"
	"earshot.dev/shared/telemetry"
	"earshot.dev/shared/tracing"
)

// sampled and dropped are traces that a ratio of one half keeps and doesn't: it goes by the id's last 8 bytes.
const (
	sampled = "4bf92f3577b34da6000000000e0e4736"
	dropped = "4bf92f3577b34da6ffffffff0e0e4736"
)

func receive(t *testing.T) *otlptest.Receiver {
	t.Helper()
	r, err := otlptest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// What was measured arrives when the service ends, long before the next export is due, with what says whose it is.
func TestStopFlushes(t *testing.T) {
	r := receive(t)
	stop, err := telemetry.Start(t.Context(), telemetry.Config{
		Endpoint: r.Endpoint(), SampleRatio: 0.5, SpanDelayMS: 3_600_000, MetricIntervalMS: 3_600_000,
		Version: "v7", Resource: map[string]string{"cloud.region": "here"},
	}, "test")
	if err != nil {
		t.Fatal(err)
	}
	// A caller's own decision, the last two digits, counts for nothing.
	for _, parent := range []string{"00-" + sampled + "-00f067aa0ba902b7-00", "00-" + dropped + "-00f067aa0ba902b7-01"} {
		ctx := tracing.Continue(t.Context(), parent)
		ctx, outer := otel.Tracer("earshot.dev/test").Start(ctx, "outer")
		_, inner := otel.Tracer("earshot.dev/test").Start(ctx, "inner")
		inner.End()
		outer.End()
	}
	count(t, "earshot.dev/test", 3)
	count(t, "another.library/of/somebody", 4)
	stop()

	spans := r.All()
	if len(spans) != 2 || spans[0].TraceID != sampled || spans[1].TraceID != sampled {
		t.Fatalf("spans: got %+v, want two of the trace %s", spans, sampled)
	}
	if s := spans[0]; s.Name != "outer" || s.ParentID != "00f067aa0ba902b7" || s.Service != "test" || s.Instance == "" {
		t.Errorf("got %+v, want outer below the caller's span", s)
	}
	all := r.Metrics()
	if len(all) != 1 || all[0].GetName() != "earshot.test" || all[0].Service != "test" {
		t.Fatalf("metrics: got %v, want earshot.test alone: a library's cost without being read", all)
	}
	if got := all[0].GetSum().GetDataPoints()[0].GetAsInt(); got != 3 {
		t.Errorf("the counter: got %d, want 3", got)
	}
}

func count(t *testing.T, scope string, n int64) {
	t.Helper()
	counter, err := otel.Meter(scope).Int64Counter("earshot.test")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), n)
}

// A receiver that is not there costs a service that ends no more than its time is worth.
func TestStopIsBounded(t *testing.T) {
	r := receive(t)
	r.Stop()
	stop, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: r.Endpoint(), SampleRatio: 1, SpanDelayMS: 1000, MetricIntervalMS: 1000}, "test")
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("earshot.dev/test").Start(t.Context(), "lost")
	span.End()
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second { // of a busy machine; the exporter by itself would try for 10
		t.Errorf("stop took %v, want 0.8 s and a little: an instance is killed 10 s after SIGTERM, and 9 are spent", took)
	}
}

// Where nothing is exported, a trace that comes in still goes on to others, and no span is recorded.
func TestNowhere(t *testing.T) {
	stop, err := telemetry.Start(t.Context(), telemetry.Config{SampleRatio: 1}, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	const parent = "00-" + sampled + "-00f067aa0ba902b7-01"
	ctx, span := otel.Tracer("earshot.dev/test").Start(tracing.Continue(t.Context(), parent), "nothing")
	defer span.End()
	if got := tracing.Parent(ctx); !strings.Contains(got, sampled) || span.IsRecording() {
		t.Errorf("got %q, recording %v, want the trace of %q and no record", got, span.IsRecording(), parent)
	}
}

func TestBadEndpoint(t *testing.T) {
	for _, endpoint := range []string{"localhost:4317", "ftp://host", "https://", "::"} {
		if _, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: endpoint}, "test"); err == nil {
			t.Errorf("endpoint %q: want an error, since nothing would ever arrive", endpoint)
		}
	}
}

// What travels as text is what the context held.
func TestTraceparent(t *testing.T) {
	const parent = "00-" + sampled + "-00f067aa0ba902b7-01"
	ctx := tracing.Continue(t.Context(), parent)
	if got := tracing.Parent(ctx); got != parent {
		t.Errorf("got %q, want %q", got, parent)
	}
	if got := tracing.Parent(tracing.Continue(ctx, "no traceparent")); got != parent {
		t.Errorf("after nonsense: got %q, want %q", got, parent)
	}
	if got := tracing.Parent(t.Context()); got != "" || trace.SpanContextFromContext(t.Context()).IsValid() {
		t.Errorf("without a trace: got %q", got)
	}
}
