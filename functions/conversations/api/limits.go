package api

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"golang.org/x/time/rate"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// purgeAt is how many users are known before those are forgotten who have not asked for a while.
const purgeAt = 10_000

// limits keep one user from taking what is everybody's. All instances count together, in Redis; and each by itself, so
// that one which can't reach Redis still keeps a client with a fault in bounds.
type limits struct {
	rate   rate.Limit
	burst  int
	shared *redis_rate.Limiter // nil: this instance is alone
	avoid  atomic.Int64        // until when Redis isn't asked, since it has failed: Unix ns

	mu    sync.Mutex
	users map[string]*rate.Limiter
	purge int // at how many
}

func newLimits(r rate.Limit, burst int, shared *redis_rate.Limiter) *limits {
	return &limits{rate: r, burst: burst, shared: shared, users: make(map[string]*rate.Limiter), purge: purgeAt}
}

// Redis is asked for no longer than sharedLimit, and not again for avoidFor after it has failed.
const (
	sharedLimit = 50 * time.Millisecond
	avoidFor    = 5 * time.Second
)

// admit counts a request of a user as so many, but never as more than may come at once. fault.Overloaded: it is one too
// many.
func (l *limits) admit(ctx context.Context, uid string, cost int) error {
	cost = min(cost, l.burst)
	if !l.here(uid, cost) || !l.everywhere(ctx, uid, cost) {
		return fault.Newf(fault.Overloaded, "admit request", "too many requests: over %v a second", float64(l.rate))
	}
	return nil
}

// everywhere counts a request together with the other instances, also that of a client who has left: what it asks for is
// loaded all the same. Where that can't be done it is let in.
func (l *limits) everywhere(ctx context.Context, uid string, cost int) bool {
	now := time.Now()
	if l.shared == nil || l.rate == rate.Inf || now.UnixNano() < l.avoid.Load() {
		return true
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedLimit)
	defer cancel()
	each := time.Duration(float64(time.Second) / float64(l.rate))
	result, err := l.shared.AllowN(within, "requests:"+uid, redis_rate.Limit{Rate: 1, Period: each, Burst: l.burst}, cost)
	if err != nil {
		l.avoid.Store(now.Add(avoidFor).UnixNano())
		logging.Error(ctx, limitNotShared, fault.New(fault.Unavailable, "count request", err))
		return true
	}
	return result.Allowed > 0
}

// here counts a request in this instance.
func (l *limits) here(uid string, cost int) bool {
	l.mu.Lock()
	user := l.users[uid]
	if user == nil {
		l.forget(time.Now())
		user = rate.NewLimiter(l.rate, l.burst)
		l.users[uid] = user
	}
	l.mu.Unlock()
	return user.AllowN(time.Now(), cost)
}

// forget drops users of whom nothing is to be remembered, from time to time.
func (l *limits) forget(now time.Time) {
	if len(l.users) < l.purge {
		return
	}
	for uid, user := range l.users {
		if user.TokensAt(now) >= float64(l.burst) {
			delete(l.users, uid)
		}
	}
	l.purge = max(purgeAt, 2*len(l.users)) // so that it isn't done at each request when all are active
}
