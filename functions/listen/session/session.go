package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/tracing"
	"earshot.dev/shared/transcript"
)

// Socket is the client's side (wire.Socket). One goroutine reads while another writes.
type Socket interface {
	Read() (binary bool, frame []byte, err error)
	Heard() time.Time
	Write(ctx context.Context, frame []byte) error
	Close(code int, reason string)
}

// Store keeps conversations (store.Store).
type Store interface {
	Attach(ctx context.Context, uid string, a conversation.Attachment) (conversation.Conversation, transcript.Page, error)
	Commit(ctx context.Context, uid string, c *conversation.Conversation, pages ...transcript.Page) error
	CommitPhoto(ctx context.Context, uid string, c *conversation.Conversation, p conversation.Photo, pages ...transcript.Page) error
	Tail(ctx context.Context, uid, cid string) (conversation.Conversation, transcript.Page, error)
	Acknowledge(ctx context.Context, uid string, s conversation.Silence) (deviceTime time.Time, err error)
	Contend(ctx context.Context, uid, device string, at time.Time) error
	Segments(ctx context.Context, uid, cid string) ([]transcript.Segment, error)
	Finished(ctx context.Context, uid, cid string) (conversation.Conversation, error)
	Newest(ctx context.Context, uid string) (cid string, err error)
}

// Publisher announces events (publisher.Publisher).
type Publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// Params say whose session it is and what the client asked for.
type Params struct {
	ID, UID, Device, Source, Language string
	ClientConversationID              string
	SilenceTimeout                    time.Duration
	Vocabulary                        []string
	Interim                           bool
	Numbered                          bool           // the audio is, and the client sends again what isn't acknowledged
	Shared                            bool           // another device of the person's may be taken for this one
	Append                            bool           // somebody wants to be told the words as they come
	Relay                             time.Duration  // somebody wants to hear all audio, in stretches so long; 0: nobody does
	CustomSTT                         bool           // the client recognises, and its audio is not looked at
	FramesPerSecond                   int            // more are read no faster; 0: no limit
	MaxBytes                          int64          // that are taken in; 0: no limit
	MaxImages                         int            // that are taken
	Age                               time.Duration  // from then on it ends in a pause, see Session.age; 0: 55 min
	Idle                              time.Duration  // without a frame, until the client is gone; 0: 90 s
	Allowance                         *time.Duration // what is left of the plan's; nil: no limit
}

// Session is one socket, from accept to close.
type Session struct {
	params     Params
	socket     Socket
	recognizer stt.Recognizer
	store      Store
	framing    wire.Framing
	decoders   []Decoder // one for each channel
	intakes    []*intake // likewise
	early      *early
	ledger     *ledger
	scribe     *scribe
	relay      *relay     // made by Run
	following  *followers // of conversations until they are finished

	began    time.Time
	stopping context.Context // ends with a Reason when the session is to end
	stop     context.CancelCauseFunc

	requests chan request  // read -> transcribe
	results  chan heard    // receive -> transcribe; closed after the last
	outbound chan []byte   // -> write
	said     chan struct{} // closed when nothing more goes to outbound, and nothing of requests is taken
	unheard  chan struct{} // closed when nothing more is read

	pace       *rate.Limiter // owned by read; nil: no limit
	samples    []int16       // likewise: of the packet at hand, where nobody recognises it
	unwritable bool          // owned by write: a frame could not be written
	signalled  tally         // owned by age, and by Run after it: what the metrics know of
	queued     atomic.Int64  // bytes of outbound

	frames    atomic.Int64 // of audio, that came in
	talked    atomic.Int64 // when the last of these came, in Unix time, ns
	bytes     atomic.Int64 // of everything that came in
	malformed atomic.Int64 // frames of audio that are none
	astray    atomic.Int64 // frames of a channel that there isn't
	untold    atomic.Int64 // messages that the client was too slow for
	ignored   atomic.Int64 // text frames that asked for nothing
	failed    atomic.Bool  // the recogniser failed, and that was told
}

// The sizes of the queues between the loops. A client is too slow that lets outboundQueue messages pile up, or more than
// outboundBytes.
const (
	resultQueue   = 16
	requestQueue  = 4
	outboundQueue = 128
	outboundBytes = 4 << 20
)

// The limits of a session's life.
const (
	usualAge  = 55 * time.Minute
	usualIdle = 90 * time.Second
	pingEvery = 10 * time.Second
	talking   = 2 * time.Second  // a client that sent audio so lately is
	openLimit = 10 * time.Second // until it is attached and the recogniser listens

	// From the reason to end until the recogniser has said its last, and until all is stored. Cloud Run kills
	// 10 s after SIGTERM.
	lastWords = 4 * time.Second
	endWithin = 7 * time.Second
)

