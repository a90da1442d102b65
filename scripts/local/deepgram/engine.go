package deepgram

import (
	"context"
	"time"
)

// Engine turns speech into words. It can be used by many connections at once.
type Engine interface {
	// Supports reports whether the language (BCP 47, or "multi") is understood.
	Supports(language string) bool
	// Rate is the sample rate that decoders take, in Hz.
	Rate() int
	// Open gives a decoder for one connection. Where their number is bounded it waits for a free one.
	Open(ctx context.Context) (Decoder, error)
}

// Decoder turns the audio of one connection into words. One goroutine uses it at a time.
type Decoder interface {
	// Decode takes the next samples and gives what they made certain, then, last, what is heard so far beyond that.
	// The slice isn't kept.
	Decode(pcm []int16) ([]Hypothesis, error)
	// Flush makes all that was heard so far final. The audio goes on after it, at the same clock.
	Flush() (Hypothesis, error)
	// Close gives the decoder back.
	Close()
}

// Hypothesis is what was heard in the stretch of audio from Start to End, counted from the connection's first sample.
// Finals follow each other without a gap. One without words says that the stretch held none.
type Hypothesis struct {
	Words      []Word
	Start, End time.Duration
	Final      bool
	Pause      bool // a final at the end of an utterance, not in the middle of one
}

// Word is a recognised word. Start and End are counted from the connection's first sample.
type Word struct {
	Text       string
	Start, End time.Duration
	Confidence float64 // 0 to 1
}
