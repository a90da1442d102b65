package cache

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/redistest"
)

// line is a way to a Redis that takes its time: what comes back comes later by its delay.
type line struct {
	net.Listener
	to    string
	delay atomic.Int64 // ns
	ends  sync.WaitGroup
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{Listener: listener, to: to}
	l.ends.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close() // nobody comes any more
		l.ends.Wait()
	})
	return l
}

func (l *line) accept() {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.to) //nolint:noctx // on the loopback interface, to a server that runs
		if err != nil {
			_ = client.Close() // as a server that is down does
			continue
		}
		l.ends.Go(func() {
			_, _ = io.Copy(server, client) // it ends with either side
			_ = server.Close()             // it has all
		})
		l.ends.Go(func() {
			defer client.Close() // it has all
			buffer := make([]byte, 64<<10)
			for {
				n, err := server.Read(buffer)
				if err != nil {
					return
				}
				<-time.After(time.Duration(l.delay.Load()))
				if _, err := client.Write(buffer[:n]); err != nil {
					return
				}
			}
		})
	}
}

// Over a slow line answers are right and come in time, the store is asked no more often than it must be, and when
// the line is quick again Redis is used again. With 60 ms Redis still has its part; with 400 it is left alone. A load
// takes as long as a call may, so that who asks while one is under way joins it.
func TestSlowRedis(t *testing.T) {
	const load, busy = callTimeout, 500 * time.Millisecond // what the machine may take of its own
	for delay, most := range map[time.Duration]time.Duration{
		60 * time.Millisecond:  5*callTimeout + load, // look, take the lease, exchange it, and two looks of who waits for that
		400 * time.Millisecond: 2*callTimeout + load, // look in vain, once more where the first was another's
	} {
		t.Run(delay.String(), func(t *testing.T) {
			server := redistest.New(t)
			slow := newLine(t, server.Addr())
			db := &database{hold: func(context.Context, string) { <-time.After(load) }}
			db.revision.Store(1)
			const instances, callers, rounds = 4, 50, 4
			queries := make([]*Query[doc], instances)
			for i := range queries {
				client := redis.NewClient(&redis.Options{Addr: slow.Addr().String(), ContextTimeoutEnabled: true, MaxRetries: -1})
				q := New(client, Options{Name: "doc"}, db.read)
				queries[i] = q
				t.Cleanup(func() {
					q.Close()
					if err := client.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			get(t, queries[0], 1)
			queries[0].Invalidate(t.Context(), "k")
			db.reads.Store(0)
			slow.delay.Store(int64(delay))
			for round := range rounds {
				began := time.Now()
				queries[0].Invalidate(t.Context(), "k")
				if took, most := time.Since(began), insistFor+callTimeout; took > most+busy {
					t.Errorf("round %d: the writer took %v, want %v at most", round, took, most)
				}
				var mu sync.Mutex
				var took []time.Duration
				var wg sync.WaitGroup
				for _, q := range queries {
					for range callers {
						wg.Go(func() {
							began := time.Now()
							get(t, q, 1)
							mu.Lock()
							defer mu.Unlock()
							took = append(took, time.Since(began))
						})
					}
				}
				wg.Wait()
				if longest := slices.Max(took); longest > most+busy {
					t.Errorf("round %d: the longest took %v, want %v at most", round, longest, most)
				}
			}
			// Each instance loads for itself at worst, and once more in a round where some come as a load ends.
			if got, limit := db.reads.Load(), int64(2*instances*rounds); got > limit {
				t.Errorf("%d callers: got %d loads, want %d at most", instances*rounds*callers, got, limit)
			}
			slow.delay.Store(0)
			eventually(t, "Redis is used again", func() bool {
				hits := queries[1].Stats().RedisHits
				get(t, queries[1], 1)
				return queries[1].Stats().RedisHits > hits
			})
		})
	}
}

// After a rest one caller looks whether Redis works again; the others don't wait for what it finds.
func TestHalfOpen(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	q := process(t, server, Options{}, db.read)
	var asked atomic.Int64
	q.remote.client.AddHook(hook(func(ctx context.Context, cmd redis.Cmder, call redis.ProcessHook) error {
		asked.Add(1)
		return context.DeadlineExceeded
	}))
	for range tolerated {
		get(t, q, 1)
	}
	before := asked.Load()
	get(t, q, 1)
	if got := asked.Load(); got != before {
		t.Errorf("asked %d times while it rests", got-before)
	}
	before = asked.Load()
	q.remote.restUntil.Store(time.Now().UnixNano())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { get(t, q, 1) })
	}
	wg.Wait()
	if got := asked.Load() - before; got > 1 {
		t.Errorf("asked %d times after the rest, want once", got)
	}
}
