package api

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"earshot.dev/shared/fault"
)

// purgeAt is how many users are known before those are forgotten who have not asked for a while.
const purgeAt = 10_000

// limits keep one user from taking what is everybody's. They are of this instance: a user's requests spread over as
// many instances as there are, which is enough to keep a client with a fault in bounds.
type limits struct {
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	users map[string]*rate.Limiter
	purge int // at how many
}

func newLimits(r rate.Limit, burst int) *limits {
	return &limits{rate: r, burst: burst, users: make(map[string]*rate.Limiter), purge: purgeAt}
}

// admit counts a request of a user. fault.Overloaded: it is one too many.
func (l *limits) admit(uid string) error {
	l.mu.Lock()
	user := l.users[uid]
	if user == nil {
		l.forget(time.Now())
		user = rate.NewLimiter(l.rate, l.burst)
		l.users[uid] = user
	}
	l.mu.Unlock()
	if !user.Allow() {
		return fault.Newf(fault.Overloaded, "admit request", "too many requests: over %v a second", float64(l.rate))
	}
	return nil
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
