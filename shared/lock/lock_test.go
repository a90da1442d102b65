package lock

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		slog.Error("goroutines were left", "error", err)
		code = 1
	}
	os.Exit(code)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// patience bounds what a test waits for; nothing here takes as long.
const patience = 20 * time.Second

func start(tb testing.TB) (*Locker, *redistest.Server) {
	tb.Helper()
	server := redistest.New(tb)
	return locker(tb, server.Addr()), server
}

// locker is one of an instance of its own.
func locker(tb testing.TB, addr string) *Locker {
	l := New(redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true}), 5*time.Minute)
	tb.Cleanup(func() {
		if err := l.client.Close(); err != nil { // first, so that nothing waits for a Redis that was killed
			tb.Error(err)
		}
		l.Close()
	})
	return l
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(patience)
	for tick := time.NewTicker(2 * time.Millisecond); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("still not so after %v: %s", patience, what)
		}
	}
}

// stored is the token under a lock's name; empty if there is none.
func stored(t *testing.T, l *Locker, name string) string {
	t.Helper()
	token, err := l.client.Get(t.Context(), "lock:"+name).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return token
}

func TestOneAtATime(t *testing.T) {
	l, server := start(t)
	other := locker(t, server.Addr()) // another instance
	done := 0                         // without a mutex: the race detector watches, too
	var inside atomic.Int32
	var wg sync.WaitGroup
	for i := range 40 {
		locker := []*Locker{l, other}[i%2]
		wg.Go(func() {
			err := locker.Hold(t.Context(), "one", Options{Wait: patience}, func(context.Context) error {
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d inside at once", n)
				}
				done++
				inside.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done != 40 || stored(t, l, "one") != "" {
		t.Errorf("got %d done and token %q left, want 40 and none", done, stored(t, l, "one"))
	}
	if s := l.Stats(); s.Acquired != 20 || s.Busy+s.Lost+s.Unavailable != 0 || s.Waited <= 0 {
		t.Errorf("got %+v, want 20 acquired, some waiting and nothing else", s)
	}
}

func TestHeldByAnother(t *testing.T) {
	l, server := start(t)
	other := locker(t, server.Addr())
	never := func(context.Context) error {
		t.Error("two at once")
		return nil
	}
	err := l.Hold(t.Context(), "a", Options{}, func(context.Context) error {
		if err := other.Hold(t.Context(), "a", Options{}, never); !fault.Is(err, fault.Busy) {
			t.Errorf("not waiting: got %v, want busy", err)
		}
		const wait = 120 * time.Millisecond
		began := time.Now()
		err := other.Hold(t.Context(), "a", Options{Wait: wait}, never)
		if took := time.Since(began); !fault.Is(err, fault.Busy) || took < wait {
			t.Errorf("waiting: got %v after %v, want busy after %v", err, took, wait)
		}
		if s := other.Stats(); s.Busy != 2 || s.Acquired != 0 || s.Waited < wait {
			t.Errorf("got %+v, want 2 busy, waited %v", s, wait)
		}
		reason := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(reason) })
		if err := other.Hold(ctx, "a", Options{Wait: patience}, never); !errors.Is(err, reason) {
			t.Errorf("cancelled while waiting: got %v, want %v", err, reason)
		}
		if err := other.Hold(ctx, "b", Options{}, never); !errors.Is(err, reason) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("cancelled beforehand: got %v, want unavailable: %v", err, reason)
		}
		return other.Hold(t.Context(), "b", Options{}, func(context.Context) error { return nil })
	})
	if err != nil {
		t.Errorf("another name must be free: %v", err)
	}
}

// What fn returns comes back, and the lock is free again however fn and its caller end.
func TestReleased(t *testing.T) {
	l, _ := start(t)
	failed := errors.New("failed")
	for name, tt := range map[string]struct {
		fn   func(cancel context.CancelFunc) error
		want error
	}{
		"done":      {func(context.CancelFunc) error { return nil }, nil},
		"failed":    {func(context.CancelFunc) error { return failed }, failed},
		"cancelled": {func(cancel context.CancelFunc) error { cancel(); return failed }, failed},
		"panicked":  {func(context.CancelFunc) error { panic(failed) }, failed},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil && r != tt.want {
					t.Errorf("panicked with %v, want %v", r, tt.want)
				}
				if token := stored(t, l, name); token != "" {
					t.Errorf("token %q is left", token)
				}
			}()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := l.Hold(ctx, name, Options{}, func(context.Context) error {
				if stored(t, l, name) == "" {
					t.Error("it isn't held")
				}
				return tt.fn(cancel)
			})
			if err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRenewed(t *testing.T) {
	l, _ := start(t)
	const ttl = 300 * time.Millisecond
	began := time.Now()
	err := l.Hold(t.Context(), "long", Options{TTL: ttl}, func(ctx context.Context) error {
		token := stored(t, l, "long")
		eventually(t, "three times the TTL have passed", func() bool {
			if ctx.Err() != nil || stored(t, l, "long") != token {
				t.Fatalf("after %v: %v, token %q, want %q", time.Since(began), context.Cause(ctx), stored(t, l, "long"), token)
			}
			return time.Since(began) > 3*ttl
		})
		return nil
	})
	if s := l.Stats(); err != nil || s.Lost != 0 {
		t.Errorf("got %v, %+v, want nothing lost", err, s)
	}
}

func TestLost(t *testing.T) {
	const ttl = 2 * time.Second
	ctx := context.Background()
	for name, tt := range map[string]struct {
		lose  func(l *Locker, s *redistest.Server) error
		after func(s *redistest.Server) error
		left  string // the token in Redis afterwards
	}{
		"flushed": {
			lose: func(l *Locker, _ *redistest.Server) error { return l.client.FlushAll(ctx).Err() },
		},
		"taken over": {
			lose: func(l *Locker, _ *redistest.Server) error { return l.client.Set(ctx, "lock:x", "another's", 0).Err() },
			left: "another's",
		},
		"restarted empty": {
			lose: func(_ *Locker, s *redistest.Server) error { return s.Restart() },
		},
		"paused": {
			lose:  func(_ *Locker, s *redistest.Server) error { s.Pause(); return nil },
			after: func(s *redistest.Server) error { s.Resume(); return nil },
		},
		"killed": {
			lose:  func(_ *Locker, s *redistest.Server) error { s.Kill(); return nil },
			after: (*redistest.Server).Restart,
		},
		"read only": {
			lose: func(l *Locker, _ *redistest.Server) error {
				return l.client.Do(ctx, "REPLICAOF", "127.0.0.1", "1").Err()
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, server := start(t)
			err := l.Hold(t.Context(), "x", Options{TTL: ttl}, func(ctx context.Context) error {
				obtained := time.Now() // Redis began to count before
				if err := tt.lose(l, server); err != nil {
					t.Fatal(err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(patience):
				}
				if took := time.Since(obtained); context.Cause(ctx) != ErrLost || took > ttl {
					t.Errorf("after %v: got %v, want %v within %v", took, context.Cause(ctx), ErrLost, ttl)
				}
				if tt.after != nil {
					if err := tt.after(server); err != nil {
						t.Error(err)
					}
				}
				return ctx.Err()
			})
			if !errors.Is(err, ErrLost) || !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Busy) {
				t.Errorf("got %v of kind %v, want the work's error and %v, busy", err, fault.KindOf(err), ErrLost)
			}
			if s := l.Stats(); s.Lost != 1 || s.Acquired != 1 {
				t.Errorf("got %+v, want 1 acquired, 1 lost", s)
			}
			if tt.left != "" && stored(t, l, "x") != tt.left {
				t.Errorf("got token %q, want %q: it was not ours to free", stored(t, l, "x"), tt.left)
			}
		})
	}
}

// A Redis that is away for less than the TTL costs nothing.
func TestShortOutage(t *testing.T) {
	l, server := start(t)
	const ttl = 2 * time.Second
	err := l.Hold(t.Context(), "x", Options{TTL: ttl}, func(ctx context.Context) error {
		began := time.Now()
		server.Pause()
		time.AfterFunc(ttl/2, server.Resume) // a renewal was due in between
		eventually(t, "renewed after the pause", func() bool {
			return ctx.Err() != nil || time.Since(began) > ttl*3/2
		})
		return context.Cause(ctx)
	})
	if s := l.Stats(); err != nil || s.Lost != 0 {
		t.Errorf("got %v, %+v, want nothing lost", err, s)
	}
}

// Lost between two renewals: nobody could be told, but it is counted, and the next holder's lock stays.
func TestLostUnnoticed(t *testing.T) {
	l, _ := start(t)
	err := l.Hold(t.Context(), "x", Options{}, func(ctx context.Context) error {
		return l.client.Set(ctx, "lock:x", "another's", 0).Err()
	})
	if s := l.Stats(); err != nil || s.Lost != 1 || stored(t, l, "x") != "another's" {
		t.Errorf("got %v, %+v, token %q, want 1 lost and the other's token", err, s, stored(t, l, "x"))
	}
}

// Without Redis the work goes on, once, soon, and said once.
func TestUnavailable(t *testing.T) {
	ctx := context.Background()
	for name, fail := range map[string]func(l *Locker, s *redistest.Server) error{
		"killed": func(_ *Locker, s *redistest.Server) error { s.Kill(); return nil },
		"paused": func(_ *Locker, s *redistest.Server) error { s.Pause(); return nil },
		"read only": func(l *Locker, _ *redistest.Server) error {
			return l.client.Do(ctx, "REPLICAOF", "127.0.0.1", "1").Err()
		},
		"full": func(l *Locker, _ *redistest.Server) error { return l.client.ConfigSet(ctx, "maxmemory", "1").Err() },
	} {
		t.Run(name, func(t *testing.T) {
			l, server := start(t)
			if err := l.client.Ping(ctx).Err(); err != nil { // a connection is there when Redis fails
				t.Fatal(err)
			}
			if err := fail(l, server); err != nil {
				t.Fatal(err)
			}
			ctx, logged := captured(t)
			began, ran, want := time.Now(), 0, errors.New("from the work")
			var took time.Duration
			err := l.Hold(ctx, "x", Options{}, func(context.Context) error {
				ran, took = ran+1, time.Since(began)
				return want
			})
			if err != want || ran != 1 {
				t.Errorf("ran %d times, got %v, want once and %v", ran, err, want)
			}
			if took > 8*callTimeout { // room for a slow machine
				t.Errorf("began after %v, want about %v at most", took, callTimeout)
			}
			if s := l.Stats(); s.Unavailable != 1 || s.Acquired+s.Lost+s.Busy != 0 {
				t.Errorf("got %+v, want 1 unavailable", s)
			}
			if n := strings.Count(logged.String(), "lock_unavailable"); n != 1 {
				t.Errorf("logged %d times, want once: %s", n, logged)
			}
		})
	}
}

// Redis dies while another's lock is waited for.
func TestUnavailableWhileWaiting(t *testing.T) {
	l, server := start(t)
	if err := l.client.Set(t.Context(), "lock:x", "another's", 0).Err(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, server.Kill)
	ran := false
	err := l.Hold(t.Context(), "x", Options{Wait: patience}, func(context.Context) error {
		ran = true
		return nil
	})
	if s := l.Stats(); err != nil || !ran || s.Unavailable != 1 {
		t.Errorf("ran: %t, got %v, %+v, want the work done without the lock", ran, err, s)
	}
}

// The lock was set, and only the answer was lost: nobody knows the token, so nobody else would free it.
func TestAnswerLost(t *testing.T) {
	l, server := start(t)
	if err := l.Hold(t.Context(), "warm", Options{}, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err) // from here on Redis knows the script, and there is a connection
	}
	server.Pause()
	err := l.Hold(t.Context(), "x", Options{}, func(context.Context) error {
		server.Resume()
		eventually(t, "Redis has done what it was sent", func() bool { return stored(t, l, "x") != "" })
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	eventually(t, "the lock is gone", func() bool { return stored(t, l, "x") == "" })
}

func TestClientWithoutDeadlines(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a client that ignores deadlines was taken")
		}
	}()
	client := redis.NewClient(&redis.Options{})
	defer client.Close() // of no more use
	New(client, time.Minute)
}

// captured gives a context whose log lines can be read once the work is done.
func captured(t *testing.T) (context.Context, *bytes.Buffer) {
	var b bytes.Buffer
	return logging.NewContext(t.Context(), slog.New(slog.NewTextHandler(&b, nil))), &b
}
