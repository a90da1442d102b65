package logging

import (
	"context"
	"log/slog"
	"strings"
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

// WithTrace binds a W3C traceparent (version-traceid-parentid-flags), so that Cloud Logging shows the lines with
// their trace. Anything that is no traceparent changes nothing.
func WithTrace(ctx context.Context, traceparent string) context.Context {
	b, ok := From(ctx).Handler().(binder)
	if !ok {
		return ctx
	}
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || !lowerHex(parts[1], 32) || !lowerHex(parts[2], 16) {
		return ctx
	}
	return NewContext(ctx, slog.New(b.withTrace(parts[1], parts[2])))
}

func lowerHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}