// resends reports whether the client sends again all from which words are made that aren't stored. What it recognises itself
// it needn't send again, though its audio is numbered.
func (p Params) resends() bool { return p.Numbered && !p.CustomSTT }

// New makes a session with a decoder for each channel; Run is its life.
func New(p Params, socket Socket, decoders []Decoder, recognizer stt.Recognizer, store Store, publisher Publisher) *Session {
	p.Age, p.Idle = cmp.Or(p.Age, usualAge), cmp.Or(p.Idle, usualIdle)
	s := &Session{
		params: p, socket: socket, decoders: decoders, recognizer: recognizer, store: store, ledger: &ledger{},
		early: &early{opened: make(chan struct{})}, following: newFollowers(),
		framing:  wire.Framing{Numbered: p.Numbered, Channels: len(decoders)},
		requests: make(chan request, requestQueue),
		results:  make(chan heard, resultQueue),
		outbound: make(chan []byte, outboundQueue),
		said:     make(chan struct{}),
		unheard:  make(chan struct{}),
	}
	if p.FramesPerSecond > 0 {
		s.pace = rate.NewLimiter(rate.Limit(p.FramesPerSecond), p.FramesPerSecond)
	}
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	s.scribe = newScribe(p, store, publisher, s.ledger, s.tell, s.Stop)
	s.scribe.ignore = func() { s.ignored.Add(1) }
	s.scribe.talks = func() bool {
		return s.stopping.Err() == nil && time.Since(time.Unix(0, s.talked.Load())) < talking
	}
	return s
}

// Stop begins the session's end: nothing more is taken in, what was taken in is finished. Only the first reason
// counts. It doesn't wait.
func (s *Session) Stop(reason *Reason) { s.stop(ended{reason}) }

// Run lives the session and gives the reason why it ended. The context carries the session's log fields and
// values; a session doesn't end with it, but by Stop.
func (s *Session) Run(ctx context.Context) *Reason {
	ctx, abandon := s.within(context.WithoutCancel(ctx), endWithin)
	defer abandon()
	s.scribe.follow = func(c conversation.Conversation) { s.follow(ctx, c) }
	s.relay = newRelay(ctx, s.params, len(s.decoders), s.scribe.publisher)
	s.scribe.relay = s.relay
	s.began = time.Now()
	defer s.closing(ctx)()
	sessionsOpen.Add(ctx, 1)

	var group errgroup.Group
	group.Go(func() error { s.write(ctx); return nil })
	group.Go(func() error { s.read(ctx); return nil })
	if err := s.open(ctx); err == nil {
		s.live(ctx, &group)
	} else {
		logging.Error(ctx, "session_not_opened", err)
		s.early.fail()
		close(s.said)
	}
	_ = group.Wait()   // the loops report by Stop
	s.following.Wait() // and who follows by themselves
	s.scribe.appended.wait()
	_ = s.scribe.announcing.Wait() // what failed was logged
	s.relay.close(ctx)

	reason := s.reason()
	s.signalEnd(ctx, reason)
	logging.From(ctx).InfoContext(ctx, "session_ended", slog.String("reason", reason.Name),
		slog.Duration("lasted", time.Since(s.began)), slog.Int("words", s.scribe.words),
		slog.Int("conversations", s.scribe.conversations),
		slog.Int64("ignored_messages", s.ignored.Load()), s.signalled.packets())
	return reason
}

