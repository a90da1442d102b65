package session

import (
	"context"
	"sync"

	"earshot.dev/shared/fault"
)

// Registry knows the sessions of this instance, so that they can be drained.
type Registry struct {
	limit    int // of sessions
	perUser  int // likewise
	mu       sync.Mutex
	sessions map[*Session]struct{}
	users    map[string]int // how many each has
	drained  chan struct{}  // not nil once draining; closed when the last session has gone
}

// NewRegistry takes up to limit sessions at a time, and up to perUser of each user.
func NewRegistry(limit, perUser int) *Registry {
	return &Registry{limit: limit, perUser: perUser, sessions: make(map[*Session]struct{}), users: make(map[string]int)}
}

// Run lives a session. Overloaded: there is no room for it, and nothing has been run.
func (r *Registry) Run(ctx context.Context, s *Session) error {
	if err := r.add(s); err != nil {
		sessionsLost.Add(ctx, 1)
		return err
	}
	defer r.remove(s)
	s.Run(ctx)
	return nil
}

func (r *Registry) add(s *Session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.drained != nil:
		return fault.Newf(fault.Overloaded, "run session", "the service moves: try again")
	case len(r.sessions) >= r.limit:
		return fault.Newf(fault.Overloaded, "run session", "no room for another session: try again later")
	case r.users[s.params.UID] >= r.perUser:
		return fault.Newf(fault.Overloaded, "run session", "more than %d sessions of one user", r.perUser)
	}
	r.sessions[s] = struct{}{}
	r.users[s.params.UID]++
	return nil
}

func (r *Registry) remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
	if r.users[s.params.UID]--; r.users[s.params.UID] == 0 {
		delete(r.users, s.params.UID)
	}
	if r.drained != nil && len(r.sessions) == 0 {
		close(r.drained)
	}
}

// Drain takes no more sessions, tells all to stop, and waits until they have, or ctx ends. It is called once.
func (r *Registry) Drain(ctx context.Context) error {
	r.mu.Lock()
	r.drained = make(chan struct{})
	if len(r.sessions) == 0 {
		close(r.drained)
	}
	for s := range r.sessions {
		s.Stop(Drained)
	}
	r.mu.Unlock()
	select {
	case <-r.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
