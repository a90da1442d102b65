package session

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
)

// The paces of writing. Words are stored at once, and then at most once a second, or with an image, for which the client
// waits. What only counts time waits. That
// numbered audio held no words waits a little at first, and longer the longer the silence is.
const (
	flushEvery = time.Second
	meterEvery = time.Minute
	tellEvery  = 15 * time.Minute // usage, to who counts it, and reads an hour's document for that
	ackAtFirst = 2 * time.Second
)

// maxUnsaved is how many utterances are kept while the store doesn't answer, and maxUnsavedText how much text, in bytes.
// At one utterance in two seconds that is hours; the memory of a session is bounded all the same.
const (
	maxUnsaved     = 10_000
	maxUnsavedText = 4 << 20
)

// scribe is the transcribe loop. It owns the conversation: it lays words into the draft, shows them, has them
// stored, and begins and ends conversations. One save at a time is under way, in a goroutine that scribe waits
// for; the rest is this loop's alone.
type scribe struct {
	params    Params
	store     Store
	publisher Publisher
	tell      func(frame []byte)
	stop      func(*Reason)
	talks     func() bool                     // whether the client does, now
	ignore    func()                          // counts a message that was
	follow    func(conversation.Conversation) // tells the client when it is finished
	intakes   []*intake                       // one for each channel
	ledger    *ledger                         // of numbered audio
	acks      acks                            // likewise
	rivals    *rivals
	attached  func(context.Context, Takeover) // tells of an attachment
	appended  *appended
	relay     *relay // nil: nothing is told of the audio, or no more

	draft    draft
	murmurs  [wire.MaxChannels][]utterance // of each channel, what may still change
	murmured time.Time                     // the end of the last word, were it final
	endings  []ending                      // of the conversation, and of those that follow
	held     []utterance                   // said after the first of these
	saving   bool
	images   wire.Images // on their way
	photos   []photo     // complete, and not stored
	seen     int         // images, in all
	saved    chan outcome
	flushed  time.Time     // when the last save began
	ackAfter time.Duration // from then on
	metered  time.Time     // when the last save of counts began
	told     time.Time     // when usage was last told
	reported reports

	announcing errgroup.Group // of what was committed

	generation int64     // of the device, since the last attachment
	device     string    // the device's slot
	deviceTime time.Time // when its document was written, likewise
	over       bool      // no more words come
	failed     bool      // the store refuses for good
	reattach   bool      // the conversation doesn't know this session any more
	yielded    bool      // a newer session of the device has taken over
	aside      bool      // likewise, under a name for many, and the client is silent
	replaced   bool      // likewise, and it gets the audio again, and with it the words and ends
	slow       bool      // the client was asked to hold

	began       time.Time
	suggestions []string      // ids of the last segments that the client recognised
	spent       time.Duration // of what the plan allows
	warned      bool

	words, conversations int // for the log
}

func newScribe(p Params, store Store, publisher Publisher, ledger *ledger, tell func([]byte), stop func(*Reason)) *scribe {
	s := &scribe{
		params: p, store: store, publisher: publisher, ledger: ledger, acks: acks{tell: tell}, tell: tell, stop: stop,
		appended: newAppended(p, publisher), rivals: newRivals(), attached: func(context.Context, Takeover) {},
		draft: draft{sessionID: p.ID, suggested: p.CustomSTT}, ackAfter: ackAtFirst, saved: make(chan outcome, 1),
	}
	s.announcing.SetLimit(maxAnnouncing)
	return s
}

// open attaches the session to its conversation for the first time.
func (s *scribe) open(ctx context.Context) error {
	now := time.Now()
	stored, last, err := s.store.Attach(ctx, s.params.UID, s.attachment(ctx, now))
	if err != nil {
		return err
	}
	s.began, s.flushed, s.metered, s.told = now, now, now, now
	s.suggestions = slices.Clone(stored.Suggested)
	s.begin(ctx, stored, last)
	return nil
}

