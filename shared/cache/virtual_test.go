package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/fault"
)

// alone is a Query whose Redis rests for good, so that time can be virtual: real sockets would stop it.
func alone(t *testing.T, o Options, load func(context.Context, string) (doc, error)) *Query[doc] {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	q := New(client, o, load)
	q.remote.restUntil.Store(math.MaxInt64)
	t.Cleanup(func() {
		q.Close()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func TestLocalTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const local, negative = 5 * time.Second, 2 * time.Second
		db := &database{}
		q := alone(t, Options{LocalTTL: local, NegativeTTL: negative}, db.read)
		loads := func(want int64) {
			t.Helper()
			_, err := q.Get(t.Context(), "k")
			if err != nil && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
			if got := db.reads.Load(); got != want {
				t.Errorf("got %d loads, want %d", got, want)
			}
		}
		loads(1)
		<-time.After(negative - time.Millisecond)
		loads(1)
		db.revision.Store(1)
		<-time.After(2 * time.Millisecond)
		loads(2)
		<-time.After(local - time.Millisecond)
		loads(2)
		<-time.After(2 * time.Millisecond)
		loads(3)
	})
}

// A loader that takes too long fails those who ask for its key, in time, and nobody else.
func TestSlowLoader(t *testing.T) {
	for name, tt := range map[string]struct {
		slow func(ctx context.Context)
		want time.Duration
	}{
		"ends with its context": {func(ctx context.Context) { <-ctx.Done() }, loadTimeout},
		"doesn't":               {func(context.Context) { <-time.After(time.Hour) }, flightTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				q := alone(t, Options{}, func(ctx context.Context, key string) (doc, error) {
					if key == "slow" && first {
						first = false
						tt.slow(ctx)
						return doc{}, ctx.Err()
					}
					return doc{Revision: 1}, nil
				})
				began := time.Now()
				failed := make(chan error)
				go func() {
					_, err := q.Get(t.Context(), "slow")
					failed <- err
				}()
				synctest.Wait()
				if _, err := q.Get(t.Context(), "quick"); err != nil || time.Since(began) != 0 {
					t.Errorf("another key: got %v after %v, want no delay", err, time.Since(began))
				}
				err := <-failed
				if took := time.Since(began); took != tt.want || !errors.Is(err, context.DeadlineExceeded) || !fault.Is(err, fault.Unavailable) {
					t.Errorf("got %v after %v, want unavailable after %v", err, took, tt.want)
				}
				if got, err := q.Get(t.Context(), "slow"); err != nil || got.Revision != 1 {
					t.Errorf("the next: got %+v, %v, want revision 1", got, err)
				}
			})
		})
	}
}

func TestCloseEndsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := alone(t, Options{}, func(ctx context.Context, _ string) (doc, error) {
			<-ctx.Done()
			return doc{}, ctx.Err()
		})
		began := time.Now()
		time.AfterFunc(time.Second, q.Close)
		if _, err := q.Get(t.Context(), "k"); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want it cancelled after a second", err, time.Since(began))
		}
	})
}

// A loader that ends its goroutine, as t.FailNow does, leaves an error and no lock behind.
func TestLoaderExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := alone(t, Options{}, func(context.Context, string) (doc, error) {
			runtime.Goexit()
			return doc{}, nil
		})
		for range 2 {
			if _, err := q.Get(t.Context(), "k"); !errors.Is(err, errNothing) {
				t.Errorf("got %v, want %v", err, errNothing)
			}
		}
	})
}

func TestUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		var deleted sync.Map // key -> how often
		times := func(key string) int {
			n, _ := deleted.LoadOrStore(key, 0)
			return n.(int)
		}
		var u *undone
		u = newUndone(func(_ context.Context, keys ...string) error {
			if !up.Load() {
				return errors.New("down")
			}
			for _, key := range keys {
				deleted.Store(key, times(key)+1)
			}
			if slices.Contains(keys, "key7") && times("key7") == 1 {
				u.add("key7") // written again, and failed again, while the first was on its way
			}
			return nil
		})
		const keys = 3*undoneBatch + 1
		for i := range keys {
			u.add(fmt.Sprintf("key%d", i))
		}
		<-time.After(time.Minute)
		if times("key0") != 0 || !u.has("key0") {
			t.Fatal("deleted while Redis was down")
		}
		up.Store(true)
		<-time.After(2 * longestRedo)
		for i := range keys {
			key, want := fmt.Sprintf("key%d", i), 1
			if i == 7 {
				want = 2
			}
			if got := times(key); got != want || u.has(key) {
				t.Errorf("%s: deleted %d times, want %d; still to be done: %t", key, got, want, u.has(key))
			}
		}
		up.Store(false)
		for i := range mostUndone + 1 {
			if kept, want := u.add(fmt.Sprint(i)), i < mostUndone; kept != want {
				t.Fatalf("key %d: remembered %t, want %t", i, kept, want)
			}
		}
		u.close()
	})
}

// Without Redis each key is loaded, but few at once, whatever Query asks; who waits for too long for a turn is told so.
func TestLoadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, keys = 20 * time.Millisecond, 1000
		var running, most atomic.Int64
		load := func(context.Context, string) (doc, error) {
			now := running.Add(1)
			defer running.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			<-time.After(each)
			return doc{Revision: 1}, nil
		}
		queries := []*Query[doc]{alone(t, Options{}, load), alone(t, Options{}, load)}
		began := time.Now()
		var wg sync.WaitGroup
		for n := range keys {
			wg.Go(func() {
				if got, err := queries[n%2].Get(t.Context(), fmt.Sprint(n)); err != nil || got.Revision != 1 {
					t.Errorf("got %+v, %v, want revision 1", got, err)
				}
			})
		}
		wg.Wait()
		if got := most.Load(); got != maxLoads {
			t.Errorf("%d loads at once, want %d", got, maxLoads)
		}
		if took, want := time.Since(began), (keys+maxLoads-1)/maxLoads*each; took != want {
			t.Errorf("took %v, want %v: as many at once as may be", took, want)
		}
		if err := loading.Acquire(t.Context(), maxLoads); err != nil {
			t.Fatal(err)
		}
		defer loading.Release(maxLoads)
		began = time.Now()
		if _, err := queries[0].Get(t.Context(), "k"); !fault.Is(err, fault.Unavailable) || time.Since(began) != loadTimeout {
			t.Errorf("without a turn: got %v after %v, want unavailable after %v", err, time.Since(began), loadTimeout)
		}
	})
}
