// Package tracing takes traces across what knows no context: a message, a stored document, a request. A trace travels
// as a W3C traceparent (https://www.w3.org/TR/trace-context/#traceparent-header), 55 characters.
package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"earshot.dev/shared/fault"
)

const traceparent = "traceparent"

// Parent is the traceparent for what the current span causes; empty where there is no trace.
func Parent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[traceparent]
}

// Continue gives a context in which spans belong to the trace of a traceparent. One that is none, such as "", leaves the
// context as it is.
func Continue(ctx context.Context, parent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparent: parent})
}

// Incoming is Continue for a request that comes in, and Outgoing tells one that goes out of the current span.
func Incoming(ctx context.Context, header http.Header) context.Context {
	return Continue(ctx, header.Get(traceparent))
}

// Outgoing sets the header of a request that the current span causes.
func Outgoing(ctx context.Context, header http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
}

// End ends a span, as failed where err is one. It says of err what kind it is and no more: texts of errors are for the
// log, which says the trace.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, fault.KindOf(err).String())
	}
	span.End()
}