// run takes results until there are no more, and returns when everything is stored, or when ctx ends first.
func (s *scribe) run(ctx context.Context, results <-chan heard, requests <-chan request) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer s.acks.rest()
	for {
		s.acks.proceed()
		if s.failed && s.over {
			s.abandon(ctx)
			return
		}
		if s.proceed(ctx); s.done() {
			s.acks.rest()           // to tell others may take longer
			_ = s.announcing.Wait() // what failed was logged
			if s.draft.open() {
				s.report(ctx, &s.draft.stored, s.reported.of(s.draft.stored.ID))
			}
			return
		}
		timer.Reset(time.Until(s.wake()))
		select {
		case h, ok := <-results:
			for len(requests) > 0 { // what was asked for before these words were said, was asked for by now
				s.obey(ctx, <-requests)
			}
			if !ok {
				results, s.over = nil, true
				continue
			}
			s.hear(ctx, h)
		case r := <-requests:
			s.obey(ctx, r)
		case o := <-s.saved:
			s.settle(ctx, o)
		case <-s.rivals.news:
			s.meet(ctx)
		case <-timer.C:
		case <-ctx.Done():
			s.abandon(ctx)
			return
		}
	}
}

// hear lays final words into the conversation and shows them.
func (s *scribe) hear(ctx context.Context, h heard) {
	if !h.final {
		s.murmur(ctx, h.channel, h.utterances)
		return
	}
	s.murmurs[h.channel] = nil
	s.intakes[h.channel].know(h.through)
	if s.replaced {
		return
	}
	s.take(ctx, h.utterances)
	signalShown(ctx, h.utterances, finalWords)
}

// take lays utterances into the conversation that they belong to. Beyond what is kept while the store doesn't answer it takes
// none: then the session ends, and who suggests may go on until it has.
func (s *scribe) take(ctx context.Context, us []utterance) {
	if s.overfull() {
		s.ignore()
		return
	}
	now := time.Now()
	words := 0
	for i := range us {
		us[i].known = now
		words += len(strings.Fields(us[i].text))
	}
	s.words += words
	wordsMade.Add(ctx, int64(words))
	s.place(us...)
	if s.overfull() {
		s.stop(StoreFailed)
	}
}

func (s *scribe) overfull() bool {
	return len(s.draft.unsaved)+len(s.held) > maxUnsaved || size(s.draft.unsaved)+size(s.held) > maxUnsavedText
}

func (s *scribe) show(change transcript.Change) {
	s.appended.note(change)
	if len(change.Changed) > 0 {
		s.tell(wire.Segments(change.Changed))
	}
	if len(change.Deleted) > 0 {
		s.tell(wire.SegmentsDeleted(change.Deleted))
	}
	for _, frame := range s.draft.introductions(change.Changed) {
		s.tell(frame)
	}
}

// proceed begins what is due. At most one save is under way at any time.
func (s *scribe) proceed(ctx context.Context) {
	now := time.Now()
	if len(s.endings) == 0 && s.draft.open() {
		s.endByItself(now)
	}
	if s.saving || s.failed {
		return
	}
	if s.aside && s.brings() {
		s.comeForth()
	}
	if s.replaced && s.photo() == nil && !s.draft.noted() {
		s.draft.leave() // nothing is to be handed in
	}
	for len(s.endings) > 0 && !s.draft.open() && len(s.draft.unsaved) == 0 && s.photo() == nil && s.endable(now) {
		s.endNothing()
	}
	s.advance(now)
	switch {
	case s.reattach, !s.draft.open() && (len(s.draft.unsaved) > 0 || s.photo() != nil):
		s.reattach = false
		s.attach(ctx, now)
	case !s.draft.open():
		if s.draft.acked.news() && (s.over || now.Sub(s.flushed) >= meterEvery) {
			s.acknowledge(ctx, now)
		}
	case s.photo() != nil:
		s.save(ctx, now)
	case len(s.endings) > 0 && s.endable(now):
		s.save(ctx, now)
	case len(s.draft.unsaved) > 0 && (s.over || now.Sub(s.flushed) >= flushEvery):
		s.save(ctx, now)
	case s.draft.noted() && (s.over || now.Sub(s.flushed) >= flushEvery):
		s.save(ctx, now)
	case s.draft.acked.news() && (s.over || now.Sub(s.flushed) >= s.ackAfter):
		s.save(ctx, now)
	case len(s.draft.metered) > 0 && (s.over || now.Sub(s.metered) >= meterEvery):
		s.save(ctx, now)
	case s.superseded() && !s.yielded:
		s.yield()
	case s.unclosed():
		s.save(ctx, now)
	}
}

