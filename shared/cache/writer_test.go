package cache

import (
	"context"
	"errors"
	"math"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/redistest"
)

// Whatever a writer has met with Redis, which is well for others, its write is seen by them as soon as it goes on: nothing
// is left to the background, where it may get no CPU.
func TestWriterIsHeard(t *testing.T) {
	for name, meet := range map[string]func(t *testing.T, writer *Query[page]){
		"it rests":    func(_ *testing.T, writer *Query[page]) { writer.remote.restUntil.Store(math.MaxInt64) },
		"was in vain": func(_ *testing.T, writer *Query[page]) { writer.remote.vainUntil.Store(math.MaxInt64) },
		"is away for a moment": func(_ *testing.T, writer *Query[page]) {
			var calls atomic.Int64
			writer.remote.client.AddHook(hook(func(ctx context.Context, cmd redis.Cmder, call redis.ProcessHook) error {
				if calls.Add(1) <= tolerated {
					return errors.New("the network is cut")
				}
				return call(ctx, cmd)
			}))
		},
		"is full": func(t *testing.T, writer *Query[page]) {
			if err := writer.remote.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for how, write := range map[string]func(q *Query[page], p page){
			"invalidates": func(q *Query[page], _ page) { q.Invalidate(context.Background(), "k") },
			"updates":     func(q *Query[page], p page) { q.Update(context.Background(), "k", p) },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				server := redistest.New(t)
				var number atomic.Int64
				load := func(context.Context, string) (page, error) {
					return page{number.Load(), strconv.FormatInt(number.Load(), 10)}, nil
				}
				writer, reader := process(t, server, Options{}, load), process(t, server, Options{}, load)
				want := func(n int64) {
					t.Helper()
					if got, err := reader.Get(t.Context(), "k"); err != nil || got.Number != n {
						t.Errorf("got %+v (%v), want number %d", got, err, n)
					}
				}
				want(0)
				meet(t, writer)
				number.Store(1)
				write(writer, page{1, "1"})
				want(1)
			})
		}
	}
}

// A writer whom Redis doesn't hear waits for a bounded time, and the next, while that lasts, for one call.
func TestWriterIsNotHeldUp(t *testing.T) {
	const busy = 500 * time.Millisecond // what the machine may take of its own
	for name, fail := range map[string]func(s *redistest.Server){"killed": (*redistest.Server).Kill, "paused": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t)
			db := &database{}
			q := process(t, server, Options{}, db.read)
			fail(server)
			for n, most := range []time.Duration{insistFor + callTimeout, callTimeout, callTimeout} {
				began := time.Now()
				q.Invalidate(t.Context(), strconv.Itoa(n))
				if took := time.Since(began); took > most+busy || n == 0 && took < insistFor/4 {
					t.Errorf("write %d: took %v, want %v at most, and the first to try more than once", n, took, most)
				}
			}
			if name == "paused" {
				server.Resume()
			}
		})
	}
}
