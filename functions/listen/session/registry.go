package session

import (
	"context"
	"sync"

	"earshot.dev/shared/fault"
)

// Registry knows the sessions of this instance, so that they can be drained, and end when their device has a newer one anywhere.
type Registry struct {
	others   Broadcaster
	limit    int // of sessions
	perUser  int // likewise
	mu       sync.Mutex
	sessions map[*Session]struct{}
	drained  chan struct{} // not nil once draining; closed when the last session has gone
}

// NewRegistry takes up to limit sessions at a time, and up to perUser of each user that go on. Other
// instances are told of them by others, and what those tell is for Heard.
func NewRegistry(limit, perUser int, others Broadcaster) *Registry {
	return &Registry{others: others, limit: limit, perUser: perUser, sessions: make(map[*Session]struct{})}
}

// Run lives a session, and has an older one of the same device end, which may be a socket that leads nowhere. Overloaded: there is no room for it, and nothing has been run.
func (r *Registry) Run(ctx context.Context, s *Session) error {
	if err := r.add(s); err != nil {
		sessionsLost.Add(ctx, 1)
		return err
	}
	defer r.remove(s)
	s.scribe.attached = r.attached
	s.Run(ctx)
	return nil
}

func (r *Registry) add(s *Session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drained != nil {
		return fault.Newf(fault.Overloaded, "run session", "the service moves: try again")
	}
	ofUser := 0 // those that go on
	for old := range r.sessions {
		if old.params.UID != s.params.UID || old.stopping.Err() != nil {
			continue
		}
		if old.params.Device == s.params.Device && !s.params.Shared { // else another device may come under the same name
			old.Stop(Superseded)
			continue
		}
		ofUser++
	}
	switch {
	case len(r.sessions) >= r.limit: // with those that are about to end
		return fault.Newf(fault.Overloaded, "run session", "no room for another session: try again later")
	case ofUser >= r.perUser:
		return fault.Newf(fault.Overloaded, "run session", "more than %d sessions of one user", r.perUser)
	}
	r.sessions[s] = struct{}{}
	return nil
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
