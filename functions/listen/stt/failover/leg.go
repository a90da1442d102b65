package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/replay"
	"earshot.dev/shared/logging"
)

const (
	// piece is how much audio goes to a recogniser at once, in bytes: 100 ms at 16 kHz, as sessions send it.
	piece = 3200
	// lastWords is how long a stream that takes nothing any more has to say why, before the sending says it.
	lastWords = time.Second
	// proven is how long a stream has to last to have been a good one although nobody spoke.
	proven = 30 * time.Second
)

// leg is a part of a stream: what one recogniser hears, from its opening to its failure. A goroutine of its own runs
// it, and a second one feeds it.
type leg struct {
	provider *provider
	barred   bool            // its breaker is open, and it is tried all the same
	ctx      context.Context // ends when the leg isn't wanted any more
	dismiss  context.CancelFunc

	verdict func(error)

	// Owned by the receiver.
	judged  bool
	started time.Time
	opened  bool
	settled bool // it has made words final

	answered bool // it has given a result

	lost time.Duration // owned by who feeds it: what was told of it

	// Guarded by stream.mu.
	head  *replay.Head
	since time.Time     // when the first audio came that isn't answered; zero if there is none
	heard time.Duration // how much audio there was when it last answered
	vague bool          // its last answer has words that may still change
	short time.Time     // what since was, when patience was over and there was too little audio to be answered
	goal  time.Duration // how much audio there was when it began
}

// event is what a leg has to say: that it is open, a result, or the error that ended it.
type event struct {
	leg    *leg
	opened bool
	result stt.Result
	err    error
}

// newLeg begins a leg. It fails if the recogniser's breaker is open, unless it is known to be and the recogniser is to be
// tried all the same.
func (s *stream) newLeg(p *provider, barred bool) (*leg, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return nil, net.ErrClosed
	}
	verdict := p.count
	if !barred {
		var err error
		if verdict, err = p.allow(); err != nil {
			return nil, err
		}
	}
	l := &leg{provider: p, barred: barred, verdict: verdict, started: time.Now()}
	l.ctx, l.dismiss = context.WithCancel(s.life)
	l.head = s.tape.NewHead()
	l.goal = s.tape.Length()
	l.heard = l.goal - s.tape.Open()
	if s.tape.Open() > replay.Rounding || s.tape.Closed() {
		l.since = l.started
	}
	s.alarm.Reset(s.limits.Patience)
	s.running.Go(func() { s.run(l) })
	return l, nil
}

// run opens the leg's stream and takes its results until it ends, or isn't wanted any more.
func (s *stream) run(l *leg) {
	defer l.dismiss()
	opening, cancel := context.WithTimeout(l.ctx, s.limits.OpenLimit)
	open := l.provider.Open
	if l.barred {
		open = l.provider.openInTurn
	}
	stream, err := open(opening, s.options)
	cancel()
	if err == nil {
		s.emit(event{leg: l, opened: true})
		err = s.relay(l, stream)
	}
	if !s.emit(event{leg: l, err: err}) {
		l.verdict(errUnproven) // if there was none
	}
}

// relay feeds the stream and takes its results. It gives the error that ended it.
func (s *stream) relay(l *leg, stream stt.Stream) error {
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	defer context.AfterFunc(ctx, s.wake)()
	feeding := make(chan error, 1)
	go func() {
		err := s.feed(ctx, l, stream)
		if err != nil {
			select {
			case <-time.After(lastWords):
			case <-ctx.Done():
			}
			stop()
		}
		feeding <- err
	}()
	var err error
	for err == nil {
		var result stt.Result
		if result, err = stream.Recv(ctx); err == nil {
			s.emit(event{leg: l, result: result})
		}
	}
	silent := ctx.Err() != nil && errors.Is(err, ctx.Err()) // it is we who gave up waiting
	stop()
	_ = stream.Close() // it is over, and err says why
	if fed := <-feeding; silent && fed != nil {
		return fed
	}
	return err
}

// emit hands an event to the receiver, as long as the leg is wanted. It reports whether it was taken.
func (s *stream) emit(e event) bool {
	select {
	case s.events <- e:
		return true
	case <-e.leg.ctx.Done():
		return false
	}
}

// feed plays the tape to the stream until that has all, or takes no more.
func (s *stream) feed(ctx context.Context, l *leg, stream stt.Stream) error {
	buf := make([]byte, piece)
	for {
		step, audio := s.await(ctx, l, buf)
		var err error
		switch step {
		case replay.Wait:
			return nil // it isn't wanted any more
		case replay.Send:
			s.tellLoss(l)
			err = stream.Send(ctx, audio)
		case replay.Finalize:
			err = stream.Finalize(ctx)
		case replay.CloseSend:
			return stream.CloseSend(ctx)
		case replay.Behind:
			err = stt.Fail(l.provider.label, stt.Silent, fmt.Errorf("takes no audio: it is %v behind", s.limits.Keep))
		}
		if err != nil {
			return err
		}
	}
}

// tellLoss logs, once, what the leg won't hear since it wasn't kept.
func (s *stream) tellLoss(l *leg) {
	if lost := l.head.Lost(); lost > l.lost {
		l.provider.signalLoss(lost - l.lost)
		l.lost = lost
		logging.From(s.life).WarnContext(s.life, eventLost, slog.String("recognizer", l.provider.label),
			slog.Int64("audio_ms", lost.Milliseconds()))
	}
}

// await is the leg's next step, or Wait when ctx has ended.
func (s *stream) await(ctx context.Context, l *leg, buf []byte) (replay.Step, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil {
		if step, audio := l.head.Next(buf); step != replay.Wait {
			return step, audio
		}
		s.grown.Wait()
	}
	return replay.Wait, nil
}

// owes notes that there is audio that isn't answered, and gives how long that may last. Where there was too little before,
// not long ago, it adds to that, and may be enough now.
func (l *leg) owes(patience time.Duration) (left time.Duration) {
	l.since = time.Now()
	if !l.short.IsZero() && l.since.Sub(l.short) < 2*patience {
		l.since = l.short
	}
	return max(0, patience-time.Since(l.since))
}

// judge gives the verdict on a leg. A failure after a good one counts too, unless all that failed is the connection of a
// leg that was healthy: all of a server's connections break at once, and the server may be there again at once.
func (l *leg) judge(err error) {
	if err != nil {
		l.provider.signalFailure(err)
	}
	if l.judged && err != nil {
		if !l.healthy(err) || stt.FailureOf(err) != stt.Unavailable {
			l.provider.count(err)
		}
		return
	}
	l.judged = true
	l.verdict(err)
}

// healthy reports whether a leg that has failed was a good one before, so that its recogniser may be tried again.
func (l *leg) healthy(err error) bool {
	return l.settled || l.opened && !stt.FailureOf(err).Quiet() && time.Since(l.started) >= proven
}
