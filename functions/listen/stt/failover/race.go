package failover

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/replay"
	"earshot.dev/shared/logging"
)

// answerable is how much audio there must be for no answer to be a bad sign. A cough may have none.
const answerable = time.Second

// errNone is why nobody goes on where nobody has failed: each recogniser refuses our key, by its breaker.
var errNone = errors.New("no recogniser to be had")

// What follows runs where results are received. It decides which leg is listened to.

// take takes what a leg has to say. It reports true with a result for the caller.
func (s *stream) take(e event) (stt.Result, bool) {
	l := e.leg
	switch {
	case l != s.active && l != s.standby: // it isn't listened to any more
		if e.err != nil {
			l.verdict(errUnproven) // if there was none
		}
	case e.opened:
		s.opened(l)
	case e.err != nil:
		s.lost(l, e.err)
	default:
		return s.hear(l, e.result)
	}
	return stt.Result{}, false
}

// opened takes the one that opens first, where two are being opened.
func (s *stream) opened(l *leg) {
	l.opened = true
	s.mu.Lock()
	if !l.since.IsZero() {
		l.since = time.Now()
		s.alarm.Reset(s.limits.Patience)
	}
	s.mu.Unlock()
	switch {
	case l == s.active && s.standby != nil:
		s.seat(l, nil)
	case l == s.standby && !s.active.opened:
		s.promote(stt.Fail(s.active.provider.label, stt.Unavailable, errors.New("takes too long to open")))
	}
}

// hear takes a result. One of the standby counts if it has words: then it is the better one, save where the other has said
// them too and only owes that they are final: then whoever makes them final first is. If the standby finds none in all that was
// said, the other was right to say nothing.
func (s *stream) hear(l *leg, r stt.Result) (stt.Result, bool) {
	l.answered = true
	r, ok := s.place(l, r)
	if l == s.standby {
		switch {
		case len(r.Words) > 0 && !r.Final && s.onlyFinal(s.active):
			s.answered(l)
			return stt.Result{}, false
		case len(r.Words) > 0:
			s.promote(s.unanswered(s.active))
		case r.Final && r.End+replay.Rounding >= l.goal && !s.ended(): // at the end of all, its own end tells
			l.judge(nil)
			s.clear(s.active)
			s.answered(s.active)
			s.seat(s.active, nil)
			return stt.Result{}, false
		default:
			return stt.Result{}, false
		}
	}
	l.judge(nil)
	s.answered(l)
	if s.standby != nil {
		s.seat(l, nil)
	}
	if ok && r.Final {
		s.settle(l, r)
	}
	return r, ok
}

func (s *stream) place(l *leg, r stt.Result) (stt.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := l.head.Place(r)
	l.vague = !r.Final && len(r.Words) > 0
	return r, ok
}

// clear notes that the leg owes no words.
func (s *stream) clear(l *leg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.vague = false
}

// owesFinal reports whether the leg was asked to make words final that it has said. That it has to answer, however little
// audio there was: none may follow by which it would show that it is gone.
func (s *stream) owesFinal(l *leg) bool { return l.vague && s.tape.Finalizing() }

// owesLittle reports whether there is too little audio that it hasn't answered for that to be a bad sign.
func (s *stream) owesLittle(l *leg) bool { return s.tape.Length()-l.heard < answerable }

// onlyFinal reports whether a final is all that it owes.
func (s *stream) onlyFinal(l *leg) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owesFinal(l) && s.owesLittle(l)
}

// answered notes that the leg has answered for all audio so far.
func (s *stream) answered(l *leg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.since, l.short, l.heard = time.Time{}, time.Time{}, s.tape.Length()
	if s.tape.Closed() || s.owesFinal(l) {
		l.since = time.Now() // it still owes the end
		s.alarm.Reset(s.limits.Patience)
	}
}

// settle takes what is final off the tape. Whoever makes words final is good, and so may all others be again.
func (s *stream) settle(l *leg, final stt.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.tape.Open()
	s.tape.Settle(final)
	if s.tape.Open() < open {
		l.settled, s.last = true, nil
		clear(s.spent)
		clear(s.once)
	}
}

// check looks whether a leg has run out of patience, and has the next recogniser opened beside it.
func (s *stream) check() {
	l := s.active
	if s.standby != nil {
		l = s.standby
	}
	late, owed := s.late(l)
	switch {
	case !owed:
		if l.opened {
			l.judge(nil) // it took us; more can't be known until somebody speaks
		}
	case !late:
	case s.complete():
		s.fail(io.EOF) // only its goodbye is missing
	case l == s.active:
		s.seat(s.active, s.next())
	default:
		if next := s.next(); next != nil {
			cause := s.unanswered(l)
			s.spent[l.provider] = cause
			s.dropped(l, cause, next)
			s.seat(s.active, next)
		}
	}
}

// unanswered is the failure of a leg that has run out of patience.
func (s *stream) unanswered(l *leg) error {
	return stt.Fail(l.provider.label, stt.Unanswered(l.answered), fmt.Errorf("nothing heard for %v", s.limits.Patience))
}

