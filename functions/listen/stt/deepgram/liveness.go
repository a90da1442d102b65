package deepgram

import "time"

const (
	// keepAliveAfter is how long nothing is sent before the server is told that we are there. It gives up after 10 s
	// and asks for 3 to 5 s, https://developers.deepgram.com/docs/audio-keep-alive.
	keepAliveAfter = 4 * time.Second
	// answerable is how much audio Finalize answers for certain; with less unsaid there may be no answer.
	answerable = time.Second
)

// liveness tells from what was sent and what was heard whether the server is still there. Speech is gated, so audio
// doesn't flow all the time: what counts is audio that went unanswered, not time.
type liveness struct {
	limit time.Duration // from Config.Silence

	sent     time.Time     // when anything was last sent
	owed     time.Duration // audio sent since an answer was last heard
	since    time.Time     // when the first of it was sent
	demanded time.Time     // when Finalize or CloseStream was sent that isn't answered; zero if none is
	vague    bool          // the last result has words that may still change: Finalize is answered, however little is owed
	writing  time.Time     // when the write began that hasn't returned; zero if there is none
	closing  bool          // CloseStream was sent
	answered bool          // something was heard
}

// audio notes that audio of the length is about to be sent.
func (l *liveness) audio(now time.Time, length time.Duration) {
	if l.owed == 0 {
		l.since = now
	}
	l.owed += length
	l.sent = now
}

// demand notes that Finalize, or CloseStream, is about to be sent.
func (l *liveness) demand(now time.Time, closing bool) {
	l.sent = now
	l.closing = l.closing || closing
	if l.closing || l.vague || l.owed >= answerable {
		l.demanded = now
	}
}

// heard notes an answer to the audio.
func (l *liveness) heard(now time.Time) {
	l.owed = 0
	l.answered = true
	if !l.writing.IsZero() {
		l.writing = now
	}
	switch {
	case l.closing:
		l.demanded = now // what is owed now is the end
	case !l.vague:
		l.demanded = time.Time{}
	case !l.demanded.IsZero():
		l.demanded = now // it goes on, and what was demanded is to come
	}
}

// silent reports whether the server should have answered by now.
func (l *liveness) silent(now time.Time) bool { return l.late(now, l.limit) }

// doubtful reports whether half of that time is over.
func (l *liveness) doubtful(now time.Time) bool { return l.late(now, l.limit/2) }

func (l *liveness) late(now time.Time, limit time.Duration) bool {
	over := func(since time.Time) bool { return !since.IsZero() && now.Sub(since) >= limit }
	return over(l.demanded) || over(l.writing) || l.owed >= limit && over(l.since)
}

// idle reports whether it is time to say that we are there. A write under way says it already.
func (l *liveness) idle(now time.Time) bool {
	return !l.closing && l.writing.IsZero() && now.Sub(l.sent) >= keepAliveAfter
}
