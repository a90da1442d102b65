package session

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// Takeover tells the instances that a session has attached to a slot of a device, so that an older one ends at once, wherever
// it is. It isn't needed for what is stored to be right: the older one also finds out with its next write, but has none to
// make while nobody speaks.
type Takeover struct {
	UID        string `json:"uid"`
	Device     string `json:"device"`
	Slot       string `json:"slot"`
	SessionID  string `json:"session_id"`
	Generation int64  `json:"generation"` // of the slot: the later the higher
}

// Broadcaster tells all instances something (broadcast.Channel); what it tells may be lost.
type Broadcaster interface {
	Send(ctx context.Context, message []byte) error
}

// contendAfter is how long after it has found a newer one a session looks whether its client still talks. One that has moved
// to that doesn't by then, save for frames that were on their way.
const contendAfter = talking + time.Second

// rivals are the sessions of its device that a session has heard of.
type rivals struct {
	news   chan struct{} // there may be a newer one; kept until the session is attached
	newest atomic.Int64  // generation
}

func newRivals() *rivals { return &rivals{news: make(chan struct{}, 1)} }

// hear is called by one at a time: the Registry.
func (r *rivals) hear(t Takeover) {
	r.newest.Store(max(r.newest.Load(), t.Generation))
	r.look()
}

func (r *rivals) look() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *rivals) newer(generation int64) bool { return generation > 0 && r.newest.Load() > generation }

// hear takes in that a session has attached; it may be this one, or an older one. Where several devices may share a name, one
// that has nothing to store is left alone: two of them that are silent would put each other out for ever. So this session's
// slot is the device's first, whatever slots others have.
func (s *Session) hear(t Takeover) {
	own := t.UID == s.params.UID && t.Device == s.params.Device && t.Slot == t.Device
	if own && t.SessionID != s.params.ID && !s.params.Shared {
		s.scribe.rivals.hear(t)
	}
}

// meet looks at the newer session that there may be.
func (s *scribe) meet(ctx context.Context) {
	switch {
	case s.yielded && s.params.Shared:
		s.contend(ctx)
	case s.rivals.newer(s.generation):
		s.stop(Superseded)
	}
}

// contend ends a session that has found a newer one under its name if its client still talks: then there are two devices, or so
// it seems. One that is silent stays, aside: to close it would have its client come back, and put out the other.
func (s *scribe) contend(ctx context.Context) {
	switch {
	case !s.draft.open(): // that was over before
		s.yielded = false
	case s.talks() && !s.draft.stored.Session.Closed:
		ctx, cancel := context.WithTimeout(ctx, contendLimit)
		defer cancel()
		if err := s.store.Contend(ctx, s.params.UID, s.device, time.Now()); err != nil {
			logging.Error(ctx, "contention_not_noted", err)
		}
		s.stop(Superseded)
	case s.saving || s.brings(): // it will find the newer one again
		s.yielded = false
	default:
		s.aside = true
	}
}

// brings reports whether there is something that wants a conversation, or the end of one.
func (s *scribe) brings() bool {
	return len(s.draft.unsaved)+len(s.photos) > 0 || len(s.endings) > 0 && !s.endings[0].reason.Automatic()
}

// comeForth has a session that stood aside leave the conversation to the other: what it brings now is for its own. What was said
// of the words before went there.
func (s *scribe) comeForth() {
	s.draft.leave()
	s.aside, s.yielded = false, false
}

// takeOver tells of this session's attachment, and doesn't wait for it.
func (s *scribe) takeOver(ctx context.Context, stored conversation.Conversation) {
	if stored.Session.ID != s.params.ID || stored.Session.Generation == 0 { // it is for last words alone
		return
	}
	t := Takeover{
		UID: s.params.UID, Device: s.params.Device, Slot: stored.Device, SessionID: s.params.ID, Generation: s.generation,
	}
	ctx = context.WithoutCancel(ctx) // that of the opening ends with it
	if !s.announcing.TryGo(func() error { s.attached(ctx, t); return nil }) {
		logging.Error(ctx, "takeover_not_told", errTooMuchToAnnounce)
	}
}

// Heard takes in what an instance, this one too, has told by the Registry's Broadcaster.
func (r *Registry) Heard(ctx context.Context, message []byte) {
	var t Takeover
	if err := json.Unmarshal(message, &t); err != nil {
		logging.Error(ctx, "takeover_not_understood", fault.New(fault.Invalid, "read takeover", err))
		return
	}
	r.hear(t)
}

func (r *Registry) hear(t Takeover) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.sessions {
		s.hear(t)
	}
}

// attached tells all instances. Those that don't hear of it now let the older session find out by itself.
func (r *Registry) attached(ctx context.Context, t Takeover) {
	r.hear(t)
	message, err := json.Marshal(t)
	if err == nil {
		err = r.others.Send(ctx, message)
	}
	if err != nil {
		logging.Error(ctx, "takeover_not_told", err)
	}
}
