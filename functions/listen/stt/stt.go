// Package stt is the contract between a live session and whatever turns its speech into text.
//
// A Recognizer opens Streams; a Stream takes audio and gives Results. Offsets, of words and of results, count the
// audio that was sent to that stream, from its first sample: what a caller leaves out (silence, say) doesn't exist
// for the stream, and mapping back is the caller's.
//
// Finals cover the audio without a gap and never go back: each begins where the one before ended, or later, and what
// lies before a final's End needs to be kept no longer. An interim result shows all that is heard after the last
// final; the next one, interim or final, replaces it. Recognisers round: the End of a final that covers all that was
// sent can differ from its length by some 50 ms, so what is complete is told by Flushed and io.EOF, not by End.
package stt

import (
	"context"
	"time"
)

// Multi is the language of a conversation in several languages, or in one that isn't known.
const Multi = "multi"

// UnknownSpeaker is the speaker of a word where nobody tells speakers apart.
const UnknownSpeaker = -1

// Word is one recognised word, with its punctuation and capitals where the recogniser has them. Start and End are
// offsets in the audio that was sent to the stream. Speaker counts from 0, in the order they were first heard.
type Word struct {
	Text       string
	Start, End time.Duration
	Speaker    int
}

// Result says what was heard in the stretch of audio from Start to End; no words means that there was no speech.
type Result struct {
	Words      []Word
	Start, End time.Duration
	Final      bool // won't change any more
	Flushed    bool // the answer to Finalize: all sent before it is final now
}

// Options are what a stream is opened with.
type Options struct {
	Language   string   // BCP 47, or Multi
	SampleRate int      // Hz
	Interim    bool     // interim results are wanted
	Vocabulary []string // words and names to listen for, most wanted first; a recogniser takes as many as it can
}

// Recognizer opens streams. It can be used by many goroutines at once.
type Recognizer interface {
	// Name is short, in lower case, and the same for ever: it is stored with the words.
	Name() string
	// Supports reports whether speech in the language (BCP 47, or Multi) is understood.
	Supports(language string) bool
	// Open begins a stream. ctx bounds the opening, not the stream. Its error is an *Error.
	Open(ctx context.Context, o Options) (Stream, error)
}

// Stream recognises one voice channel. One goroutine sends (Send, Finalize, CloseSend) while another receives; a
// stream whose results nobody receives stops taking audio. Close may come from anywhere, at any time, and must come.
type Stream interface {
	// Send passes audio on: 16 bit little endian PCM, one channel, whole samples. The slice isn't kept. A Send whose
	// context ends may have broken the stream; Recv says so.
	Send(ctx context.Context, pcm []byte) error
	// Finalize asks that all sent so far becomes final now. The answer, a Result with Flushed, isn't promised: some
	// recognisers don't answer where nothing was left to say.
	Finalize(ctx context.Context) error
	// CloseSend says that no more audio comes. The last results follow, then Recv gives io.EOF.
	CloseSend(ctx context.Context) error
	// Recv gives the next result, io.EOF after the last one of a stream that ended well, the *Error that ended it, or
	// net.ErrClosed after Close. Once it has failed it fails the same way again. If ctx ends first, Recv gives its error
	// and the stream is as it was.
	Recv(ctx context.Context) (Result, error)
	// Close gives all up at once, and returns when the stream's goroutines have. It can be called again.
	Close() error
}
