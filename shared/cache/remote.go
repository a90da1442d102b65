package cache

import (
	"context"
	"errors"
	"log/slog"
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

	insistFor   = time.Second            // how long a writer tries to have its key deleted, but for its last call,
	firstInsist = 100 * time.Millisecond // with pauses from this, that grow by half, give or take as much
	vainFor     = 10 * time.Second       // after that was in vain, writers try once
)

// remote is the layer in Redis. It knows entries, not what they mean.
type remote struct {
	client *redis.Client
	name   string
	prefix string
	stats  *counters
	undone *undone

	timeout time.Duration // of a call: callTimeout

	failures   atomic.Int32 // in a row
	restUntil  atomic.Int64 // unix nanoseconds
	vainUntil  atomic.Int64 // unix nanoseconds
	complained atomic.Int64 // unix nanoseconds
}

func newRemote(client *redis.Client, o Options, stats *counters) *remote {
	r := &remote{
		client: client,
		name:   o.Name,
		prefix: "cache:" + o.Name + ":v" + strconv.Itoa(o.Version) + ":",
		stats:  stats,

		timeout: callTimeout,
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

// read sees what is under a key now. It doesn't end with ctx: who leaves would seem to be a fault of Redis.
func (r *remote) read(ctx context.Context, key string) sight {
	if r.undone.has(r.prefix+key) || r.resting() {
		return sight{}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	entry, err := r.client.Get(ctx, r.prefix+key).Bytes()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.failed(ctx, err)
		return sight{}
	}
	r.stats.bytesRead.Add(int64(len(entry)))
	at := sight{reachable: true, entry: entry}
	if at.answers() {
		r.worked()
	}
	return at
}

// claim takes the lease of a key, or waits for what the one who has it brings.
func (r *remote) claim(ctx context.Context, key string) sight {
	lease := string(head(tagLease, 0, time.Now()))
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
				r.worked()
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
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.client.SetNX(ctx, r.prefix+key, lease, leaseTTL).Result()
}

// exchangeEntry is the check that keeps old values out: an entry only in exchange for the lease, or the mark, that it
// was loaded under. An empty one gives it back.
var exchangeEntry = redis.NewScript(`
if redis.call("GETRANGE", KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
if ARGV[2] == "" then redis.call("DEL", KEYS[1]) else redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3]) end
return 1`)

// exchange puts the entry in the place of the lease or mark. It returns false if that is gone, or with an error if
// Redis didn't say.
func (r *remote) exchange(ctx context.Context, key, lease string, e entry) (bool, error) {
	r.stats.bytesWritten.Add(int64(len(e.bytes)))
	return r.run(ctx, exchangeEntry, key, lease, e.bytes, e.ttl.Milliseconds())
}

// markEntry changes the head of an entry that is still the same. Its time to live stays.
var markEntry = redis.NewScript(`
if redis.call("GETRANGE", KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
redis.call("SETRANGE", KEYS[1], 0, ARGV[2])
return 1`)

// mark changes the head of an entry, if it still has the old one.
func (r *remote) mark(ctx context.Context, key string, old, new []byte) (bool, error) {
	return r.run(ctx, markEntry, key, old, new)
}

// updateEntry replaces a value by a later version (see entry), and deletes what is neither that nor later.
var updateEntry = redis.NewScript(`
local head = redis.call("GETRANGE", KEYS[1], 0, 19)
local tag = string.sub(head, 1, 1)
if tag ~= "v" and tag ~= "r" then redis.call("DEL", KEYS[1]) return 0 end
if string.sub(head, 2) >= string.sub(ARGV[1], 2, 20) then return 0 end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return 1`)

// update puts an entry in the place of an older one, or deletes what is there. Where there is nothing it sends and
// keeps nothing: who comes to load from now on finds what was committed.
func (r *remote) update(ctx context.Context, key string, make func() entry) {
	ctx = context.WithoutCancel(ctx)
	there, err := r.exists(ctx, key)
	if err == nil && !there {
		return
	}
	if err == nil {
		if e := make(); len(e.bytes) > 0 {
			r.stats.bytesWritten.Add(int64(len(e.bytes)))
			if _, err = r.run(ctx, updateEntry, key, e.bytes, e.ttl.Milliseconds()); err == nil {
				return
			}
		}
	}
	r.remove(ctx, key)
}

func (r *remote) exists(ctx context.Context, key string) (bool, error) {
	if r.resting() {
		return false, errResting
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	n, err := r.client.Exists(ctx, r.prefix+key).Result()
	if err != nil {
		r.failed(ctx, err)
		return false, err
	}
	r.worked()
	return n > 0, nil
}

// run runs a script on a key.
func (r *remote) run(ctx context.Context, script *redis.Script, key string, arguments ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	done, err := script.Run(ctx, r.client, []string{r.prefix + key}, arguments...).Bool()
	if err != nil {
		r.failed(ctx, err)
		return false, err
	}
	r.worked()
	return done, nil
}

// remove deletes the entries, or the leases, of keys. It asks Redis also while that rests, which may be well for others, and
// again for a while: where it is called a process may get no CPU once it has answered. What Redis doesn't take by then is
// repeated in the background.
func (r *remote) remove(ctx context.Context, keys ...string) {
	if r.client == nil || len(keys) == 0 {
		return
	}
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = r.prefix + key
	}
	ctx = context.WithoutCancel(ctx)
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = firstInsist
	insist := []backoff.RetryOption{backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(insistFor)}
	if time.Now().UnixNano() < r.vainUntil.Load() {
		insist = append(insist, backoff.WithMaxTries(1))
	}
	_, err := backoff.Retry(ctx, func() (none struct{}, err error) {
		if err = r.delete(ctx, full...); err != nil {
			r.failed(ctx, err)
		}
		return none, err
	}, insist...)
	if err == nil {
		r.worked()
		return
	}
	r.vainUntil.Store(time.Now().Add(vainFor).UnixNano())
	for _, key := range full {
		if !r.undone.add(key) {
			r.stats.forgotten.Add(1)
		}
	}
}

func (r *remote) delete(ctx context.Context, keys ...string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.client.Del(ctx, keys...).Err()
}

var errResting = errors.New("redis has failed and isn't asked for a while")

// resting says whether Redis is not to be asked. After a rest, one caller in each restFor goes and looks: as soon as
// it works for one, all may ask.
func (r *remote) resting() bool {
	until, now := r.restUntil.Load(), time.Now().UnixNano()
	switch {
	case r.client == nil:
		return true
	case until == 0:
		return false
	case now < until:
		return true
	default:
		return !r.restUntil.CompareAndSwap(until, now+restFor.Nanoseconds())
	}
}

// worked notes that Redis does what it is asked to.
func (r *remote) worked() {
	r.failures.Store(0)
	r.restUntil.Store(0)
	r.vainUntil.Store(0)
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
