package lock

import (
	"go.opentelemetry.io/otel/metric"

	"earshot.dev/shared/measure"
)

var meter = measure.Meter("shared/lock")

// What is measured of locks: see the list in infra/README.md.
var (
	calls  = measure.Observed(meter, "earshot.lock.calls", "{call}", "Calls for a lock")
	losses = measure.Observed(meter, "earshot.lock.losses", "{lock}", "Locks that were lost while held")
	waits  = measure.Observed(meter, "earshot.lock.waits", "{call}", "Calls that waited for another holder")
	waited = measure.ObservedSum(meter, "earshot.lock.wait_time", "s", "Time spent waiting for other holders")
)

var outcomes = struct{ acquired, busy, unavailable metric.MeasurementOption }{
	acquired:    measure.By("outcome", "acquired"),
	busy:        measure.By("outcome", "busy"),
	unavailable: measure.By("outcome", "unavailable"),
}

// signal has the counts observed for as long as the process lives, as a Locker does.
func (l *Locker) signal() {
	measure.Observe(meter, func(o metric.Observer) {
		s := l.Stats()
		o.ObserveInt64(calls, s.Acquired, outcomes.acquired)
		o.ObserveInt64(calls, s.Busy, outcomes.busy)
		o.ObserveInt64(calls, s.Unavailable, outcomes.unavailable)
		o.ObserveInt64(losses, s.Lost)
		o.ObserveInt64(waits, s.Waits)
		o.ObserveFloat64(waited, s.Waited.Seconds())
	}, calls, losses, waits, waited)
}
