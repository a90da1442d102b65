package logging

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

type contextKey struct{}

// NewContext gives a context that carries the logger.
func NewContext(ctx context.Context, logger *slog.Logger) context.Context {
	return context.WithValue(ctx, contextKey{}, logger)
}

// From is the logger that the context carries, or slog's default.
func From(ctx context.Context) *slog.Logger {
	if logger, ok := ctx.Value(contextKey{}).(*slog.Logger); ok {
		return logger
	}
	return slog.Default()
}

// binder is a handler that keeps what identifies a piece of work apart from what a line says.
type binder interface {
	withLabels(attrs []slog.Attr) slog.Handler
	withTrace(traceID, spanID string) slog.Handler
}

// With binds attributes, once, to all that is logged below: uid, session_id, conversation_id and their like. In
// Cloud Logging they become labels.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	handler := From(ctx).Handler()
	if b, ok := handler.(binder); ok {
		return NewContext(ctx, slog.New(b.withLabels(attrs)))
	}
	return NewContext(ctx, slog.New(handler.WithAttrs(attrs)))
}

// WithTrace binds the current span, so that Cloud Logging shows the lines with their trace. Where there is none, it
// changes nothing.
func WithTrace(ctx context.Context) context.Context {
	b, ok := From(ctx).Handler().(binder)
	span := trace.SpanContextFromContext(ctx)
	if !ok || !span.IsValid() {
		return ctx
	}
	return NewContext(ctx, slog.New(b.withTrace(span.TraceID().String(), span.SpanID().String())))
}
