package cache

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/redistest"
)

// Whatever Redis does, answers are right, soon, and said about once; and when it is back it is used again.
func TestOutage(t *testing.T) {
	ctx := context.Background()
	for name, tt := range map[string]struct {
		fail, mend func(q *Query[doc], s *redistest.Server) error
	}{
		"killed": {
			func(_ *Query[doc], s *redistest.Server) error { s.Kill(); return nil },
			func(_ *Query[doc], s *redistest.Server) error { return s.Restart() },
		},
		"paused": {
			func(_ *Query[doc], s *redistest.Server) error { s.Pause(); return nil },
			func(_ *Query[doc], s *redistest.Server) error { s.Resume(); return nil },
		},
		"full": {
			func(q *Query[doc], _ *redistest.Server) error {
				return q.remote.client.ConfigSet(ctx, "maxmemory", "1").Err()
			},
			func(q *Query[doc], _ *redistest.Server) error {
				return q.remote.client.ConfigSet(ctx, "maxmemory", "0").Err()
			},
		},
		"read only": {
			func(q *Query[doc], _ *redistest.Server) error {
				return q.remote.client.Do(ctx, "REPLICAOF", "127.0.0.1", "1").Err()
			},
			func(q *Query[doc], _ *redistest.Server) error {
				return q.remote.client.Do(ctx, "REPLICAOF", "NO", "ONE").Err()
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t)
			db := &database{}
			db.revision.Store(1)
			q := process(t, server, Options{}, db.read)
			get(t, q, 1)
			q.Invalidate(t.Context(), "k")
			if err := tt.fail(q, server); err != nil {
				t.Fatal(err)
			}
			ctx, logged := captured(t)
			const gets = 20
			began := time.Now()
			for range gets {
				if got, err := q.Get(ctx, "k"); err != nil || got.Revision != 1 {
					t.Errorf("got %+v, %v, want revision 1", got, err)
				}
			}
			// With Redis resting after a few failures, not every Get waits for it.
			if took, most := time.Since(began), gets*callTimeout/2; took > most {
				t.Errorf("%d calls took %v, want %v at most", gets, took, most)
			}
			if got := db.reads.Load(); got != gets+1 {
				t.Errorf("got %d loads, want each of %d", got, gets+1)
			}
			if s := q.Stats(); s.RedisErrors == 0 {
				t.Errorf("got %+v, want Redis' errors counted", s)
			}
			if n := logged.count("cache_unavailable"); n != 1 {
				t.Errorf("logged %d times, want once", n)
			}
			if err := tt.mend(q, server); err != nil {
				t.Fatal(err)
			}
			eventually(t, "Redis is used again", func() bool {
				hits := q.Stats().RedisHits
				get(t, q, 1)
				return q.Stats().RedisHits > hits
			})
		})
	}
}

// Who looks and has left already is no fault of Redis, which goes on being asked.
func TestPeekOfWhoLeft(t *testing.T) {
	db := &database{}
	db.revision.Store(1)
	q := process(t, redistest.New(t), Options{}, db.read)
	q.remote.timeout = patience // on a busy machine
	get(t, q, 1)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for range tolerated {
		q.Peek(ctx, "k")
	}
	if s := q.Stats(); s.RedisErrors != 0 || q.remote.resting() {
		t.Errorf("got %d errors of Redis, resting %t, want none", s.RedisErrors, q.remote.resting())
	}
}

