// Package replay lets the recognition of one voice go on in another stream. A Tape keeps the audio that isn't final
// yet; a Head plays it to one stream, from where the streams before have left off, and puts what that stream hears
// behind what they have said.
//
// A stream that takes over hears the Lead once more, audio that is final already: ends of finals are rounded, and the
// first word must not lose its beginning. What it makes of the lead is left out: a word whose middle lies before the
// end of the last final word was said before.
package replay

import (
	"slices"
	"time"

	"earshot.dev/functions/listen/stt"
)

const (
	// Lead is how much audio before the end of the last final a stream hears that takes over.
	Lead = 200 * time.Millisecond
	// Rounding is by how much the end of a final may fall short of the audio that it covers.
	Rounding = 100 * time.Millisecond
)

const (
	bytesPerSample = 2 // of 16 bit PCM
	// blockSize is in which pieces memory is taken and given back: a quarter of a second at 16 kHz.
	blockSize = 8 << 10
)

// Tape is the audio of one voice, 16 bit PCM, one channel, from the end of the last final on. Offsets count from the
// first sample that was added. It can be used by one goroutine at a time, its heads included.
type Tape struct {
	rate    int64    // samples a second
	limit   int64    // bytes
	blocks  [][]byte // audio; all but the last are full
	base    int64    // where blocks[0] begins, in bytes
	begin   int64    // where what is kept begins, in or behind blocks[0]
	end     int64
	marks   []int64 // where Finalize was asked for and all isn't final yet, in bytes, rising
	closed  bool
	through int64         // the end of the last final, in bytes
	said    time.Duration // the end of the last final word
}

// NewTape makes a tape for audio of the rate, in Hz, that keeps no more than the limit.
func NewTape(rate int, limit time.Duration) *Tape {
	t := &Tape{rate: int64(rate)}
	t.limit = t.bytes(limit)
	return t
}

// Add puts audio at the end. Over the limit the oldest is dropped.
func (t *Tape) Add(pcm []byte) {
	t.end += int64(len(pcm))
	for len(pcm) > 0 {
		last := len(t.blocks) - 1
		if last < 0 || len(t.blocks[last]) == blockSize {
			t.blocks = append(t.blocks, make([]byte, 0, blockSize))
			last++
		}
		n := min(len(pcm), blockSize-len(t.blocks[last]))
		t.blocks[last] = append(t.blocks[last], pcm[:n]...)
		pcm = pcm[n:]
	}
	t.forget(t.end - t.limit)
}

// read copies audio from the offset on, and gives how much it was.
func (t *Tape) read(buf []byte, from int64) int {
	n := 0
	at := int(from - t.base)
	for i := at / blockSize; i < len(t.blocks) && n < len(buf); i++ {
		n += copy(buf[n:], t.blocks[i][at%blockSize:])
		at += blockSize - at%blockSize
	}
	return n
}

// forget drops what lies before the offset.
func (t *Tape) forget(before int64) {
	if before <= t.begin {
		return
	}
	t.begin = before
	n := min(int(t.begin-t.base)/blockSize, len(t.blocks))
	t.blocks = slices.Delete(t.blocks, 0, n)
	t.base += int64(n) * blockSize
}

// Finalize notes that all so far is to become final.
func (t *Tape) Finalize() {
	if end := t.end; end > t.through && (len(t.marks) == 0 || t.marks[len(t.marks)-1] < end) {
		t.marks = append(t.marks, end)
	}
}

// Finalizing reports whether there is audio that isn't final, though it is to be.
func (t *Tape) Finalizing() bool {
	last := len(t.marks) - 1
	return last >= 0 && t.marks[last] > t.through+t.bytes(Rounding)
}

// Close notes that no more audio comes.
func (t *Tape) Close() { t.closed = true }

// Closed reports whether no more audio comes.
func (t *Tape) Closed() bool { return t.closed }

// Length is the offset of the end.
func (t *Tape) Length() time.Duration { return t.duration(t.end) }

// Open is how much audio at the end isn't final. Up to Rounding it may be no more than that.
func (t *Tape) Open() time.Duration { return t.duration(t.end - t.through) }

// Settle takes a final that was placed on the tape: the audio up to its end isn't needed any more, but for the lead.
func (t *Tape) Settle(final stt.Result) {
	through := min(t.bytes(final.End), t.end)
	if final.Flushed {
		// It covers all up to where Finalize was sent, whatever its end is rounded to.
		for _, mark := range t.marks {
			if mark <= through+t.bytes(Rounding) {
				through = max(through, mark)
			}
		}
	}
	t.through = max(t.through, through)
	if n := len(final.Words); n > 0 {
		t.said = max(t.said, final.Words[n-1].End)
	}
	t.marks = slices.DeleteFunc(t.marks, func(mark int64) bool { return mark <= t.through })
	t.forget(t.through - t.bytes(Lead))
}

// bytes is where the sample at the offset begins; it takes back exactly what duration gave.
func (t *Tape) bytes(offset time.Duration) int64 {
	return (int64(offset)*t.rate + int64(time.Second)/2) / int64(time.Second) * bytesPerSample
}

func (t *Tape) duration(bytes int64) time.Duration {
	return time.Duration(bytes / bytesPerSample * int64(time.Second) / t.rate)
}
