package lock

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/bsm/redislock"
	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

const (
	callTimeout = 250 * time.Millisecond // of one call to Redis, with the client's own retries
	firstWait   = 10 * time.Millisecond  // between two tries; it grows by half each time, give or take as much
	longestWait = 250 * time.Millisecond

	discardTimeout = 5 * time.Second // of taking back a lock that Redis may have given, all tries
	discardTwice   = 2               // times that Redis must say that there is none: it may take the later call first
)

// ErrLost is the cause with which the context of a function ends whose lock is gone, or might be. It is Busy: by
// then another may hold the lock.
var ErrLost = fault.New(fault.Busy, "lock", errors.New("lost while held"))

var errHeld = errors.New("held by another")

// Options say how a lock is held. The zero value is the usual: the Locker's TTL, and no waiting.
type Options struct {
	TTL  time.Duration // how long a holder that died keeps the others out; 0 is the Locker's
	Wait time.Duration // how long to wait while another holds it; 0 is not at all
}

// Locker holds locks in one Redis.
type Locker struct {
	client *redis.Client
	locks  *redislock.Client
	ttl    time.Duration
	id     string // random: a holding's token is this, a number and a stop
	stats  counters

	discards sync.WaitGroup
}

// New returns a Locker over the client whose locks last for the TTL where a caller doesn't say otherwise. The client must let a context's deadline end a call: New panics unless
// [redis.Options.ContextTimeoutEnabled] is set, since a Redis that is silent would stall every holder otherwise.
func New(client *redis.Client, ttl time.Duration) *Locker {
	if !client.Options().ContextTimeoutEnabled {
		panic("lock: the Redis client must have ContextTimeoutEnabled")
	}
	l := &Locker{client: client, locks: redislock.New(client), ttl: ttl, id: rand.Text()}
	l.signal()
	return l
}

// Hold runs fn while holding the lock called name, and returns what fn returns. Its own errors are of kind Busy, if
// another held the lock for all of o.Wait, and of kind Unavailable, if ctx ended before fn was started. If fn fails
// after the lock was lost, the error is also [ErrLost]. A lock is not reentrant.
func (l *Locker) Hold(ctx context.Context, name string, o Options, fn func(context.Context) error) error {
	if o.TTL <= 0 {
		o.TTL = l.ttl
	}
	// The stop keeps a token from being another's beginning: redislock gives a lock to whoever brings the beginning of
	// its token.
	key, token := "lock:"+name, l.id+strconv.FormatInt(l.stats.called.Add(1), 36)+"."
	lock, since, err := l.obtain(ctx, key, token, o)
	switch {
	case err == nil:
		l.stats.acquired.Add(1)
		h := holding{Locker: l, lock: lock, name: name, ttl: o.TTL, since: since}
		return h.run(ctx, fn)
	case errors.Is(err, redislock.ErrNotObtained):
		l.stats.busy.Add(1)
		return fault.New(fault.Busy, "lock "+name, errHeld)
	case ctx.Err() != nil:
		l.discard(ctx, key, token)
		return fault.New(fault.Unavailable, "lock "+name, context.Cause(ctx))
	default:
		l.stats.unavailable.Add(1)
		logging.Error(ctx, "lock_unavailable", fault.New(fault.Unavailable, "obtain", err), slog.String("lock", name))
		defer l.discard(ctx, key, token)
		return fn(ctx)
	}
}

// Try is Hold with the usual options: whoever finds the lock held goes away, with fault.Busy.
func (l *Locker) Try(ctx context.Context, name string, fn func(context.Context) error) error {
	return l.Hold(ctx, name, Options{}, fn)
}

// obtain tries until it has the lock, o.Wait is over, ctx ends, or Redis fails. The lock lasts for its TTL from
// since, or longer: it is the time before Redis was asked.
func (l *Locker) obtain(ctx context.Context, key, token string, o Options) (*redislock.Lock, time.Time, error) {
	started := time.Now()
	since := started
	lock, err := l.try(ctx, key, token, o.TTL)
	if !errors.Is(err, redislock.ErrNotObtained) || o.Wait <= 0 {
		return lock, since, err
	}
	l.stats.waits.Add(1)
	defer func() { l.stats.waited.Add(int64(time.Since(started))) }()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstWait, longestWait
	for errors.Is(err, redislock.ErrNotObtained) {
		left := o.Wait - time.Since(started)
		if left <= 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, since, ctx.Err()
		case <-time.After(min(pause.NextBackOff(), left)):
		}
		since = time.Now()
		lock, err = l.try(ctx, key, token, o.TTL)
	}
	return lock, since, err
}

// try asks Redis once. The token is ours from before the call, so that the client may ask again when an answer got
// lost: redislock gives a lock that already has the token.
func (l *Locker) try(ctx context.Context, key, token string, ttl time.Duration) (*redislock.Lock, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return l.locks.Obtain(ctx, key, ttl, &redislock.Options{Token: token})
}

var removeOwn = redis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`)

// discard removes a lock that we were not told we had: Redis may have set it, and only its answer was lost, or late. A
// Redis that is slow is asked with more patience than a caller has, so nobody waits for that but Close.
func (l *Locker) discard(ctx context.Context, key, token string) {
	l.discards.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
		defer cancel()
		pause := backoff.NewExponentialBackOff()
		pause.InitialInterval = callTimeout
		for none := 0; none < discardTwice; {
			removed, err := removeOwn.Run(ctx, l.client, []string{key}, token).Bool()
			switch {
			case removed, errors.Is(err, redis.ErrClosed):
				return
			case err == nil:
				none++
			}
			select {
			case <-time.After(pause.NextBackOff()):
			case <-ctx.Done():
				return // it was logged that Redis fails; the TTL does the rest
			}
		}
	})
}

// Close waits until the locks that may have been given unnoticed are taken back, or can't be: some seconds. No function
// may be held any more, and the client must be open.
func (l *Locker) Close() { l.discards.Wait() }
