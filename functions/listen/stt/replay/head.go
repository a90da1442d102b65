package replay

import (
	"time"

	"earshot.dev/functions/listen/stt"
)

// Head plays a tape to one stream, and places that stream's results on the tape.
type Head struct {
	tape   *Tape
	start  int64 // what the stream heard first, in bytes
	at     int64 // what it hears next
	mark   int64 // the last Finalize that it was told of
	closed bool  // it was told that no more comes

	floor time.Duration // the end of what was final before
	said  time.Duration // the end of the last word that was final before
	lost  time.Duration
}

// Step is what the stream of a head is to be told next.
type Step uint8

// The steps.
const (
	Wait      Step = iota // nothing until there is more on the tape
	Send                  // audio
	Finalize              // that what it was sent is to become final
	CloseSend             // that no more audio comes
	Behind                // nothing any more: what would be next was dropped, so long has it taken none
)

// NewHead begins where the last final ended, the lead before it.
func (t *Tape) NewHead() *Head {
	h := &Head{tape: t, floor: t.duration(t.through), said: t.said}
	h.start = t.through
	if t.Open() > Rounding {
		h.start = max(0, t.through-t.bytes(Lead))
	}
	h.at, h.mark = h.start, h.start
	h.skip()
	return h
}

// skip passes over what the tape doesn't hold any more.
func (h *Head) skip() {
	t := h.tape
	if h.start < t.begin {
		h.start, h.at, h.mark = t.begin, t.begin, t.begin
		h.lost = max(0, t.duration(t.begin-t.bytes(h.floor)))
	}
}

// Lost is how much audio that wasn't final the stream won't hear, since the tape didn't hold it any more. It is known
// once there was a Next.
func (h *Head) Lost() time.Duration { return h.lost }

// Next is the next step. Audio is copied to buf: as much as it can take, and no more than up to the next Finalize.
func (h *Head) Next(buf []byte) (Step, []byte) {
	t := h.tape
	if h.at == h.start {
		h.skip()
	}
	if h.at < t.begin {
		return Behind, nil
	}
	end := t.end
	for _, mark := range t.marks {
		if mark <= h.mark {
			continue
		}
		if mark == h.at {
			h.mark = mark
			return Finalize, nil
		}
		end = mark
		break
	}
	if h.at < end {
		n := t.read(buf[:min(int64(len(buf)), end-h.at)], h.at)
		h.at += int64(n)
		return Send, buf[:n]
	}
	if t.closed && !h.closed {
		h.closed = true
		return CloseSend, nil
	}
	return Wait, nil
}

// Place gives a result of the stream its place on the tape. It reports false if the result says nothing that wasn't
// said before.
func (h *Head) Place(r stt.Result) (stt.Result, bool) {
	base := h.tape.duration(h.start)
	length := h.tape.Length()
	r.Start = min(max(r.Start+base, h.floor), length)
	r.End = min(max(r.End+base, r.Start), length)
	kept := r.Words[:0]
	for _, w := range r.Words {
		w.Start = min(w.Start+base, length)
		w.End = min(w.End+base, length)
		if w.Start < h.said && (w.Start+w.End)/2 < h.said && h.start > 0 {
			continue
		}
		w.Start = max(w.Start, h.floor)
		w.End = max(w.End, w.Start)
		kept = append(kept, w)
	}
	r.Words = kept
	return r, len(kept) > 0 || r.Flushed || r.End > h.floor
}

// Played is how much audio the stream was given.
func (h *Head) Played() time.Duration { return h.tape.duration(h.at - h.start) }
