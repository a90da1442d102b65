package session

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// The paces of writing. Words are stored at once, and then at most once a second; what only counts time waits.
const (
	flushEvery = time.Second
	meterEvery = time.Minute
)

// rounding is by how much a recogniser's times may differ from what it was sent.
const rounding = 100 * time.Millisecond

// endingLimit is how long the end of a conversation waits for the words said before it.
const endingLimit = 3 * time.Second

// maxUnsaved is how many utterances are kept while the store doesn't answer. At one in two seconds that is
// hours; the memory of a session is bounded all the same.
const maxUnsaved = 10_000

// scribe is the transcribe loop. It owns the conversation: it lays words into the draft, shows them, has them
// stored, and begins and ends conversations. One save at a time is under way, in a goroutine that scribe waits
// for; the rest is this loop's alone.
type scribe struct {
	params    Params
	store     Store
	publisher Publisher
	tell      func(frame []byte)
	stop      func(*Reason)
	intake    *intake

	draft    draft
	through  time.Duration // up to where in the audio sent all words are known
	murmured time.Time     // the end of the last word, were it final
	ending   *ending       // the conversation is to end
	held     []utterance   // said after it was to end
	saving   bool
	saved    chan outcome
	flushed  time.Time   // when the last save began
	metered  time.Time   // when the last save of counts began
	reported usage.Hours // what usage.recorded has told of the conversation
	over     bool        // no more words come
	failed   bool        // the store refuses for good
	reattach bool        // the conversation doesn't know this session any more

	words, conversations int // for the log
}

// ending is a conversation's end that waits for words said before it.
type ending struct {
	reason   conversation.EndReason
	boundary time.Time     // what is said from here on belongs to the next conversation
	through  time.Duration // known up to here, all words before the boundary are
	deadline time.Time
}

func newScribe(p Params, store Store, publisher Publisher, tell func([]byte), stop func(*Reason)) *scribe {
	return &scribe{
		params: p, store: store, publisher: publisher, tell: tell, stop: stop,
		draft: draft{sessionID: p.ID}, saved: make(chan outcome, 1),
	}
}

// open attaches the session to its conversation for the first time.
func (s *scribe) open(ctx context.Context) error {
	now := time.Now()
	stored, last, err := s.store.Attach(ctx, s.params.UID, s.attachment(now))
	if err != nil {
		return err
	}
	s.flushed, s.metered = now, now
	s.begin(stored, last)
	return nil
}

// run takes results until there are no more, and returns when everything is stored, or when ctx ends first.
func (s *scribe) run(ctx context.Context, results <-chan heard, messages <-chan wire.ClientMessage) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if s.failed && s.over {
			s.abandon(ctx)
			return
		}
		if s.proceed(ctx); s.done() {
			if s.draft.open() {
				s.announce(ctx, &s.draft.stored, s.reported, true)
			}
			return
		}
		timer.Reset(time.Until(s.wake()))
		select {
		case h, ok := <-results:
			if !ok {
				results, s.over = nil, true
				continue
			}
			s.hear(h)
		case m := <-messages:
			s.obey(ctx, m)
		case o := <-s.saved:
			s.settle(o)
		case <-timer.C:
		case <-ctx.Done():
			s.abandon(ctx)
			return
		}
	}
}

// hear lays final words into the conversation and shows them.
func (s *scribe) hear(h heard) {
	if !h.final {
		s.murmur(h.utterances)
		return
	}
	s.through = max(s.through, h.through)
	for _, u := range h.utterances {
		s.words += len(strings.Fields(u.text))
		if s.ending != nil && !u.start.Before(s.ending.boundary) {
			s.held = append(s.held, u)
			continue
		}
		s.show(s.draft.add(u))
	}
	if len(s.draft.unsaved)+len(s.held) > maxUnsaved {
		s.stop(StoreFailed)
	}
}

