package session

import (
	"context"
	"sync"
)

// Registry knows the sessions of this instance, so that they can be drained.
type Registry struct {
	limit    int
	mu       sync.Mutex
	sessions map[*Session]struct{}
	drained  chan struct{} // not nil once draining; closed when the last session has gone
}

// NewRegistry takes up to limit sessions at a time.
func NewRegistry(limit int) *Registry {
	return &Registry{limit: limit, sessions: make(map[*Session]struct{})}
}

// Run lives a session. It reports false, and runs nothing, when the instance is full or draining.
func (r *Registry) Run(ctx context.Context, s *Session) bool {
	r.mu.Lock()
	if r.drained != nil || len(r.sessions) >= r.limit {
		r.mu.Unlock()
		return false
	}
	r.sessions[s] = struct{}{}
	r.mu.Unlock()

	defer r.remove(s)
	s.Run(ctx)
	return true
}

func (r *Registry) remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
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
