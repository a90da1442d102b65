package cache

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"earshot.dev/shared/fault"
)

const (
	defaultTTL         = 10 * time.Minute
	defaultNegativeTTL = 10 * time.Second
	defaultLocalBytes  = 16 << 20

	loadTimeout = 5 * time.Second // of the loader, and of its wait for a turn

	// maxLoads is how many loaders run at once in this process. It leaves room for writes among the 100 calls at once that
	// most servers take on one connection. https://grpc.io/docs/guides/performance/#general
	maxLoads = 64
)

// loading bounds the loads of all Queries together, so that what is behind them isn't stampeded where Redis can't be
// reached. A loader calls Peek of a Query at most, which loads nothing, so that none waits for
// itself.
var loading = semaphore.NewWeighted(maxLoads)

// Options say what a Query is called and how long it keeps what.
type Options struct {
	Name    string // in keys, counters and logs
	Version int    // of T's JSON

	TTL         time.Duration // of a value in Redis, less up to a tenth so that they don't end together; 0 is 10 min
	NegativeTTL time.Duration // of a not-found, in both layers; 0 is 10 s
	LocalTTL    time.Duration // of anything in this process, where it may be stale; 0 keeps nothing here
	LocalBytes  int           // of JSON whose values this process keeps, at most; 0 is 16 MiB
}

// Perishable is a T that is kept in Redis for less than the TTL, if KeepFor is less.
type Perishable interface{ KeepFor() time.Duration }

// Versioned is a T whose versions are in order: of two under one key, the one with the greater number is the later.
type Versioned interface{ Version() int64 }

// Query answers a question that has a key with a T, out of the nearest place that knows. Its methods may be called
// from any goroutine.
type Query[T any] struct {
	name        string
	ttl         time.Duration
	negativeTTL time.Duration
	load        func(ctx context.Context, key string) (T, error)
	local       local // nil without a LocalTTL
	remote      *remote
	stats       counters
	silence     func() // ends the signals

	mu         sync.Mutex
	flights    map[string]*flight[T] // the latest of each key that is under way
	refreshing map[string]bool       // keys whose value is loaded again before it ends
	closed     context.Context       // ends with Close; guarded by mu against flights that would begin after
	close      context.CancelFunc
	flying     sync.WaitGroup // flights and refreshes
}

// answer is what may be kept: a value, or the error that says that there is none.
type answer[T any] struct {
	value T
	err   error // of kind fault.NotFound, or nil
	size  int   // of its entry, in bytes
}

func (a answer[T]) weight() int { return a.size }

func (a answer[T]) negative() bool { return a.err != nil }

// New returns a Query over the loader, which returns an error of kind [fault.NotFound] where there is nothing under
// the key, and must end when its context does. T must survive encoding/json. The client must let a context's
// deadline end a call: New panics unless [redis.Options.ContextTimeoutEnabled] is set, since a silent Redis would
// stall every Get otherwise. Without a client there is no second layer, and what is left is one load at a time.
func New[T any](client *redis.Client, o Options, load func(ctx context.Context, key string) (T, error)) *Query[T] {
	if client != nil && !client.Options().ContextTimeoutEnabled {
		panic("cache: the Redis client must have ContextTimeoutEnabled")
	}
	q := &Query[T]{
		name:        o.Name,
		ttl:         cmp.Or(o.TTL, defaultTTL),
		negativeTTL: cmp.Or(o.NegativeTTL, defaultNegativeTTL),
		load:        load,
		flights:     make(map[string]*flight[T]),
		refreshing:  make(map[string]bool),
	}
	q.closed, q.close = context.WithCancel(context.Background())
	q.remote = newRemote(client, o, &q.stats)
	q.silence = signal(o.Name, q.Stats)
	if o.LocalTTL > 0 {
		q.local = newLocal(cmp.Or(o.LocalBytes, defaultLocalBytes), o.LocalTTL, q.negativeTTL)
	}
	return q
}

// Get returns the answer for the key, which callers share and must not change. It returns the loader's error, of
// kind NotFound also where that is remembered, and Unavailable if ctx ends first.
func (q *Query[T]) Get(ctx context.Context, key string) (T, error) {
	value, _, err := q.get(ctx, key)
	return value, err
}

// get also says whether the second layer had its part in the answer. The first always does: nothing is kept there
// that Redis did not know of, unless Redis can't be reached.
func (q *Query[T]) get(ctx context.Context, key string) (value T, reached bool, err error) {
	if a, ok := q.atHand(key); ok {
		q.stats.localHits.Add(1)
		return a.value, true, a.err
	}
	f, err := q.look(ctx, key)
	if err != nil {
		return value, false, fault.New(fault.Unavailable, "cache "+q.name, err)
	}
	return f.value, f.reached, f.err
}

// atHand is what the first layer has.
func (q *Query[T]) atHand(key string) (a answer[T], ok bool) {
	if q.local == nil {
		return a, false
	}
	kept, ok := q.local.get(key)
	if !ok {
		return a, false
	}
	return kept.(answer[T]), true
}