// unclosed reports whether it is still to be stored that the session has left its device to others.
func (s *scribe) unclosed() bool {
	return s.over && s.params.Shared && s.draft.open() && !s.superseded() && !s.draft.stored.Session.Closed
}

// slowAt and fastAt are how much speech the recogniser may be behind before a client is asked to hold, and to go on. Words
// that may still change count as heard: while nothing comes they don't become final.
const (
	slowAt = maxUnknown / 2
	fastAt = maxUnknown / 6
)

// advance takes in how far the audio is known. It stops before words that wait for the next conversation: what is stored
// with this one must not tell that they are safe.
func (s *scribe) advance(now time.Time) {
	if s.replaced || s.params.CustomSTT && (s.yielded || len(s.endings) > 0) {
		return
	}
	var positions [wire.MaxChannels]uint32
	var unheard time.Duration
	for i, in := range s.intakes {
		before := unlimited
		for _, u := range s.held {
			if u.channel == i {
				before = min(before, u.first.from)
			}
		}
		p := in.settle(before)
		s.draft.meter(now, p.counted)
		s.spend(p.counted)
		positions[i], unheard = p.samples, max(unheard, p.unheard)
	}
	if !s.params.Numbered {
		return
	}
	sequence, ends := s.ledger.settle(positions)
	next := conversation.Acked{Sequence: sequence}
	for i, in := range s.intakes {
		at, beyond := in.mark(ends[i], positions[i])
		if at.After(next.At) {
			next.At = at
		}
		next.Beyond = append(next.Beyond, beyond)
	}
	if len(s.intakes) == 0 {
		next.At = now
	}
	s.draft.acked.move(next)
	if !s.slow && unheard > slowAt || s.slow && unheard < fastAt {
		s.slow = !s.slow
		s.tell(wire.Backpressure(s.slow))
	}
}

// superseded reports whether a newer session of the device writes to the conversation.
func (s *scribe) superseded() bool { return s.draft.stored.Session.ID != s.params.ID }

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
	at := next(now, s.metered, meterEvery)
	if s.params.Numbered {
		at = earlier(at, next(now, s.flushed, s.ackAfter))
	}
	if s.acks.news() {
		at = earlier(at, s.acks.due())
	}
	if s.saving || s.failed {
		return at // the save's outcome wakes, or the end
	}
	if s.draft.open() && len(s.endings) == 0 && !s.replaced {
		at = earlier(at, s.silentAt())
	}
	if len(s.endings) > 0 {
		at = earlier(at, next(now, s.endings[0].asked, answerWithin))
	}
	if len(s.draft.unsaved) > 0 || s.draft.noted() {
		at = earlier(at, s.flushed.Add(flushEvery))
	}
	return at
}

// next is when something that was done at a time is to be done again; if there was nothing to do when that came, it
// will be looked at as long again after now.
func next(now, done time.Time, every time.Duration) time.Time {
	if at := done.Add(every); at.After(now) {
		return at
	}
	return now.Add(every)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// done reports whether there is nothing left to take or to store.
func (s *scribe) done() bool {
	return s.over && !s.saving && !s.reattach && len(s.draft.unsaved)+len(s.held)+len(s.photos) == 0 &&
		!s.draft.acked.news() && !s.draft.noted() && !s.unclosed() && len(s.endings) == 0 && (!s.draft.open() || len(s.draft.metered) == 0)
}

// abandon gives up: the time to finish is over. What is lost is told, in numbers.
func (s *scribe) abandon(ctx context.Context) {
	if s.saving {
		s.settle(ctx, <-s.saved)
	}
	if lost := len(s.draft.unsaved) + len(s.held); lost > 0 {
		err := errAbandoned
		if s.params.Numbered {
			err = errAgain
		}
		logging.Error(ctx, "words_not_stored", err, slog.Int("utterances", lost))
	}
	s.loseImages(ctx)
}
