package cache

import (
	"go.opentelemetry.io/otel/metric"

	"earshot.dev/shared/measure"
)

var meter = measure.Meter("shared/cache")

// What is measured of caches: see the list in infra/README.md.
var (
	lookups   = measure.Observed(meter, "earshot.cache.lookups", "{lookup}", "Questions to a cache")
	loads     = measure.Observed(meter, "earshot.cache.loads", "{load}", "Questions to what is behind a cache")
	redisErrs = measure.Observed(meter, "earshot.cache.redis_errors", "{error}", "Calls of a cache to Redis that failed")
	forgotten = measure.Observed(meter, "earshot.cache.forgotten", "{key}", "Invalidations that were given up")
	moved     = measure.Observed(meter, "earshot.cache.bytes", "By", "Bytes of entries from and to Redis")
)

// signal has a cache's counts observed until what it returns is called. They are kept for Stats anyway, and a lookup
// that this process answers takes less time than counting a second time would.
func signal(name string, stats func() Stats) (end func()) {
	by := func(answer string) metric.MeasurementOption { return measure.By("cache", name, "answer", answer) }
	local, shared, redis, miss := by("local"), by("shared"), by("redis"), by("miss")
	loaded := func(outcome string) metric.MeasurementOption { return measure.By("cache", name, "outcome", outcome) }
	good, bad := loaded("ok"), loaded("error")
	towards := func(direction string) metric.MeasurementOption {
		return measure.By("cache", name, "direction", direction)
	}
	read, written := towards("read"), towards("write")
	itself := measure.By("cache", name)
	return measure.Observe(meter, func(o metric.Observer) {
		s := stats()
		o.ObserveInt64(lookups, s.LocalHits, local)
		o.ObserveInt64(lookups, s.Shared, shared)
		o.ObserveInt64(lookups, s.RedisHits, redis)
		o.ObserveInt64(lookups, s.Misses, miss)
		o.ObserveInt64(loads, s.Loads-s.LoadErrors, good)
		o.ObserveInt64(loads, s.LoadErrors, bad)
		o.ObserveInt64(redisErrs, s.RedisErrors, itself)
		o.ObserveInt64(forgotten, s.Forgotten, itself)
		o.ObserveInt64(moved, s.BytesRead, read)
		o.ObserveInt64(moved, s.BytesWritten, written)
	}, lookups, loads, redisErrs, forgotten, moved)
}
