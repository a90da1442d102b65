package lock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bsm/redislock"
)

// When the work is told that its lock is gone, on the holder's own clock: Redis itself is in lock_test.go.
func TestKeep(t *testing.T) {
	const ttl = 5 * time.Minute
	silent := errors.New("no answer")
	for name, tt := range map[string]struct {
		renew    func(ctx context.Context, age time.Duration) error
		lostAt   time.Duration // 0 is never
		renewals int
	}{
		"renewed": {
			renew:    func(context.Context, time.Duration) error { return nil },
			renewals: 35, // each 100 s, the last at 3,500
		},
		"refused": {
			renew:    func(context.Context, time.Duration) error { return redislock.ErrNotObtained },
			lostAt:   ttl / 3,
			renewals: 1,
		},
		"no answer": {
			renew:    func(context.Context, time.Duration) error { return silent },
			lostAt:   ttl * 19 / 20,
			renewals: 19, // at 100 s, then each 10 s
		},
		"no answer for a while": {
			renew: func(_ context.Context, age time.Duration) error {
				if age < ttl*9/10 {
					return silent
				}
				return nil
			},
			renewals: 17 + 33, // each 10 s from 100 to 260, then each 100 s from 270
		},
		"hangs": {
			renew: func(ctx context.Context, _ time.Duration) error {
				<-ctx.Done()
				return ctx.Err()
			},
			lostAt:   ttl * 19 / 20,
			renewals: 1,
		},
		"answered too late": {
			renew: func(context.Context, time.Duration) error {
				<-time.After(ttl)
				return nil
			},
			lostAt:   ttl * 19 / 20,
			renewals: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				since, renewals := time.Now(), 0
				ctx, stop := context.WithTimeout(t.Context(), 59*time.Minute)
				defer stop()
				ctx, end := context.WithCancelCause(ctx)
				var lostAt time.Duration
				context.AfterFunc(ctx, func() {
					if context.Cause(ctx) == ErrLost {
						lostAt = time.Since(since)
					}
				})
				<-time.After(ttl / 3)
				keep(ctx, end, func(ctx context.Context) error {
					renewals++
					return tt.renew(ctx, time.Since(since))
				}, ttl, since)
				synctest.Wait()
				if lostAt != tt.lostAt {
					t.Errorf("lost after %v, want %v (0 is never)", lostAt, tt.lostAt)
				}
				if renewals != tt.renewals {
					t.Errorf("got %d renewals, want %d", renewals, tt.renewals)
				}
			})
		})
	}
}
