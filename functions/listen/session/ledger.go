package session

import (
	"sync"

	"earshot.dev/functions/listen/wire"
)

// maxLedger is how many frames are kept apart, 20 s of them at 50 a second. Beyond it every other one is settled together
// with the one after it, so that the ledger is bounded while the store doesn't answer: what is known is told later.
const maxLedger = 1000

// maxGap is how many frames may be missing at once. What is further ahead is no number of a frame, and would have all that
// comes after it taken for repeats; unless the next frame has the next number.
const maxGap = 1 << 24

// ledger keeps the numbers of the audio frames whose words are not all known yet (functions/listen/wire/README.md).
// The read loop enters them, the transcribe loop settles them.
type ledger struct {
	mu       sync.Mutex
	frames   []entry                  // in order of their numbers
	received uint32                   // the highest number that came in
	doubted  uint32                   // the last one that was too far ahead
	settled  uint32                   // all through it are known
	ends     [wire.MaxChannels]uint32 // where the audio of these ends
	entered  [wire.MaxChannels]uint32 // where that of the last of frames does
	gaps     int64                    // frames that never came
	repeats  int64                    // frames that came before
}

// entry is a frame, and where each channel's audio ends that came with it or before, in samples. A session is too short
// for either to overflow.
type entry struct {
	sequence uint32
	ends     [wire.MaxChannels]uint32
}

// resume begins after what an earlier session had settled.
func (l *ledger) resume(settled uint32) {
	l.received, l.settled = settled, settled
}

// far reports whether a number is too far ahead to be one.
func (l *ledger) far(sequence uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sequence <= l.received || sequence-l.received <= maxGap || sequence == l.doubted+1 {
		return false
	}
	l.doubted = sequence
	return true
}

// receive notes the number of a frame. It reports false for one that came before. If others are missing in between,
// from is the first of them and sequence-1 the last; else it is 0.
func (l *ledger) receive(sequence uint32) (from uint32, isNew bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sequence <= l.received {
		l.repeats++
		return 0, false
	}
	if missing := sequence - l.received - 1; missing > 0 {
		from = l.received + 1
		l.gaps += int64(missing)
	}
	l.received = sequence
	return from, true
}

// enter notes that the audio of a frame was taken in, with which a channel's audio ends at end.
func (l *ledger) enter(sequence uint32, channel int, end uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entered[channel] = max(l.entered[channel], end)
	l.frames = append(l.frames, entry{sequence, l.entered})
	if len(l.frames) > maxLedger {
		l.thin()
	}
}

// thin leaves out every other frame, but not the last.
func (l *ledger) thin() {
	n := 0
	for i := len(l.frames) - 1; i >= 0; i -= 2 {
		n++
		l.frames[len(l.frames)-n] = l.frames[i]
	}
	l.frames = append(l.frames[:0], l.frames[len(l.frames)-n:]...)
}

// settle takes the positions, in samples, up to which all words of each channel are known, and gives the number
// through which all frames are, and where their audio ends.
func (l *ledger) settle(positions [wire.MaxChannels]uint32) (sequence uint32, ends [wire.MaxChannels]uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.frames) && l.frames[n].within(positions) {
		l.settled, l.ends = l.frames[n].sequence, l.frames[n].ends
		n++
	}
	l.frames = append(l.frames[:0], l.frames[n:]...)
	return l.settled, l.ends
}

func (e entry) within(positions [wire.MaxChannels]uint32) bool {
	for channel, end := range e.ends {
		if end > positions[channel] {
			return false
		}
	}
	return true
}

// counts are the frames that never came, and those that came again.
func (l *ledger) counts() (gaps, repeats int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gaps, l.repeats
}
