package sweeper

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"earshot.dev/shared/event"
	"earshot.dev/shared/logging"
)

// measured has what is measured from its first call on: instruments go to the first provider for good.
var measured = sync.OnceValue(func() *metric.ManualReader {
	reader := metric.NewManualReader(metric.WithTemporalitySelector(
		func(metric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	return reader
})

// untoldFor gives for how long a change has been untold, in seconds, if that was recorded since the last call.
func untoldFor(t *testing.T, reader *metric.ManualReader) (seconds float64, recorded bool) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			points, ok := m.Data.(metricdata.Gauge[float64])
			if !ok || m.Name != "earshot.sweep.oldest" {
				continue
			}
			for _, p := range points.DataPoints {
				if kind, _ := p.Attributes.Value("kind"); kind.AsString() == "untold" {
					return p.Value, true
				}
			}
		}
	}
	return 0, false
}

// A pass that failed must not look like one that found nothing: alerts wait for sweep_done, and for what is late.
func TestSignals(t *testing.T) {
	reader := measured()
	for _, tt := range []struct {
		name   string
		broken func(m *memory, b *board)
		done   bool
		late   bool // it says how late things are
	}{
		{"nothing fails", func(*memory, *board) {}, true, true},
		{"the store doesn't answer", func(m *memory, _ *board) { m.down = errDown }, false, false},
		{"a conversation fails", func(_ *memory, b *board) {
			b.fail = func(event.Event) error { return errDown }
		}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m, b := newSweeper()
				m.add("c", time.Now().Add(-time.Hour), end)
				tt.broken(m, b)
				var log bytes.Buffer
				ctx := logging.NewContext(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)))
				if _, err := s.Sweep(ctx); (err == nil) != tt.done {
					t.Errorf("got %v, want success %v", err, tt.done)
				}
				if got := strings.Contains(log.String(), `"msg":"sweep_done"`); got != tt.done {
					t.Errorf("got sweep_done %v, want %v:\n%s", got, tt.done, &log)
				}
			})
			got, told := untoldFor(t, reader)
			if told != tt.late || told && got != 3600 {
				t.Errorf("got that something is late by %v s (said: %v), want an hour if said: %v", got, told, tt.late)
			}
		})
	}
}
