// Package telemetry sends a service's traces and metrics to an OTLP receiver. Whoever has something to tell uses the
// API, go.opentelemetry.io/otel, whose global providers Start sets; nobody else imports the SDK.
//
// On Google Cloud the receiver is telemetry.googleapis.com, for both, by gRPC and with the service's own credentials.
// It takes OTLP as it is, stores traces for Cloud Trace and metrics for Cloud Monitoring (as prometheus_target, to be
// asked by PromQL), and asks for roles/telemetry.tracesWriter and roles/telemetry.metricsWriter, and nothing else.
// The alternative is a collector beside each container. It would batch and authenticate, which the SDK does as well,
// and it would have CPU while the service has none; but it is a second image to keep and to pay for in each of six
// services, and has to outlive the first when an instance stops. Elsewhere, any receiver that speaks OTLP over gRPC
// will do, a collector too: only the endpoint differs.
//
// What Google's receiver wants: at most 200 points a request; a location and an instance with each point, or it is
// refused; names of letters, digits and _:./ only.
//
//   - https://docs.cloud.google.com/stackdriver/docs/otlp-metrics/use-sdks
//   - https://docs.cloud.google.com/trace/docs/migrate-to-otlp-endpoints
//   - https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics
//   - https://docs.cloud.google.com/stackdriver/quotas#telemetry_api_quotas_and_limits
//
// Telemetry can't hurt: what can't be sent is dropped, and said once an hour. A function that has CPU only while it
// answers sends with its next request, and at the latest when its instance stops.
//
// # Sampling
//
// Whether a trace is kept is decided by its id alone, with one ratio for all services: so each decides alike, and a
// trace is kept whole. That a caller from outside has marked it as sampled counts for nothing, or anybody could have
// us pay for their traces; neither does Cloud Run's own mark, of one request in ten seconds and instance, which for
// sessions of an hour is nearly all of them.
//
// # Metrics
//
// Only the instruments of this module are exported: each point that is stored costs, and what the libraries would tell
// of requests Cloud Run counts by itself.
package telemetry
