package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/oauth"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// Config is where telemetry goes and how much of it. The names are those of
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables, which also has times in ms.
type Config struct {
	// Endpoint is an OTLP receiver over gRPC: https://host:port, or http:// without TLS. One of Google's is sent the
	// service's credentials. Empty: nothing is measured.
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`

	SampleRatio      float64           `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"0.01"` // of traces, 0 to 1
	SpanDelayMS      int               `env:"OTEL_BSP_SCHEDULE_DELAY" envDefault:"5000"` // until spans are sent
	MetricIntervalMS int               `env:"OTEL_METRIC_EXPORT_INTERVAL" envDefault:"60000"`
	Resource         map[string]string `env:"OTEL_RESOURCE_ATTRIBUTES" envKeyValSeparator:"="` // of what runs: name=value, with commas between
	Version          string            `env:"K_REVISION"`                                      // of the service
}

const (
	maxPoints = 200 // that Google's receiver takes in one request

	// exportLimit is how long one export may take, and flushLimit the last one: 8 of the 10 s that Cloud Run gives
	// belong to the requests that are under way, and one to those that don't end.
	exportLimit = 10 * time.Second
	flushLimit  = 800 * time.Millisecond
)

// eventNotFlushed is the name of the event that is logged.
const eventNotFlushed = "telemetry_not_flushed"

// Start sets the global providers and the propagator, which is W3C trace context. To be called before any client is
// opened. What it gives sends what is left, within 800 ms; it is to be called last. It fails for an endpoint that is
// no URL, or is Google's where there are no credentials.
func Start(ctx context.Context, cfg Config, service string) (stop func(), err error) {
	const op = "start telemetry"
	otel.SetTextMapPropagator(propagation.TraceContext{})
	if cfg.Endpoint == "" {
		return func() {}, nil
	}
	otel.SetErrorHandler(&complaints{log: logging.From(ctx)})
	conn, err := dial(ctx, cfg.Endpoint)
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithGRPCConn(conn), otlptracegrpc.WithTimeout(exportLimit))
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	points, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithGRPCConn(conn), otlpmetricgrpc.WithTimeout(exportLimit))
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	res := describe(cfg, service)
	tracers := trace.NewTracerProvider(trace.WithResource(res), trace.WithSampler(sampler(cfg.SampleRatio)),
		trace.WithBatcher(spans, trace.WithBatchTimeout(milliseconds(cfg.SpanDelayMS)), trace.WithExportTimeout(exportLimit)))
	meters := metric.NewMeterProvider(metric.WithResource(res), metric.WithView(ownOnly),
		metric.WithReader(metric.NewPeriodicReader(points, metric.WithInterval(milliseconds(cfg.MetricIntervalMS)),
			metric.WithTimeout(exportLimit), metric.WithMaxExportBatchSize(maxPoints))))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	return func() {
		flush(context.WithoutCancel(ctx), tracers.Shutdown, meters.Shutdown)
		_ = conn.Close() // it has served
	}, nil
}

// describe says what runs. The instance has a new name with each process.
func describe(cfg Config, service string) *resource.Resource {
	attributes := []attribute.KeyValue{semconv.ServiceName(service), semconv.ServiceInstanceID(uuid.NewString())}
	if cfg.Version != "" {
		attributes = append(attributes, semconv.ServiceVersion(cfg.Version))
	}
	for name, value := range cfg.Resource {
		attributes = append(attributes, attribute.String(name, value))
	}
	return resource.NewWithAttributes(semconv.SchemaURL, attributes...)
}

// sampler decides by the trace's id where a trace comes in, and follows that decision within the process.
func sampler(ratio float64) trace.Sampler {
	byID := trace.TraceIDRatioBased(ratio)
	return trace.ParentBased(byID, trace.WithRemoteParentSampled(byID), trace.WithRemoteParentNotSampled(byID))
}

// ownOnly drops the instruments of libraries.
func ownOnly(i metric.Instrument) (metric.Stream, bool) {
	if strings.HasPrefix(i.Scope.Name, "earshot.dev/") {
		return metric.Stream{}, false
	}
	return metric.Stream{Aggregation: metric.AggregationDrop{}}, true
}

// dial makes the connection that both exporters share; it connects when it is used.
func dial(ctx context.Context, endpoint string) (*grpc.ClientConn, error) {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL")
	}
	if address.Scheme == "http" {
		return grpc.NewClient(address.Host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	target := address.Host
	if address.Port() == "" {
		target += ":443"
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(nil))}
	if strings.HasSuffix(address.Hostname(), ".googleapis.com") {
		own, err := oauth.NewApplicationDefault(ctx, "https://www.googleapis.com/auth/cloud-platform")
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithPerRPCCredentials(own))
	}
	return grpc.NewClient(target, options...)
}

// flush sends what is left, spans and points at the same time.
func flush(ctx context.Context, shutdowns ...func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	done := make(chan error, len(shutdowns))
	for _, shutdown := range shutdowns {
		go func() { done <- shutdown(ctx) }()
	}
	for range shutdowns {
		if err := <-done; err != nil {
			logging.From(ctx).WarnContext(ctx, eventNotFlushed, slog.String("error", err.Error()))
		}
	}
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }
