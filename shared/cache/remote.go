package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

const (
	callTimeout = 100 * time.Millisecond // of one call to Redis, with the client's own retries
	leaseWait   = time.Second            // how long to wait for what another process loads
	leaseTTL    = loadTimeout + leaseWait
	firstPoll   = 3 * time.Millisecond // while waiting; it grows by half each time, give or take as much
	longestPoll = 50 * time.Millisecond

	tolerated     = 3           // failures in a row, after which
	restFor       = time.Second // Redis isn't asked
	complainEvery = 10 * time.Second
)

// remote is the layer in Redis. It knows entries, not what they mean.
type remote struct {
	client *redis.Client
	name   string
	prefix string
	stats  *counters
	undone *undone

	failures   atomic.Int32 // in a row
	restUntil  atomic.Int64 // unix nanoseconds
	complained atomic.Int64 // unix nanoseconds
}

func newRemote(client *redis.Client, o Options, stats *counters) *remote {
	r := &remote{
		client: client,
		name:   o.Name,
		prefix: "cache:" + o.Name + ":v" + strconv.Itoa(o.Version) + ":",
		stats:  stats,
	}
	r.undone = newUndone(r.delete)
	return r
}

func (r *remote) close() { r.undone.close() }

// sight is what there was to see under a key. Without a lease the caller may load, but nothing will be kept: Redis
// isn't reachable, or another has had the lease for too long.
type sight struct {
	reachable bool
	entry     []byte // empty if there was none
	lease     string // of ours, to load under
}

// answers says whether there is more than nothing or a lease.
func (s sight) answers() bool { return len(s.entry) > 0 && s.entry[0] != tagLease }

// read sees what is under a key now.
func (r *remote) read(ctx context.Context, key string) sight {
	if time.Now().UnixNano() < r.restUntil.Load() || r.undone.has(r.prefix+key) {
		return sight{}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entry, err := r.client.Get(ctx, r.prefix+key).Bytes()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.failed(ctx, err)
		return sight{}
	}
	at := sight{reachable: true, entry: entry}
	if at.answers() {
		r.failures.Store(0)
	}
	return at
}

// claim takes the lease of a key, or waits for what the one who has it brings.
func (r *remote) claim(ctx context.Context, key string) sight {
	lease := string(tagLease) + rand.Text()
	poll := backoff.NewExponentialBackOff()
	poll.InitialInterval, poll.MaxInterval = firstPoll, longestPoll
	var at sight
	for giveUp := time.Now().Add(leaseWait); time.Now().Before(giveUp); {
		if len(at.entry) == 0 {
			switch taken, err := r.take(ctx, key, lease); {
			case err != nil:
				r.failed(ctx, err)
				return sight{}
			case taken:
				r.failures.Store(0)
				return sight{reachable: true, lease: lease}
			}
		}
		select {
		case <-ctx.Done():
			return sight{}
		case <-time.After(poll.NextBackOff()):
		}
		at = r.read(ctx, key)
		switch {
		case !at.reachable || at.answers():
			return at
		case string(at.entry) == lease: // Redis had taken it, only the answer was lost and the client asked again
			return sight{reachable: true, lease: lease}
		}
	}
	return sight{reachable: true}
}

// take puts the lease under a key where there is nothing.
func (r *remote) take(ctx context.Context, key, lease string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.client.SetNX(ctx, r.prefix+key, lease, leaseTTL).Result()
}

// exchangeLease is the check that keeps old values out: an entry only in exchange for the lease it was loaded under.
var exchangeLease = redis.NewScript(`
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == "" then redis.call("DEL", KEYS[1]) else redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3]) end
return 1`)

// exchange puts the entry in the place of the lease; an empty entry just gives the lease back. It returns false if
// the lease is gone, or with an error if Redis didn't say.
func (r *remote) exchange(ctx context.Context, key, lease string, entry []byte, ttl time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	done, err := exchangeLease.Run(ctx, r.client, []string{r.prefix + key}, lease, entry, ttl.Milliseconds()).Bool()
	if err != nil {
		r.failed(ctx, err)
	}
	return done, err
}

// remove deletes the entry, or the lease, of a key. What Redis doesn't take now is repeated in the background.
func (r *remote) remove(ctx context.Context, key string) {
	ctx = context.WithoutCancel(ctx)
	if err := r.delete(ctx, r.prefix+key); err != nil {
		r.failed(ctx, err)
		if !r.undone.add(r.prefix + key) {
			r.stats.forgotten.Add(1)
		}
	}
}

func (r *remote) delete(ctx context.Context, keys ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.client.Del(ctx, keys...).Err()
}

// failed counts an error of Redis, and lets Redis rest after a few in a row. A full one goes on being asked: it says
// so at once, and still has what it took before.
func (r *remote) failed(ctx context.Context, err error) {
	r.stats.redisErrors.Add(1)
	if !redis.IsOOMError(err) && r.failures.Add(1) >= tolerated {
		r.restUntil.Store(time.Now().Add(restFor).UnixNano())
	}
	r.complain(ctx, "cache_unavailable", fault.New(fault.Unavailable, "redis", err))
}

// complain logs an error that was made good, now and then.
func (r *remote) complain(ctx context.Context, event string, err error) {
	now, last := time.Now(), r.complained.Load()
	if now.Sub(time.Unix(0, last)) < complainEvery || !r.complained.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	logging.Error(ctx, event, err, slog.String("cache", r.name), slog.Int64("redis_errors", r.stats.redisErrors.Load()))
}

// jittered is up to a tenth less than ttl.
func jittered(ttl time.Duration) time.Duration { return ttl - mathrand.N(ttl/10+1) }
