package cache

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/redistest"
)

// A load that read before a commit must not bring the old value back after it: not into Redis, not into this
// process, and not to whoever asks after the commit while it is under way.
func TestOvertakenLoad(t *testing.T) {
	for name, tt := range map[string]struct {
		between func(t *testing.T, loading, other *Query[doc])
	}{
		"invalidated here": {func(t *testing.T, loading, _ *Query[doc]) {
			loading.Invalidate(t.Context(), "k")
		}},
		"invalidated elsewhere": {func(t *testing.T, _, other *Query[doc]) {
			other.Invalidate(t.Context(), "k")
		}},
		"invalidated and loaded elsewhere": {func(t *testing.T, _, other *Query[doc]) {
			other.Invalidate(t.Context(), "k")
			get(t, other, 2)
			other.Invalidate(t.Context(), "k")
		}},
		"flushed": {func(t *testing.T, _, other *Query[doc]) {
			other.Invalidate(t.Context(), "k")
			if err := other.remote.client.FlushAll(t.Context()).Err(); err != nil {
				t.Error(err)
			}
		}},
		"evicted, and another loads": {func(t *testing.T, _, other *Query[doc]) {
			other.Invalidate(t.Context(), "k")
			if taken, err := other.remote.take(t.Context(), "k", "lANOTHER"); !taken || err != nil {
				t.Errorf("got %t, %v, want the lease", taken, err)
			}
			t.Cleanup(func() { other.Invalidate(context.Background(), "k") })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t)
			db := &database{}
			db.revision.Store(1)
			var held atomic.Bool
			loading, proceed := make(chan struct{}), make(chan struct{})
			db.hold = func(context.Context, string) {
				if held.CompareAndSwap(false, true) { // the first only
					close(loading)
					<-proceed
				}
			}
			a := process(t, server, Options{LocalTTL: time.Hour}, db.read)
			b := process(t, server, Options{}, db.read)
			var wg sync.WaitGroup
			wg.Go(func() { get(t, a, 1) }) // asked before the commit: the old one is right
			<-loading
			db.revision.Store(2)
			tt.between(t, a, b)
			begun := a.Stats()
			wg.Go(func() { get(t, a, 2) }) // asked after the commit, while the old load is under way
			eventually(t, "the late one waits for the old load, or has begun its own", func() bool {
				s := a.Stats()
				return s.Shared > begun.Shared || s.Loads > begun.Loads
			})
			close(proceed)
			wg.Wait()
			if name != "evicted, and another loads" {
				get(t, b, 2)
			}
			get(t, a, 2)
			if s := a.Stats(); s.Overtaken != 1 {
				t.Errorf("got %+v, want 1 overtaken", s)
			}
		})
	}
}

// What Redis said is old as soon as it was said: whoever asks after a write doesn't take the answer of a call that
// was made before it, whether the call read the value or brought it.
func TestLateToShare(t *testing.T) {
	for command, cached := range map[string]bool{"get": true, "evalsha": false} {
		t.Run(command, func(t *testing.T) {
			server := redistest.New(t)
			db := &database{}
			db.revision.Store(1)
			a := process(t, server, Options{}, db.read)
			b := process(t, server, Options{}, db.read)
			if err := exchangeEntry.Load(t.Context(), a.remote.client).Err(); err != nil {
				t.Fatal(err)
			}
			if cached {
				get(t, a, 1)
			}
			var held atomic.Bool
			answered, proceed := make(chan struct{}), make(chan struct{})
			a.remote.client.AddHook(hook(func(ctx context.Context, cmd redis.Cmder, call redis.ProcessHook) error {
				err := call(ctx, cmd)
				if cmd.Name() == command && held.CompareAndSwap(false, true) { // the first only
					close(answered)
					<-proceed
				}
				return err
			}))
			var wg sync.WaitGroup
			wg.Go(func() { get(t, a, 1) })
			<-answered
			db.revision.Store(2)
			b.Invalidate(t.Context(), "k")
			begun := a.Stats()
			wg.Go(func() { get(t, a, 2) })
			eventually(t, "the late one waits for the first, or has begun its own", func() bool {
				s := a.Stats()
				return s.Shared > begun.Shared || s.Loads > begun.Loads
			})
			close(proceed)
			wg.Wait()
			get(t, a, 2)
		})
	}
}

// Readers and writers in several processes, with delays between load and store: a Get never answers with less than
// what was written, and invalidated, before it began.
func TestReadYourWrites(t *testing.T) {
	for name, local := range map[string]time.Duration{"one process, two layers": time.Hour, "three processes": 0} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t)
			db := &database{}
			db.revision.Store(1)
			db.hold = func(ctx context.Context, _ string) { await(ctx, rand.N(3*time.Millisecond)) }
			processes := []*Query[doc]{process(t, server, Options{LocalTTL: local}, db.read)}
			for local == 0 && len(processes) < 3 {
				processes = append(processes, process(t, server, Options{}, db.read))
			}
			for _, q := range processes {
				q.remote.timeout = patience // a busy machine is no outage
			}
			var acknowledged atomic.Int64
			ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
			defer stop()
			var wg sync.WaitGroup
			var gets, writes atomic.Int64
			for _, q := range processes {
				for range 12 / len(processes) {
					wg.Go(func() {
						for ctx.Err() == nil {
							least := acknowledged.Load()
							got, err := q.Get(t.Context(), "k")
							if err != nil || got.Revision < least {
								t.Errorf("got revision %d, %v, want %d or later", got.Revision, err, least)
								return
							}
							gets.Add(1)
							await(ctx, rand.N(time.Millisecond))
						}
					})
				}
				wg.Go(func() {
					for ctx.Err() == nil {
						written := db.revision.Add(1)
						q.Invalidate(t.Context(), "k")
						for {
							known := acknowledged.Load()
							if known >= written || acknowledged.CompareAndSwap(known, written) {
								break
							}
						}
						writes.Add(1)
						await(ctx, rand.N(12*time.Millisecond))
					}
				})
			}
			wg.Wait()
			var overtaken, hits int64
			for _, q := range processes {
				s := q.Stats()
				overtaken += s.Overtaken
				hits += s.LocalHits + s.RedisHits
			}
			t.Logf("%d gets, %d writes, %d loads, %d hits, %d loads overtaken", gets.Load(), writes.Load(), db.reads.Load(), hits, overtaken)
			if overtaken == 0 || hits == 0 {
				t.Error("nothing was overtaken, or nothing was kept: this has shown nothing")
			}
		})
	}
}
