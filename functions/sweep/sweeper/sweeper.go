// Package sweeper finds conversations that something should have happened to: it ends those that were abandoned,
// announces again those that nobody finalizes, and tells what was committed and never published.
//
// Every change is fenced by the version that was read, so a sweep can't disturb anybody: whoever is faster wins, and
// the sweep leaves the conversation to them. Two sweeps at once, or one that dies, cost nothing but repeated events.
package sweeper

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
)

// Store finds what is due and keeps what becomes of it.
type Store interface {
	// Due lists what should have happened in one span, and what was committed in another and not announced, each oldest
	// first. A conversation may be in both.
	Due(ctx context.Context, expired, unannounced conversation.Span) (late, untold []conversation.Owned, err error)
	// Commit takes effect if the stored conversation is still the version of c; else it is fault.Conflict.
	Commit(ctx context.Context, uid string, c *conversation.Conversation, pages ...transcript.Page) error
}

// Publisher publishes events. With an error an event may have been published all the same.
type Publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// Hold runs fn while nobody else runs one under the name. fault.Busy: somebody does.
type Hold func(ctx context.Context, name string, fn func(context.Context) error) error

// The bounds of a pass, by default: it is over before the next one starts, a minute later.
const (
	DefaultBatch  = 100
	DefaultLimit  = 5000
	DefaultBudget = 45 * time.Second
)

// DefaultAnnounceAfter is longer than publishing takes.
const DefaultAnnounceAfter = 30 * time.Second

// sweepDone is the name of the event that is logged after a pass without an error: an alert waits for it.
const sweepDone = "sweep_done"

// Sweeper makes passes. Store, Publisher and Hold are needed; 0 elsewhere is the default.
type Sweeper struct {
	Store     Store
	Publisher Publisher
	Hold      Hold

	Batch  int           // conversations asked for at a time
	Limit  int           // conversations looked at in one pass
	Budget time.Duration // after which no batch is begun

	// AnnounceAfter is the age of a marker from which on it is taken for forgotten: younger ones belong to somebody who
	// is publishing right now.
	AnnounceAfter time.Duration

	mu   sync.Mutex
	left place // where the last pass came to its bounds; zero: it did not
}

// Report says what a pass did, in conversations.
type Report struct {
	Elsewhere bool `json:"elsewhere,omitempty"` // another pass is under way, and this one did nothing

	Due       int `json:"due"`       // looked at
	Ended     int `json:"ended"`     // were abandoned
	Revived   int `json:"revived"`   // had ended or been claimed, and nothing came of it
	Announced int `json:"announced"` // were told about
	Overtaken int `json:"overtaken"` // somebody else was faster
	Failed    int `json:"failed"`    // to be tried again at the next pass
}

// Sweep makes one pass: until nothing is due, or to its bounds. What fails for one conversation doesn't keep it from
// the others; the error joins the first few that were met. A pass that finds another under way is content.
func (s *Sweeper) Sweep(ctx context.Context) (Report, error) {
	var p *pass
	err := s.Hold(ctx, "sweep", func(ctx context.Context) error {
		p = s.newPass()
		defer s.leave(p)
		return p.run(ctx)
	})
	if p == nil && fault.Is(err, fault.Busy) {
		return Report{Elsewhere: true}, nil
	}
	if p == nil {
		return Report{}, fault.Wrap("sweep", err)
	}
	p.signal(ctx, err)
	r := p.report
	if err != nil {
		return r, fault.Wrap("sweep", err)
	}
	logging.From(ctx).LogAttrs(ctx, slog.LevelInfo, sweepDone,
		slog.Int("due", r.Due), slog.Int("ended", r.Ended), slog.Int("revived", r.Revived),
		slog.Int("announced", r.Announced), slog.Int("overtaken", r.Overtaken), slog.Duration("took", time.Since(p.began)))
	return r, nil
}

// leave has the next pass begin where this one came to its bounds: what can't be done, and stays due, must not keep it
// from the others for ever.
func (s *Sweeper) leave(p *pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = place{}
	if !p.through {
		s.left = p.at
	}
}
