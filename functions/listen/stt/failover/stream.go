package failover

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/replay"
)

// stream is one voice, heard by one recogniser after another. Who sends only puts audio on the tape; the legs take it
// from there, each at its own pace, and who receives decides which leg is listened to.
type stream struct {
	options    stt.Options
	limits     Options
	candidates []*provider

	life    context.Context // ends with Close; it carries the logger
	end     context.CancelFunc
	running sync.WaitGroup
	events  chan event

	mu     sync.Mutex
	grown  *sync.Cond // the tape has more, or a leg isn't wanted any more
	tape   *replay.Tape
	legs   [2]*leg // active and standby, for who sends
	failed error   // err, for who sends

	alarm *time.Timer // set by who sends, heard by who receives: a leg may have run out of patience

	// Owned by the receiver: Recv, and Open before it.
	active  *leg                // is listened to
	standby *leg                // hears the same, since active says nothing
	spent   map[*provider]error // have failed since words last became final
	once    map[*provider]bool  // likewise, but only as the standby, and not twice: they may be tried again
	last    *provider           // has failed after it was good: may be tried again when no other is left
	err     error               // what Recv gives from now on
}

func newStream(ctx context.Context, candidates []*provider, o stt.Options, limits Options) *stream {
	s := &stream{
		options: o, limits: limits, candidates: candidates,
		events: make(chan event),
		tape:   replay.NewTape(o.SampleRate, limits.Keep),
		alarm:  time.NewTimer(limits.Patience),
		spent:  make(map[*provider]error),
		once:   make(map[*provider]bool),
	}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.grown = sync.NewCond(&s.mu)
	return s
}

// open returns when a recogniser has opened a stream.
func (s *stream) open(ctx context.Context) error {
	s.advance(errNone)
	for s.err == nil && !s.active.opened {
		if _, _, err := s.step(ctx); err != nil {
			return stt.Fail(Name, stt.Unavailable, s.tell(err))
		}
	}
	return s.err
}

func (s *stream) Send(_ context.Context, pcm []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	s.tape.Add(pcm)
	for _, l := range s.legs {
		if l != nil && l.since.IsZero() && len(pcm) > 0 {
			s.alarm.Reset(l.owes(s.limits.Patience))
		}
	}
	s.grown.Broadcast()
	return nil
}

func (s *stream) Finalize(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	s.tape.Finalize()
	for _, l := range s.legs {
		if l != nil && s.owesFinal(l) && s.owesLittle(l) {
			l.since = time.Now() // it wasn't asked before
			s.alarm.Reset(s.limits.Patience)
		}
	}
	s.grown.Broadcast()
	return nil
}

func (s *stream) CloseSend(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	s.tape.Close()
	for _, l := range s.legs {
		if l != nil {
			l.since = time.Now()
			s.alarm.Reset(s.limits.Patience)
		}
	}
	s.grown.Broadcast()
	return nil
}

func (s *stream) sendable() error {
	switch {
	case s.failed != nil:
		return s.failed
	case s.life.Err() != nil:
		return net.ErrClosed
	case s.tape.Closed():
		return errors.New("failover: sent after CloseSend")
	}
	return nil
}

func (s *stream) Recv(ctx context.Context) (stt.Result, error) {
	for s.err == nil {
		if result, ok, err := s.step(ctx); ok || err != nil {
			return result, err
		}
	}
	return stt.Result{}, s.err
}

// Close gives nil.
func (s *stream) Close() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.running.Wait()
	s.alarm.Stop()
	return nil
}

// wake has the legs look again.
func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grown.Broadcast()
}

// step waits for one thing to happen. It reports true with a result for the caller.
func (s *stream) step(ctx context.Context) (stt.Result, bool, error) {
	select {
	case e := <-s.events:
		result, ok := s.take(e)
		return result, ok, nil
	case <-s.alarm.C:
		select {
		case e := <-s.events: // it may be the answer, which waited for us
			s.alarm.Reset(0)
			result, ok := s.take(e)
			return result, ok, nil
		default:
			s.check()
			return stt.Result{}, false, nil
		}
	case <-ctx.Done():
		return stt.Result{}, false, ctx.Err()
	case <-s.life.Done():
		s.err = net.ErrClosed
		return stt.Result{}, false, s.err
	}
}
