package webhook

import (
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"earshot.dev/shared/tracing"
)

// traced makes a span of each request, and tells the receiver of it. The usual library's would keep the address, which
// may hold a token.
type traced struct{ *http.Transport }

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := otel.Tracer("earshot.dev/functions/integrations/webhook").Start(r.Context(), "post webhook",
		trace.WithSpanKind(trace.SpanKindClient))
	r = r.Clone(ctx)
	tracing.Outgoing(ctx, r.Header)
	answer, err := t.Transport.RoundTrip(r)
	if err == nil {
		span.SetAttributes(attribute.Int("http.response.status_code", answer.StatusCode))
	}
	tracing.End(span, err)
	return answer, err
}
