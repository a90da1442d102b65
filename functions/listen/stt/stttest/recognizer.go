package stttest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"earshot.dev/functions/listen/stt"
)

// Fault is what goes wrong with a stream.
type Fault uint8

// The faults. Those from Die on come once the stream has heard as much as Plan.After says.
const (
	None   Fault = iota
	Refuse       // Open fails with Plan.Failure
	Hang         // Open doesn't return before its context ends
	Die          // the connection breaks
	Mute         // nothing is said any more
	Babble       // says what isn't the protocol
	Stall        // nothing is taken any more, and nothing said
	Leave        // ends in order, unasked
)

// Plan is what becomes of one stream.
type Plan struct {
	Fault   Fault
	Failure stt.Failure
	After   time.Duration
	// Skew is added to the end of finals, as of a recogniser that rounds.
	Skew time.Duration
}

// Recognizer is exact, but for its plans. Its streams say what they hear each Pace of audio, Delay later.
type Recognizer struct {
	Label     string
	Languages []string // all, if nil
	Pace      time.Duration
	Delay     time.Duration
	OpenDelay time.Duration
	Quiet     bool // says nothing where there are no words

	mu     sync.Mutex
	plans  []Plan
	opened int
}

// Plan says what becomes of the next streams, one after the other; of those after them nothing does.
func (r *Recognizer) Plan(plans ...Plan) *Recognizer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plans = append(r.plans, plans...)
	return r
}

// Opened is how many streams there were, refused ones included.
func (r *Recognizer) Opened() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened
}

// Name is the label.
func (r *Recognizer) Name() string { return r.Label }

// Supports reports whether the language is one of the Languages.
func (r *Recognizer) Supports(language string) bool {
	return r.Languages == nil || slices.Contains(r.Languages, language)
}

// Open opens a stream, or doesn't, by the next plan.
func (r *Recognizer) Open(ctx context.Context, o stt.Options) (stt.Stream, error) {
	r.mu.Lock()
	r.opened++
	var plan Plan
	if len(r.plans) > 0 {
		plan, r.plans = r.plans[0], r.plans[1:]
	}
	r.mu.Unlock()
	switch plan.Fault {
	case Refuse:
		return nil, stt.Fail(r.Label, plan.Failure, errors.New("refused"))
	case Hang:
		<-ctx.Done()
		return nil, stt.Fail(r.Label, stt.Unavailable, ctx.Err())
	}
	select {
	case <-time.After(r.OpenDelay):
	case <-ctx.Done():
		return nil, stt.Fail(r.Label, stt.Unavailable, ctx.Err())
	}
	s := &stream{recognizer: r, plan: plan, changed: make(chan struct{}, 1), done: make(chan struct{})}
	return s, nil
}

type stream struct {
	recognizer *Recognizer
	plan       Plan
	changed    chan struct{} // what Recv waits for may have come
	done       chan struct{} // closed by Close
	once       sync.Once

	mu      sync.Mutex
	ear     Ear
	shown   int           // samples, of what was heard when the last interim result was given
	through time.Duration // the end of the last final
	queue   []answer
	failed  bool
}

type answer struct {
	at     time.Time
	result stt.Result
	err    error
}

// broken applies the plan. It reports true if nothing is to be answered any more.
func (s *stream) broken() bool {
	if s.plan.Fault == None || offset(s.ear.at) < s.plan.After {
		return false
	}
	if !s.failed {
		s.failed = true
		name := s.recognizer.Label
		switch s.plan.Fault {
		case Die:
			s.answer(stt.Result{}, stt.Fail(name, stt.Unavailable, io.ErrUnexpectedEOF))
		case Babble:
			s.answer(stt.Result{}, stt.Fail(name, stt.Malformed, errors.New("rubbish")))
		case Leave:
			s.answer(stt.Result{}, io.EOF)
		}
	}
	return true
}

func (s *stream) answer(r stt.Result, err error) {
	if err == nil && len(r.Words) == 0 && s.recognizer.Quiet {
		return
	}
	r.Start = max(r.Start, s.through)
	r.End = max(r.Start, r.End)
	if r.Final {
		r.End = max(r.Start, r.End+s.plan.Skew)
		s.through = r.End
	}
	s.queue = append(s.queue, answer{time.Now().Add(s.recognizer.Delay), r, err})
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *stream) Send(ctx context.Context, pcm []byte) error {
	const step = Rate / 50 * 2 // bytes: 20 ms
	for part := range slices.Chunk(pcm, step) {
		s.mu.Lock()
		broken := s.broken()
		if !broken {
			s.hear(part)
		}
		s.mu.Unlock()
		if broken && s.plan.Fault == Stall {
			select {
			case <-s.done:
				return net.ErrClosed
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (s *stream) hear(part []byte) {
	if r, ok := s.ear.Hear(part); ok {
		s.answer(r, nil)
	}
	if at := s.ear.at; offset(at-s.shown) >= s.recognizer.Pace {
		s.shown = at
		s.answer(s.ear.Interim(), nil)
	}
}

func (s *stream) Finalize(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.broken() {
		s.answer(s.ear.Flush(), nil)
	}
	return nil
}

func (s *stream) CloseSend(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.broken() {
		s.answer(s.ear.Flush(), nil)
		s.answer(stt.Result{}, io.EOF)
	}
	return nil
}

func (s *stream) Recv(ctx context.Context) (stt.Result, error) {
	for {
		s.mu.Lock()
		var due <-chan time.Time
		if len(s.queue) > 0 {
			first := s.queue[0]
			wait := time.Until(first.at)
			if wait <= 0 {
				if first.err == nil {
					s.queue = s.queue[1:]
				}
				s.mu.Unlock()
				return first.result, first.err
			}
			due = time.After(wait)
		}
		s.mu.Unlock()
		select {
		case <-due:
		case <-s.changed:
		case <-ctx.Done():
			return stt.Result{}, ctx.Err()
		case <-s.done:
			return stt.Result{}, net.ErrClosed
		}
	}
}

func (s *stream) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}