// murmur takes words that may still change: they are no silence, and a client that wants them is shown them.
func (s *scribe) murmur(us []utterance) {
	for _, u := range us {
		if u.end.After(s.murmured) {
			s.murmured = u.end
		}
		if s.params.Interim && s.draft.open() {
			seg := u.segment(s.draft.stored.StartedAt)
			s.tell(wire.Interim(seg.Text, seg.Start, seg.End, seg.Speaker))
		}
	}
}

func (s *scribe) show(change transcript.Change) {
	if len(change.Changed) > 0 {
		s.tell(wire.Segments(change.Changed))
	}
	if len(change.Deleted) > 0 {
		s.tell(wire.SegmentsDeleted(change.Deleted))
	}
}

// obey does what the client asks for.
func (s *scribe) obey(ctx context.Context, m wire.ClientMessage) {
	if m.Ends() && s.ending == nil && s.draft.open() {
		through, boundary, err := s.intake.flush(ctx)
		if err != nil {
			through = s.through // the stream broke: its end is on the way, and no more words are
		}
		s.end(m.Reason, boundary, through)
	}
}

func (s *scribe) end(reason conversation.EndReason, boundary time.Time, through time.Duration) {
	s.ending = &ending{reason, boundary, through, time.Now().Add(endingLimit)}
}

// proceed begins what is due. At most one save is under way at any time.
func (s *scribe) proceed(ctx context.Context) {
	now := time.Now()
	if s.ending == nil && s.draft.open() && !now.Before(s.silentAt()) {
		s.end(conversation.EndSilence, s.silentAt(), s.through)
	}
	if s.saving || s.failed {
		return
	}
	s.draft.meter(now, s.intake.take())
	switch {
	case s.reattach, !s.draft.open() && len(s.draft.unsaved) > 0:
		s.reattach = false
		s.attach(ctx, now)
	case !s.draft.open():
	case s.ending != nil && s.endable(now):
		s.save(ctx, now)
	case len(s.draft.unsaved) > 0 && (s.over || now.Sub(s.flushed) >= flushEvery):
		s.save(ctx, now)
	case len(s.draft.metered) > 0 && (s.over || now.Sub(s.metered) >= meterEvery):
		s.save(ctx, now)
	case s.superseded():
		s.stop(Superseded)
	}
}

// superseded reports whether a newer session of the device writes to the conversation.
func (s *scribe) superseded() bool { return s.draft.stored.Session.ID != s.params.ID }

func (s *scribe) endable(now time.Time) bool {
	return s.over || s.through+rounding >= s.ending.through || !now.Before(s.ending.deadline)
}

// silentAt is when the silence will have lasted for the timeout.
func (s *scribe) silentAt() time.Time {
	heard := s.draft.heardUntil()
	if s.murmured.After(heard) {
		heard = s.murmured
	}
	return heard.Add(s.params.SilenceTimeout)
}

// wake is when proceed must look again if nothing happens before.
func (s *scribe) wake() time.Time {
	now := time.Now()
	at := s.metered.Add(meterEvery)
	if !at.After(now) {
		at = now.Add(meterEvery) // nothing to count: it will be looked at when there is
	}
	if s.saving {
		return at // the save's outcome wakes
	}
	if s.draft.open() && s.ending == nil {
		at = earlier(at, s.silentAt())
	}
	if s.ending != nil {
		at = earlier(at, s.ending.deadline)
	}
	if len(s.draft.unsaved) > 0 {
		at = earlier(at, s.flushed.Add(flushEvery))
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// done reports whether there is nothing left to take or to store.
func (s *scribe) done() bool {
	return s.over && !s.saving && !s.reattach && len(s.draft.unsaved) == 0 && len(s.held) == 0 &&
		(!s.draft.open() || s.ending == nil && len(s.draft.metered) == 0)
}

// abandon gives up: the time to finish is over. What is lost is told, in numbers.
func (s *scribe) abandon(ctx context.Context) {
	if s.saving {
		s.settle(<-s.saved)
	}
	if lost := len(s.draft.unsaved) + len(s.held); lost > 0 {
		logging.Error(ctx, "words_not_stored", errAbandoned, slog.Int("utterances", lost))
	}
}
