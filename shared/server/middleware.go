package server

import (
	"errors"
	"io"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/tracing"
)

// health answers /healthz with 200 and the version. While the server drains nobody is answered: Cloud Run sends a stopping instance
// nothing new, and to any other prober a connection refused says the same as a 503. It is for probes: who asks from
// outside gets a 404 of Google's front end, which keeps some paths that end in z to itself.
// https://cloud.google.com/run/docs/known-issues#ah
func health(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, version) // a prober that has gone needs no answer
			return
		}
		next.ServeHTTP(w, r)
	})
}

// traced makes a span of each request, within the trace that it comes with (Cloud Run gives one to each), and binds it
// to what is logged. An upgrade is a request of an hour, whose span nobody would see before: whoever serves it makes
// shorter ones. What the library would measure, Cloud Run does.
func traced(next http.Handler) http.Handler {
	bound := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(logging.WithTrace(r.Context())))
	})
	spans := otelhttp.NewHandler(bound, "http", otelhttp.WithPropagators(propagation.TraceContext{}), otelhttp.WithMeterProvider(noop.NewMeterProvider()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			bound.ServeHTTP(w, r.WithContext(tracing.Incoming(r.Context(), r.Header)))
			return
		}
		spans.ServeHTTP(w, r)
	})
}

// recovered answers 500 where next panics, as RFC 9457 has it, and logs the panic with its stack.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(value) // not a fault: so a handler has net/http cut the connection
			}
			logging.Error(r.Context(), eventPanicked, logging.Recovered(value),
				slog.String("method", r.Method), slog.String("path", r.URL.Path))
			clear(w.Header()) // it was for another answer
			fault.WriteProblem(w, fault.Internal.HTTPStatus(), fault.Internal.String())
		}()
		next.ServeHTTP(w, r)
	})
}
