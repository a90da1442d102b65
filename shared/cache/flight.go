package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"earshot.dev/shared/fault"
)

// flightTimeout is more than a flight needs, with every wait in it as long as it may be. Past it, a loader that
// doesn't end with its context is left behind.
const flightTimeout = loadTimeout + leaseWait + 10*callTimeout

var (
	errNothing = errors.New("the load ended without an answer")
	errOverdue = fmt.Errorf("the load doesn't end: %w", context.DeadlineExceeded)
	errClosed  = errors.New("closed")
)

// flight is one lookup, beyond this process, of one key for all who ask. It isn't singleflight.Group, which can't
// tell who joined before a certain moment, nor whether its result is still wanted.
type flight[T any] struct {
	until  time.Time     // when nobody waits any more
	done   chan struct{} // closed when the rest is known
	sealed bool          // nobody may join any more; guarded by the Query's mu

	answer[T]      // its err may be of any kind
	reached   bool // Redis was
	proven    bool // no Invalidate had returned when the last one joined, or none could be known of
}

// wait waits for the answer or for the end of ctx. Afterwards, unless it returns an error, f's fields may be read.
func (f *flight[T]) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	default:
	}
	overdue := time.NewTimer(time.Until(f.until))
	defer overdue.Stop()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-overdue.C:
		return errOverdue
	}
}

// join returns the flight of the key that is under way, or leads one of its own with the values of ctx.
func (q *Query[T]) join(ctx context.Context, key string) (f *flight[T], leads bool) {
	f, leads = q.board(key)
	if leads {
		q.fly(ctx, key, f)
	}
	return f, leads
}

func (q *Query[T]) board(key string) (f *flight[T], leads bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if f := q.flights[key]; f != nil && !f.sealed && now.Before(f.until) {
		q.stats.shared.Add(1)
		return f, false
	}
	f = &flight[T]{
		until: now.Add(flightTimeout),
		done:  make(chan struct{}),
	}
	f.err = fault.New(fault.Internal, "load "+q.name, errNothing) // if the loader ends its goroutine
	if q.closed.Err() != nil {
		f.err, f.proven = fault.New(fault.Unavailable, "cache "+q.name, errClosed), true
		close(f.done)
		return f, false
	}
	q.flights[key] = f
	q.flying.Add(1)
	return f, true
}

// seal lets nobody join f any more: what is found out now would come too late for them.
func (q *Query[T]) seal(f *flight[T]) {
	q.mu.Lock()
	f.sealed = true
	q.mu.Unlock()
}

// land lets those who wait go on.
func (q *Query[T]) land(key string, f *flight[T]) {
	q.mu.Lock()
	if q.flights[key] == f {
		delete(q.flights, key)
	}
	q.mu.Unlock()
	close(f.done)
	q.flying.Done()
}
