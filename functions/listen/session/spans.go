package session

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"earshot.dev/shared/conversation"
)

// startSpan begins a span below that of ctx. A session has no span of its own: one is sent when it ends, and this one would in an hour. It has spans of what it
// does with others, all below the one in which the client was let in: open, attach, save and end of a conversation,
// close. Frames have none.
func startSpan(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	return otel.Tracer("earshot.dev/functions/listen/session").Start(ctx, name, trace.WithAttributes(attributes...))
}

// beginSave begins the span of a commit.
func beginSave(ctx context.Context, c *conversation.Conversation) (context.Context, trace.Span) {
	name := "save"
	if c.Status != conversation.Live {
		name = "end conversation"
	}
	return startSpan(ctx, name, attribute.String("conversation_id", c.ID), attribute.Int("words", c.Words))
}

// closing makes a span of what there is to do from the reason to end until the end. What it gives is to be called then.
func (s *Session) closing(ctx context.Context) (closed func()) {
	began := make(chan trace.Span, 1)
	context.AfterFunc(s.stopping, func() {
		_, span := startSpan(ctx, "close", attribute.String("reason", s.reason().Name))
		began <- span
	})
	return func() {
		s.Stop(ClientGone) // where nobody had a reason
		(<-began).End()
	}
}