// An invalidation that Redis doesn't take is repeated until it does. The writer's own process sees the write at
// once, the others then.
func TestInvalidateDuringOutage(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	writer := process(t, server, Options{LocalTTL: time.Hour}, db.read)
	reader := process(t, server, Options{}, db.read)
	get(t, writer, 1)
	get(t, reader, 1)
	var cut atomic.Bool
	cut.Store(true)
	writer.remote.client.AddHook(hook(func(ctx context.Context, cmd redis.Cmder, call redis.ProcessHook) error {
		if cut.Load() && cmd.Name() == "del" {
			return errors.New("the network is cut")
		}
		return call(ctx, cmd)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the writer's caller needn't be there any more
	db.revision.Store(2)
	writer.Invalidate(ctx, "j", "k")
	get(t, writer, 2)
	get(t, reader, 1) // which can't know
	cut.Store(false)
	eventually(t, "the reader sees it", func() bool {
		got, err := reader.Get(t.Context(), "k")
		return err == nil && got.Revision == 2
	})
	eventually(t, "nothing is left to repeat", func() bool { return !writer.remote.undone.has("cache:doc:v0:k") })
	if s := writer.Stats(); s.RedisErrors == 0 || s.Forgotten != 0 {
		t.Errorf("got %+v, want Redis' errors counted and nothing forgotten", s)
	}
}

// Redis flushed in the middle is a Redis that knows nothing.
func TestFlushed(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	q := process(t, server, Options{}, db.read)
	get(t, q, 1)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	get(t, q, 1)
	get(t, q, 1)
	if s := q.Stats(); s.Loads != 2 || s.RedisHits != 1 {
		t.Errorf("got %+v, want 2 loads and a hit", s)
	}
}

// Whoever had the lease has died: the others wait for a while, and then load for themselves.
func TestAbandonedLease(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	q := process(t, server, Options{}, db.read)
	if _, err := q.remote.take(t.Context(), "k", "lDEAD"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	get(t, q, 1)
	if took := time.Since(began); took < leaseWait || took > 3*leaseWait {
		t.Errorf("took %v, want %v", took, leaseWait)
	}
	if entry, left := stored(t, q); entry != "lDEAD" || left > leaseTTL {
		t.Errorf("got entry %q for %v, want the other's lease for %v at most", entry, left, leaseTTL)
	}
}

// Redis took the lease, and the client asked again since the answer was lost: it is ours all the same.
func TestLeaseAnswerLost(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	q := process(t, server, Options{}, db.read)
	q.remote.client.AddHook(hook(func(ctx context.Context, cmd redis.Cmder, call redis.ProcessHook) error {
		if cmd.Name() == "set" {
			if err := call(ctx, cmd); err != nil {
				return err
			}
		}
		return call(ctx, cmd)
	}))
	began := time.Now()
	get(t, q, 1)
	if entry, _ := stored(t, q); entry != `v{"revision":1}` || time.Since(began) > leaseWait {
		t.Errorf("got entry %q after %v, want the value, without waiting for oneself", entry, time.Since(began))
	}
}

// An entry that can't be read, of a shape that was changed without a new version, is replaced.
func TestUndecodable(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	q := process(t, server, Options{}, db.read)
	for _, entry := range []string{string(head(tagValue, 0, time.Now())) + `{"revision":"one"}`, `v{`, `what`} {
		if err := q.remote.client.Set(t.Context(), "cache:doc:v0:k", entry, 0).Err(); err != nil {
			t.Fatal(err)
		}
		get(t, q, 1)
		get(t, q, 1)
		if got, _ := stored(t, q); got != `v{"revision":1}` {
			t.Errorf("after %q: got entry %q, want the value", entry, got)
		}
	}
}

// What can't be encoded is answered, and not kept.
func TestUnencodable(t *testing.T) {
	server := redistest.New(t)
	ctx, logged := captured(t)
	q := process(t, server, Options{}, func(context.Context, string) (any, error) { return func() {}, nil })
	if got, err := q.Get(ctx, "k"); got == nil || err != nil {
		t.Errorf("got %v, %v, want the function", got, err)
	}
	if n := q.remote.client.Exists(t.Context(), "cache:doc:v0:k").Val(); n != 0 || logged.count("cache_unencodable") != 1 {
		t.Errorf("got %d entries, want none, and a line in the log", n)
	}
}