// within gives a context that ends d after the session was told to stop.
func (s *Session) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unwatch := context.AfterFunc(s.stopping, func() {
		timer := time.AfterFunc(d, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() { unwatch(); cancel() }
}

// reason is why the session ends.
func (s *Session) reason() *Reason {
	cause, ok := errors.AsType[ended](context.Cause(s.stopping))
	if !ok {
		return ClientGone
	}
	return cause.Reason
}

// open attaches the session to its conversation and opens the recogniser's stream.
func (s *Session) open(live context.Context) (err error) {
	ctx, cancel := context.WithTimeout(live, openLimit)
	defer cancel()
	ctx, span := startSpan(ctx, "open")
	defer func() { tracing.End(span, err) }()
	s.tell(wire.Status(wire.Initiating))
	if err := s.scribe.open(ctx); errors.Is(err, conversation.ErrSuperseded) {
		s.Stop(Superseded)
		return err
	} else if err != nil {
		s.Stop(StoreFailed)
		return err
	}
	s.tell(wire.Status(wire.Processing))
	s.tell(wire.Status(wire.STTInitiating))
	if s.params.CustomSTT {
		s.ledger.resume(s.scribe.draft.stored.Acked.Sequence)
	} else if err := s.openIntakes(ctx, live); err != nil {
		s.tell(wire.Status(wire.STTFailed))
		s.Stop(RecognizerFailed)
		return err
	}
	s.tell(wire.Status(wire.Ready))
	return s.greet(ctx)
}

// greet tells the newest conversation that is finished. That it can't be read is no reason to end.
func (s *Session) greet(ctx context.Context) error {
	cid, err := s.store.Newest(ctx, s.params.UID)
	if err != nil {
		logging.Error(ctx, "newest_conversation_not_read", err)
	} else if cid != "" {
		s.tell(wire.LastMemory(cid))
	}
	return nil
}

// openIntakes opens a recogniser's stream for each channel.
func (s *Session) openIntakes(ctx, live context.Context) error {
	stored := &s.scribe.draft.stored
	s.ledger.resume(stored.Acked.Sequence)
	for channel, decoder := range s.decoders {
		stream, err := s.recognizer.Open(ctx, stt.Options{
			Language: s.params.Language, SampleRate: sampleRate, Interim: true, Vocabulary: s.params.Vocabulary,
		})
		if err != nil {
			for _, in := range s.intakes {
				err = errors.Join(err, in.stream.Close())
			}
			return err
		}
		in := newIntake(live, decoder, stream, s.began, s.params.Numbered)
		if s.params.Numbered && (stored.Acked.Sequence > 0 || len(stored.Acked.Beyond) > 0) {
			in.resume(stored.Acked, channel, len(stored.Former) > 0)
		}
		s.intakes = append(s.intakes, in)
	}
	s.scribe.intakes = s.intakes
	return nil
}

// live runs the loops until the session is to end, and then ends what comes in. The order in which they end is that of the data: see the package comment.
func (s *Session) live(ctx context.Context, group *errgroup.Group) {
	var receivers sync.WaitGroup
	released := make(chan struct{})
	group.Go(func() error {
		defer close(released)
		s.early.release(func(f frame) { s.take(ctx, f) })
		return nil
	})
	for channel, in := range s.intakes {
		receivers.Go(func() {
			ctx, cancel := s.within(ctx, lastWords)
			defer cancel()
			s.receive(ctx, channel)
			_ = in.stream.Close() // Recv has said what there was to say
		})
	}
	group.Go(func() error {
		defer close(s.said)
		s.scribe.run(ctx, s.results, s.requests)
		return nil
	})
	s.age(ctx)
	<-released
	var closing sync.WaitGroup
	for _, in := range s.intakes {
		closing.Go(func() {
			if err := in.close(ctx, s.comesBack()); err != nil {
				s.recognizerFailed(ctx, err)
			}
		})
	}
	closing.Wait()
	receivers.Wait()
	close(s.results)
}

// age waits for the end, and ends a session that is old where nobody is in the middle of a word, or after an eighteenth more where nobody
// pauses: Cloud Run ends a request, and a WebSocket is one, after 60 minutes, so that 55 leave 3 for a pause. Until
// then it tells what was counted.
func (s *Session) age(ctx context.Context) {
	old, due := time.NewTimer(s.params.Age), time.NewTicker(signalEvery)
	defer old.Stop()
	defer due.Stop()
	for {
		select {
		case <-due.C:
			s.signal(ctx)
			continue
		case <-old.C:
		case <-s.stopping.Done():
			return
		}
		speaking := slices.ContainsFunc(s.intakes, (*intake).speaking)
		if !speaking || time.Since(s.began) >= s.params.Age+s.params.Age/18 {
			s.Stop(Aged)
			return
		}
		old.Reset(time.Second)
	}
}

// comesBack reports whether the client will send again what isn't acknowledged: it didn't choose to go.
func (s *Session) comesBack() bool { return s.params.Numbered && s.reason() != ClientClosed }

// tell queues a message for the client. One who doesn't read is let go: what is stored isn't lost by it.
func (s *Session) tell(frame []byte) {
	if s.queued.Load() <= outboundBytes {
		select {
		case s.outbound <- frame:
			s.queued.Add(int64(len(frame)))
			return
		default:
		}
	}
	s.untold.Add(1)
	s.Stop(ClientSlow)
}