// complete reports whether there is no more to come, and all there was is final.
func (s *stream) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tape.Closed() && s.tape.Open() <= replay.Rounding
}

// late reports whether the leg owes an answer, and whether it has owed it for too long. It sets the alarm for when
// it will have.
func (s *stream) late(l *leg) (late, owed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := l.since
	if !l.opened {
		since = l.started
	}
	if since.IsZero() {
		return false, false
	}
	left := s.limits.Patience - time.Since(since)
	final := s.owesFinal(l) || l == s.standby && s.owesFinal(s.active) // which is why it was opened
	if left <= 0 && l.opened && !s.tape.Closed() && !final && s.owesLittle(l) {
		l.short, l.since = l.since, time.Time{} // until there is more
		return false, false
	}
	if left <= 0 {
		s.alarm.Reset(s.limits.Patience) // somebody may be there by then
		return true, true
	}
	s.alarm.Reset(left)
	return false, true
}

// lost takes a leg's end.
func (s *stream) lost(l *leg, err error) {
	if errors.Is(err, io.EOF) {
		if s.ended() {
			l.judge(nil)
			s.fail(io.EOF) // even if it is the standby: it has heard all
			return
		}
		err = stt.Fail(l.provider.label, stt.Unavailable, errors.New("ended without being asked to"))
	}
	switch p := l.provider; {
	case l.healthy(err):
		clear(s.spent)
		clear(s.once)
		s.last = p
	case l == s.standby && !s.once[p]:
		s.once[p] = true // the active one still says nothing: this may be all there is
	default:
		s.spent[p] = err
	}
	switch {
	case l == s.standby:
		s.dropped(l, err, s.active)
		s.seat(s.active, nil)
	case s.standby != nil:
		s.promote(err)
	case s.complete():
		s.dropped(l, err, nil)
		s.fail(io.EOF)
	default:
		l.judge(err)
		s.advance(err)
	}
}

func (s *stream) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tape.Closed()
}

// promote has the standby go on in place of the active leg.
func (s *stream) promote(cause error) {
	if s.last != s.active.provider {
		s.spent[s.active.provider] = cause
	}
	s.dropped(s.active, cause, s.standby)
	s.active.provider.signalFailover()
	s.seat(s.standby, nil)
}

// advance has the best recogniser that is left go on after a failure. If none is left that is the end.
func (s *stream) advance(cause error) {
	failed := s.active
	s.active = nil
	next := s.next()
	if next == nil {
		s.fail(stt.Fail(Name, stt.FailureOf(cause), s.tell(cause)))
		return
	}
	if failed != nil {
		s.logFailure(failed, cause, next)
		failed.provider.signalFailover()
	}
	s.seat(next, nil)
}

// next begins a leg at the best recogniser that is left, or gives nil. Where no other leg is on, one whose breaker is open
// is left too.
func (s *stream) next() *leg {
	for _, again := range []bool{false, true} {
		for _, p := range s.candidates {
			if s.spent[p] != nil || s.active != nil && s.active.provider == p || (p == s.last) != again ||
				s.standby != nil && s.standby.provider == p {
				continue
			}
			l, err := s.newLeg(p, false)
			if err == nil {
				return l
			}
			s.spent[p] = err
		}
	}
	if s.active != nil {
		return nil
	}
	for _, p := range s.candidates {
		if barred(s.spent[p]) && !p.refused.Load() {
			if l, err := s.newLeg(p, true); err == nil {
				return l
			}
		}
	}
	return nil
}

// seat says who is listened to. Whoever loses its seat is closed, without a verdict if it has none yet.
func (s *stream) seat(active, standby *leg) {
	for _, l := range []*leg{s.active, s.standby} {
		if l != nil && l != active && l != standby {
			l.dismiss()
		}
	}
	s.active, s.standby = active, standby
	s.mu.Lock()
	defer s.mu.Unlock()
	s.legs = [2]*leg{active, standby}
}

// dropped notes the failure of a leg in whose place another goes on.
func (s *stream) dropped(l *leg, cause error, next *leg) {
	l.judge(cause)
	s.logFailure(l, cause, next)
}

func (s *stream) logFailure(l *leg, cause error, next *leg) {
	attrs := []slog.Attr{
		slog.String("recognizer", l.provider.label),
		slog.String("failure", stt.FailureOf(cause).String()),
	}
	if next != nil {
		attrs = append(attrs, slog.String("next", next.provider.label))
	}
	logging.Error(s.life, eventFailed, cause, attrs...)
}

// fail ends the stream: Recv gives the error from now on.
func (s *stream) fail(err error) {
	s.err = err
	s.seat(nil, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
}

// tell joins the error with what is known of the recognisers that can't be tried.
func (s *stream) tell(err error) error {
	errs := []error{err}
	for _, p := range s.candidates {
		if failure := s.spent[p]; failure != nil && !errors.Is(err, failure) {
			errs = append(errs, failure)
		}
	}
	return errors.Join(errs...)
}
