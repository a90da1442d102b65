// Package otlptest is a receiver of OpenTelemetry's traces and metrics for tests and the local run: what it is sent by OTLP
// over gRPC it keeps, to be asked for.
package otlptest

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Span is a span as it came.
type Span struct {
	Service, Instance         string // service.name and service.instance.id
	TraceID, SpanID, ParentID string // in hexadecimal; ParentID is "" for the first of a trace
	Name                      string
	Attributes                map[string]string // all of them, as text
	Links                     []string          // ids of spans
	Failed                    bool
	Start, End                time.Time
	Kind                      traces.Span_SpanKind
}

// Metric is what an instrument of an instance had measured when it came.
type Metric struct {
	Service, Instance string // service.name and service.instance.id
	Scope             string // whose instrument it is, the name of its meter
	*metrics.Metric
}

// Receiver keeps what it is sent: all spans, and of each metric what came last.
type Receiver struct {
	collectortraces.UnimplementedTraceServiceServer

	server   *grpc.Server
	listener net.Listener

	mu      sync.Mutex
	spans   []Span
	metrics map[metricKey]Metric
	arrived chan struct{} // closed, and made anew, by each request
}

type metricKey struct{ instance, scope, name string }

// Start starts a receiver on a free port of the loopback address.
func Start(ctx context.Context) (*Receiver, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the OTLP receiver: %w", err)
	}
	r := &Receiver{
		server: grpc.NewServer(), listener: listener,
		metrics: make(map[metricKey]Metric), arrived: make(chan struct{}),
	}
	collectortraces.RegisterTraceServiceServer(r.server, r)
	collectormetrics.RegisterMetricsServiceServer(r.server, &metricsService{receiver: r})
	go func() { _ = r.server.Serve(listener) }() // until Stop
	return r, nil
}

// Stop ends it.
func (r *Receiver) Stop() { r.server.Stop() }

// Endpoint is its address as OTEL_EXPORTER_OTLP_ENDPOINT has it.
func (r *Receiver) Endpoint() string { return "http://" + r.listener.Addr().String() }

// Export takes spans.
func (r *Receiver) Export(_ context.Context, request *collectortraces.ExportTraceServiceRequest) (*collectortraces.ExportTraceServiceResponse, error) {
	var got []Span
	for _, of := range request.GetResourceSpans() {
		service, instance := identity(of.GetResource())
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				got = append(got, span(service, instance, s))
			}
		}
	}
	r.keep(func() { r.spans = append(r.spans, got...) })
	return &collectortraces.ExportTraceServiceResponse{}, nil
}

func span(service, instance string, s *traces.Span) Span {
	got := Span{
		Service: service, Instance: instance, Name: s.GetName(), Kind: s.GetKind(),
		TraceID: hex.EncodeToString(s.GetTraceId()), SpanID: hex.EncodeToString(s.GetSpanId()),
		ParentID: hex.EncodeToString(s.GetParentSpanId()), Attributes: attributes(s.GetAttributes()),
		Failed: s.GetStatus().GetCode() == traces.Status_STATUS_CODE_ERROR,
		Start:  nano(s.GetStartTimeUnixNano()), End: nano(s.GetEndTimeUnixNano()),
	}
	for _, link := range s.GetLinks() {
		got.Links = append(got.Links, hex.EncodeToString(link.GetSpanId()))
	}
	return got
}

func nano(n uint64) time.Time { return time.Unix(0, int64(n)) } //nolint:gosec // until 2262

// metricsService is apart from Receiver because both services call their method Export.
type metricsService struct {
	collectormetrics.UnimplementedMetricsServiceServer

	receiver *Receiver
}

// Export takes metrics.
func (s *metricsService) Export(_ context.Context, request *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	r := s.receiver
	r.keep(func() {
		for _, of := range request.GetResourceMetrics() {
			service, instance := identity(of.GetResource())
			for _, scope := range of.GetScopeMetrics() {
				name := scope.GetScope().GetName()
				for _, m := range scope.GetMetrics() {
					r.metrics[metricKey{instance, name, m.GetName()}] = Metric{service, instance, name, m}
				}
			}
		}
	})
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

func (r *Receiver) keep(add func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add()
	close(r.arrived)
	r.arrived = make(chan struct{})
}

// Spans gives the spans of a trace so far, by their start.
func (r *Receiver) Spans(traceID string) []Span {
	all := r.All()
	return slices.DeleteFunc(all, func(s Span) bool { return s.TraceID != traceID })
}

// All gives all spans so far, by their start.
func (r *Receiver) All() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.spans)
	slices.SortStableFunc(all, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return all
}

// Metrics gives what came last of each metric of each instance that ever was, by name, service and instance. Counters
// are cumulative: the sum over the instances is the sum of all.
func (r *Receiver) Metrics() []Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Metric, 0, len(r.metrics))
	for _, m := range r.metrics {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Metric) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Instance, b.Instance))
	})
	return all
}

// Wait returns when holds does, which is asked after each request that came.
func (r *Receiver) Wait(ctx context.Context, holds func() bool) error {
	for {
		r.mu.Lock()
		arrived := r.arrived
		r.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return fmt.Errorf("wait for telemetry: %w", context.Cause(ctx))
		}
	}
}

func identity(r *resource.Resource) (service, instance string) {
	all := attributes(r.GetAttributes())
	return all["service.name"], all["service.instance.id"]
}

func attributes(list []*common.KeyValue) map[string]string {
	all := make(map[string]string, len(list))
	for _, a := range list {
		if value, ok := a.GetValue().GetValue().(*common.AnyValue_StringValue); ok {
			all[a.GetKey()] = value.StringValue
		} else {
			all[a.GetKey()] = a.GetValue().String()
		}
	}
	return all
}
