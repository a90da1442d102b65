package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"earshot.dev/functions/conversations/api"
)

// limited is an instance that counts requests together with others, and gives back hardly any.
func (w *world) limited(t *testing.T, burst int) *instance {
	t.Helper()
	i := w.instance(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: w.redis.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() {
		if err := rdb.Close(); err != nil {
			t.Error(err)
		}
	})
	i.Handler = api.New(api.Options{
		Reader: i.db.Read, Store: i.db, Publisher: nobody{}, Rate: rate.Limit(0.001), Burst: burst,
		Shared: redis_rate.NewLimiter(rdb),
		User:   func(r *http.Request) (string, time.Time, error) { return r.Header.Get("Authorization"), signedIn, nil },
	})
	return i
}

// A user has one limit, however many instances answer, and another user has another; without Redis each instance keeps
// the limit by itself.
func TestLimitIsShared(t *testing.T) {
	w := newWorld(t)
	const burst = 5
	limited := func() *instance { return w.limited(t, burst) }
	// admitted is how many of twenty requests are, to each instance in turn.
	admitted := func(instances ...*instance) (n int) {
		for range 20 {
			for _, i := range instances {
				status, _ := i.call("GET", "/v1/users/developer/webhook/memory_created", "")
				switch status {
				case http.StatusOK:
					n++
				case http.StatusTooManyRequests:
				default:
					t.Fatalf("got status %d", status)
				}
			}
		}
		return n
	}
	if n := admitted(limited(), limited()); n != burst {
		t.Errorf("two instances: %d requests were let in, want %d", n, burst)
	}
	if n := admitted(limited()); n != 0 {
		t.Errorf("a third instance: %d requests were let in, want none more", n)
	}
	a, b := limited(), limited()
	w.redis.Kill()
	if n := admitted(a, b); n != 2*burst {
		t.Errorf("two instances without Redis: %d requests were let in, want %d", n, 2*burst)
	}
}

// Requests of a client that doesn't wait for their answers count as any.
func TestLimitOfWhoLeaves(t *testing.T) {
	w := newWorld(t)
	const burst = 5
	ctx, leave := context.WithCancel(t.Context())
	leave()
	left := w.limited(t, burst)
	for range burst {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/users/developer/webhook/memory_created", nil)
		r.Header.Set("Authorization", "anna")
		left.ServeHTTP(httptest.NewRecorder(), r)
	}
	if status, _ := w.limited(t, burst).call("GET", "/v1/users/developer/webhook/memory_created", ""); status != http.StatusTooManyRequests {
		t.Errorf("another instance, after %d requests: got status %d, want 429", burst, status)
	}
}

// Who jumps far down ever new lists gets no more of that than the limit has; who scrolls as far is never refused.
func TestFarOffsets(t *testing.T) {
	w := newWorld(t)
	i := w.instance(t)
	const burst, all = 100, 1200
	i.past(time.Now(), all)
	limited := func() {
		i.Handler = api.New(api.Options{
			Reader: i.db.Read, Store: i.db, Publisher: nobody{}, Rate: rate.Limit(0.001), Burst: burst,
			User: func(r *http.Request) (string, time.Time, error) { return r.Header.Get("Authorization"), signedIn, nil },
		})
	}
	limited()
	for offset := 0; offset < all; offset += 50 {
		for range 2 { // and looks again
			i.want("GET", fmt.Sprintf("/v1/conversations?limit=50&offset=%d", offset), "")
		}
	}
	limited()
	admitted := 0
	documents, _ := w.reads(func() {
		for n := range 60 {
			status, _ := i.call("GET", fmt.Sprintf("/v1/conversations?limit=1&offset=1000&start_date=2020-01-01T00:00:%02dZ", n), "")
			if status == http.StatusOK {
				admitted++
			}
		}
	})
	if want := burst / (1 + 1000/100); admitted != want || documents > int64(want*1001) {
		t.Errorf("60 jumps: %d were let in, for %d reads, want %d", admitted, documents, want)
	}
	limited()
	if status, body := i.call("GET", "/v1/conversations?limit=1&offset=10000", ""); status != http.StatusOK {
		t.Errorf("the farthest jump, which costs all that may come at once: got status %d, %s", status, body)
	}
}
