package lock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bsm/redislock"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// holding is one lock while it is held.
type holding struct {
	*Locker
	lock  *redislock.Lock
	name  string
	ttl   time.Duration
	since time.Time // when the TTL began, at the latest
}

// run runs fn with a context that ends with the lock, and releases the lock. Nothing is started before the first
// renewal is due, so that short work costs no more than the two calls to Redis.
func (h *holding) run(ctx context.Context, fn func(context.Context) error) error {
	held, end := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	first := time.AfterFunc(h.ttl/3-time.Since(h.since), func() {
		defer close(kept)
		keep(held, end, h.renew, h.ttl, h.since)
	})
	defer func() {
		end(nil)
		if !first.Stop() {
			<-kept
		}
		h.release(ctx, errors.Is(context.Cause(held), ErrLost))
	}()
	err := fn(held)
	if !errors.Is(context.Cause(held), ErrLost) {
		return err
	}
	if err == nil {
		logging.From(ctx).WarnContext(ctx, "lock_lost", slog.String("lock", h.name))
		return nil
	}
	return fmt.Errorf("%w (%w)", err, ErrLost)
}

// keep renews the lock each third of its TTL until ctx ends. It calls end with ErrLost as soon as a renewal was
// refused, and in any case before the TTL that began with since, or with the last renewal, can have passed. A
// renewal that got no answer is tried again until then: nobody else can have the lock so long.
func keep(ctx context.Context, end context.CancelCauseFunc, renew func(context.Context) error, ttl time.Duration, since time.Time) {
	safe := ttl - ttl/20 // what the holder's clock, timers and last steps may be late by
	expiry := time.AfterFunc(time.Until(since.Add(safe)), func() { end(ErrLost) })
	defer expiry.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		since = time.Now()
		err := renew(ctx)
		switch {
		case err == nil:
			expiry.Reset(time.Until(since.Add(safe))) // of no effect if it was too late: ctx has ended
			next.Reset(ttl / 3)
		case errors.Is(err, redislock.ErrNotObtained):
			end(ErrLost)
			return
		default:
			next.Reset(ttl / 30)
		}
	}
}

func (h *holding) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return h.lock.Refresh(ctx, h.ttl, nil)
}

// release frees the lock if it still is ours, whatever became of the caller's context, and counts it if it was lost,
// now or before.
func (h *holding) release(ctx context.Context, lost bool) {
	ctx = detached{context.WithoutCancel(ctx), time.Now().Add(callTimeout)}
	err := h.lock.Release(ctx)
	if lost || errors.Is(err, redislock.ErrLockNotHeld) {
		h.stats.lost.Add(1)
		return
	}
	if err != nil {
		err = fault.New(fault.Unavailable, "release", err)
		logging.Error(ctx, "lock_unreleased", err, slog.String("lock", h.name), slog.Duration("ttl", h.ttl))
	}
}

// detached is a context whose deadline the client puts on its connection, and which has no timer of its own: that
// would be half of what Hold adds to redislock. Waiting for a connection is bounded by the client's PoolTimeout.
type detached struct {
	context.Context
	deadline time.Time
}

func (d detached) Deadline() (time.Time, bool) { return d.deadline, true }
