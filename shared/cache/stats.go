package cache

import "sync/atomic"

// Stats count what a Query did since it was made.
type Stats struct {
	Name        string
	LocalHits   int64 // calls of Get answered in this process
	Shared      int64 // times that a Get waited for another's lookup
	RedisHits   int64 // lookups answered by Redis
	Misses      int64 // lookups that neither layer could answer
	Loads       int64 // calls of the loader, of which
	LoadErrors  int64 // failed, other than with not found
	Refreshes   int64 // loads of a value before it ended
	Overtaken   int64 // loads whose answer wasn't kept, since the key was invalidated, flushed or evicted meanwhile
	RedisErrors int64 // calls to Redis that failed
	Forgotten   int64 // invalidations that Redis didn't take and that were too many to be repeated

	BytesRead, BytesWritten int64 // of entries, from and to Redis
}

type counters struct {
	localHits, shared, redisHits, misses, loads, loadErrors, refreshes, overtaken, redisErrors, forgotten,
	bytesRead, bytesWritten atomic.Int64
}

// Stats returns the counts up to now.
func (q *Query[T]) Stats() Stats {
	return Stats{
		Name:        q.name,
		LocalHits:   q.stats.localHits.Load(),
		Shared:      q.stats.shared.Load(),
		RedisHits:   q.stats.redisHits.Load(),
		Misses:      q.stats.misses.Load(),
		Loads:       q.stats.loads.Load(),
		LoadErrors:  q.stats.loadErrors.Load(),
		Refreshes:   q.stats.refreshes.Load(),
		Overtaken:   q.stats.overtaken.Load(),
		RedisErrors: q.stats.redisErrors.Load(),
		Forgotten:   q.stats.forgotten.Load(),

		BytesRead: q.stats.bytesRead.Load(), BytesWritten: q.stats.bytesWritten.Load(),
	}
}