// look returns a flight that has landed and whose answer is good for who asks now.
func (q *Query[T]) look(ctx context.Context, key string) (*flight[T], error) {
	f, leads := q.join(ctx, key)
	if err := f.wait(ctx); err != nil || leads || f.proven {
		return f, err
	}
	f, _ = q.join(ctx, key) // whichever it is, it began after we asked
	return f, f.wait(ctx)
}

// Invalidate forgets keys, in one call, for a writer to call after its commit and before it answers. It can't fail: what Redis
// doesn't take within a second is repeated in the background (see the package comment). It doesn't matter whether ctx has ended.
func (q *Query[T]) Invalidate(ctx context.Context, keys ...string) {
	q.remote.remove(ctx, keys...)
	for _, key := range keys {
		q.forget(key)
	}
}

// Update is Invalidate for a writer who has the new value at hand, and whose T is [Versioned]: where Redis has an
// older one, which says that somebody is reading, it is replaced instead.
func (q *Query[T]) Update(ctx context.Context, key string, value T) {
	q.remote.update(ctx, key, func() entry { return q.encode(ctx, answer[T]{value: value}) })
	q.forget(key)
}

// Peek returns the value of the key if it is at hand, and never calls the loader.
func (q *Query[T]) Peek(ctx context.Context, key string) (T, bool) {
	if a, ok := q.atHand(key); ok {
		return a.value, a.err == nil
	}
	if at := q.remote.read(ctx, key); at.answers() {
		if a, err := q.decode(at.entry); err == nil { // else Get will say so
			return a.value, a.err == nil
		}
	}
	var none T
	return none, false
}

// forget drops what this process has of the key.
func (q *Query[T]) forget(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.flights, key) // what it brings may be old: nobody else is to wait for it, and it isn't kept here
	if q.local != nil {
		q.local.remove(key)
	}
}

// Close ends what runs in the background and returns when it has ended. A Get that needs more than the first layer
// fails afterwards.
func (q *Query[T]) Close() {
	q.mu.Lock()
	q.close()
	q.mu.Unlock()
	q.flying.Wait()
	q.remote.close()
	q.silence()
	if q.local != nil {
		q.local.close()
	}
}

// fly finds the answer for f. It begins in the caller's goroutine, since most often Redis has the answer; what may
// take longer goes on without the caller.
func (q *Query[T]) fly(ctx context.Context, key string, f *flight[T]) {
	ctx = context.WithoutCancel(ctx)
	landing := true
	defer func() {
		if landing { // also if T's decoding panics
			q.land(key, f)
		}
	}()
	at := q.remote.read(ctx, key)
	if q.answered(ctx, key, f, at) {
		return
	}
	landing = false
	go func() {
		defer q.land(key, f)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(q.closed, cancel)()
		if at.reachable {
			at = q.remote.claim(ctx, key)
		}
		if !q.answered(ctx, key, f, at) {
			q.fetch(ctx, key, f, at)
		}
	}()
}

// answered tells f what Redis has, if that is an answer.
func (q *Query[T]) answered(ctx context.Context, key string, f *flight[T], at sight) bool {
	if !at.answers() {
		return false
	}
	a, err := q.decode(at.entry)
	if err != nil {
		q.remote.complain(ctx, "cache_undecodable", fault.New(fault.Internal, "decode", err))
		q.remote.remove(ctx, key) // or it would be in the way for all its TTL
		return false
	}
	q.stats.redisHits.Add(1)
	f.answer, f.reached = a, true
	q.keep(key, f)
	q.refreshIfDue(ctx, key, at.entry)
	return true
}

// fetch calls the loader, tells f, and puts the answer where it belongs.
func (q *Query[T]) fetch(ctx context.Context, key string, f *flight[T], at sight) {
	q.stats.misses.Add(1)
	f.value, f.err = q.call(ctx, key)
	lasting := f.err == nil || fault.Is(f.err, fault.NotFound)
	f.reached = at.reachable
	f.proven = !lasting || !at.reachable
	q.seal(f)
	var e entry
	if lasting && (at.lease != "" || q.local != nil) {
		e = q.encode(ctx, f.answer)
		f.size = len(e.bytes)
	}
	if at.lease != "" {
		kept, err := q.remote.exchange(ctx, key, at.lease, e)
		if lasting && err == nil && !kept {
			q.stats.overtaken.Add(1)
			return
		}
		f.proven = f.proven || kept
	}
	if lasting {
		q.keep(key, f)
	}
}

// call runs the loader with a deadline of its own. A panic is an error, so that it ends one answer and not the
// process; it is critical, since somebody has to mend it.
func (q *Query[T]) call(ctx context.Context, key string) (value T, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = fault.Escalate(fault.Critical, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
		if err != nil {
			var none T
			value, err = none, fault.Wrap("load "+q.name, err)
			if !fault.Is(err, fault.NotFound) {
				q.stats.loadErrors.Add(1)
			}
		}
	}()
	if err := loading.Acquire(ctx, 1); err != nil {
		return value, fault.New(fault.Unavailable, "wait for a turn", err)
	}
	defer loading.Release(1)
	q.stats.loads.Add(1)
	return q.load(ctx, key)
}

// keep puts what f found into this process's layer, unless something has happened to the key since f began.
func (q *Query[T]) keep(key string, f *flight[T]) {
	if q.local == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flights[key] == f {
		q.local.put(key, f.answer)
	}
}
