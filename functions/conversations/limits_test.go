package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"earshot.dev/functions/conversations/api"
)

// A user has one limit, however many instances answer, and another user has another; without Redis each instance keeps
// the limit by itself.
func TestLimitIsShared(t *testing.T) {
	w := newWorld(t)
	const burst = 5
	limited := func() *instance {
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
