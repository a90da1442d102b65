package session

import (
	"math"
	"slices"
	"time"

	"earshot.dev/shared/usage"
)

// What follows is how much of the audio is known: all its words are, or there are none.

// speaking reports whether somebody is, up to 700 ms ago.
func (in *intake) speaking() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.gate.Speaking()
}

// allKnown reports whether there is nothing at the recogniser that may yet become words.
func (in *intake) allKnown() bool {
	sent := duration(in.sent)
	if in.broken {
		return false
	}
	if in.gate.Speaking() || in.known >= sent {
		return !in.gate.Speaking()
	}
	if len(in.asked) == 0 {
		return false
	}
	f := in.asked[len(in.asked)-1]
	return f.offset == sent && in.unanswered(f)
}

// knows reports whether no more words are to be expected of what was sent up to an offset.
func (in *intake) knows(offset time.Duration) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.has(offset)
}

func (in *intake) has(offset time.Duration) bool {
	return in.known+rounding >= offset || slices.ContainsFunc(in.asked, func(f flush) bool {
		return f.offset >= offset && in.unanswered(f)
	})
}

// unanswered reports whether there will be no answer to a finalize, since it was only silence that was left.
func (in *intake) unanswered(f flush) bool {
	return in.known+max(rounding, f.tail) >= f.offset && time.Since(f.at) >= answerWithin
}

// progress is how far the words of a channel's audio are known.
type progress struct {
	samples uint32        // of the audio received
	counted usage.Totals  // what was not yet counted of them
	unheard time.Duration // of the audio sent, what the recogniser has not come to yet
}

// unlimited is later than any offset.
const unlimited = time.Duration(math.MaxInt64)

// know tells the intake that all words are known up to an offset in what was sent.
func (in *intake) know(through time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if through <= in.known {
		return
	}
	in.known = through
	in.asked = slices.DeleteFunc(in.asked, func(f flush) bool { return f.offset <= in.known })
	select {
	case in.room <- struct{}{}:
	default:
	}
}

// settle gives what the words that are known mean for the audio received: what was left out holds none. Words from an
// offset on in what was sent don't count yet.
func (in *intake) settle(before time.Duration) progress {
	in.mu.Lock()
	defer in.mu.Unlock()
	var all time.Duration // that came before an end, and is known
	if len(in.fences) > 0 && in.fences[0].offset <= before {
		before = in.fences[0].offset
		if in.has(before) {
			all = in.fences[0].position
		}
	}
	known := min(in.known, before)
	in.timeline.forget(known)
	m, newest := in.timeline.last(func(m mark) bool { return m.offset <= known })
	position, speech := m.position, m.speech
	if newest && before == unlimited && in.allKnown() {
		position, speech = duration(in.received), in.gate.Speech()
		if !in.closed || in.again {
			position -= duration(in.gate.Held()) // a word may begin in it
		}
	} else if gone := known - m.offset; gone > 0 {
		position, speech = position+gone, min(in.gate.Speech(), speech+gone)
	}
	position = max(position, all)
	total := usage.Totals{
		AudioMS:  max(position.Milliseconds(), in.counted.AudioMS),
		SpeechMS: max(speech.Milliseconds(), in.counted.SpeechMS),
	}
	p := progress{
		samples: uint32(in.stored) + uint32(position*sampleRate/time.Second), //nolint:gosec // see packet
		counted: total.Sub(in.counted), unheard: in.unheard(),
	}
	in.counted = total
	return p
}

// unknown is how much was sent of which not all words are known, unheard of how much of it none is.
func (in *intake) unknown() time.Duration { return duration(in.sent) - in.known }

func (in *intake) unheard() time.Duration { return duration(in.sent) - max(in.known, in.heard) }

// wait returns when there is room for more audio, or when done is closed. A recogniser that has heard a lot and made
// nothing final, as in speech without a pause, is asked to after a lull.
func (in *intake) wait(done <-chan struct{}) {
	for {
		in.mu.Lock()
		full := in.unknown() > maxUnknown
		if full && !in.full && !in.closed {
			in.silence.Reset(lull)
		}
		in.full = full
		in.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-in.room:
		case <-done:
			return
		}
	}
}

func duration(samples int64) time.Duration {
	return time.Duration(samples) * time.Second / sampleRate
}
