package lock

import (
	"sync/atomic"
	"time"
)

// Stats count what became of the calls of Hold since the Locker was made.
type Stats struct {
	Acquired    int64         // got the lock
	Busy        int64         // held by another to the end of the wait
	Lost        int64         // got it, and lost it before the function was done
	Unavailable int64         // ran without the lock, since Redis couldn't be reached
	Waits       int64         // had to wait for another holder, whatever came of it
	Waited      time.Duration // time spent waiting for other holders, whatever came of it
}

type counters struct {
	called, acquired, busy, lost, unavailable, waits atomic.Int64
	waited                                           atomic.Int64 // ns
}

// Stats returns the counts up to now.
func (l *Locker) Stats() Stats {
	return Stats{
		Acquired:    l.stats.acquired.Load(),
		Busy:        l.stats.busy.Load(),
		Lost:        l.stats.lost.Load(),
		Unavailable: l.stats.unavailable.Load(),
		Waits:       l.stats.waits.Load(),
		Waited:      time.Duration(l.stats.waited.Load()),
	}
}
