package session

import (
	"context"
	"sync"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/vad"
	"earshot.dev/shared/usage"
)

// sampleRate is that of all audio behind the decoder, in Hz.
const sampleRate = 16000

// batch is how much speech goes to the recogniser in one message: fewer and larger messages are what makes a
// session cheap, and 100 ms more is less than a recogniser takes to think.
const batch = sampleRate / 10

// drift is by how much the audio may lag behind the clock before it is taken for a pause in which the client
// sent nothing. Networks delay by less, or for a moment.
const drift = 2 * time.Second

// lull is how long no audio may come in mid speech before the speech is taken to have ended: some devices stop
// sending when nobody speaks, and the last words must not wait for the next ones.
const lull = time.Second

// Decoder turns packets into 16 kHz mono samples (audio.Decoder).
type Decoder interface {
	Decode(dst []int16, packet []byte) ([]int16, error)
}

// intake is the way of the audio: decode, find speech, pass it on. The read loop feeds it and whoever ends the
// session closes it, so a lock guards it; it is never contended while audio flows.
type intake struct {
	mu       sync.Mutex
	decoder  Decoder
	gate     *vad.Gate
	stream   stt.Stream
	closed   bool
	origin   time.Time    // when sample 0 was said
	received int64        // samples
	sent     int64        // samples, to the recogniser, batched ones included
	timeline timeline     // of what was sent
	samples  []int16      // of the packet at hand
	batch    []byte       // speech that waits for more
	taken    usage.Totals // what take has reported
	spoiled  int          // packets that could not be decoded
	err      error        // of the first Send that failed
	silence  *time.Timer  // fires when no audio has come for a lull
}

// newIntake makes an intake into a stream. Audio that is still held back when none has come for a lull is passed
// on under ctx.
func newIntake(ctx context.Context, decoder Decoder, stream stt.Stream) *intake {
	in := &intake{decoder: decoder, gate: vad.NewGate(), stream: stream}
	in.silence = time.AfterFunc(lull, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		if !in.closed && in.gate.Speaking() {
			in.gate.Flush(func(c vad.Chunk) { in.pass(ctx, c) })
		}
	})
	return in
}

// packet takes one audio packet in. A packet that can't be decoded is counted and skipped. The error is that of
// the recogniser's stream.
func (in *intake) packet(ctx context.Context, packet []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil
	}
	samples, err := in.decoder.Decode(in.samples[:0], packet)
	if err != nil {
		in.spoiled++
		return nil
	}
	in.samples = samples
	in.keepTime(len(samples))
	in.silence.Reset(lull)
	in.gate.Feed(samples, func(c vad.Chunk) { in.pass(ctx, c) })
	return in.err
}

// keepTime sees to it that offsets in the audio mean the right time of day, also for a client that sends
// nothing while nobody speaks.
func (in *intake) keepTime(samples int) {
	end := time.Now().Add(-duration(in.received + int64(samples)))
	if in.received == 0 || end.Sub(in.origin) > drift {
		in.origin = end
	}
	in.received += int64(samples)
}

// pass sends a stretch of speech on, in batches.
func (in *intake) pass(ctx context.Context, c vad.Chunk) {
	in.timeline.add(duration(in.sent), in.origin.Add(duration(c.Offset)))
	for _, s := range c.Samples {
		in.batch = append(in.batch, byte(s), byte(s>>8))
	}
	in.sent += int64(len(c.Samples))
	if len(in.batch) >= 2*batch || c.End {
		in.send(ctx)
	}
	if c.End {
		in.note(in.stream.Finalize(ctx))
	}
}

func (in *intake) send(ctx context.Context) {
	if len(in.batch) > 0 {
		in.note(in.stream.Send(ctx, in.batch))
		in.batch = in.batch[:0]
	}
}

func (in *intake) note(err error) {
	if in.err == nil {
		in.err = err
	}
}

// flush passes on what is still held back and asks the recogniser to make it final. It gives the offset up to
// which all words will be known then, and the time up to which audio was received.
func (in *intake) flush(ctx context.Context) (through time.Duration, until time.Time, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed {
		in.gate.Flush(func(c vad.Chunk) { in.pass(ctx, c) })
		in.send(ctx)
		in.note(in.stream.Finalize(ctx))
	}
	until = time.Now()
	if in.received > 0 {
		until = in.origin.Add(duration(in.received))
	}
	return duration(in.sent), until, in.err
}

// close takes in nothing more, passes on what is held back and half-closes the stream, whose last results follow.
func (in *intake) close(ctx context.Context) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil
	}
	in.closed = true
	in.silence.Stop()
	in.gate.Flush(func(c vad.Chunk) { in.pass(ctx, c) })
	in.send(ctx)
	in.note(in.stream.CloseSend(ctx))
	return in.err
}

// locate gives the times at which a word was said, and forgets what lies before it once it is final.
func (in *intake) locate(start, end time.Duration) (from, to time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	from, to = in.timeline.at(start), in.timeline.end(end)
	if to.Before(from) {
		to = from
	}
	return from, to
}

// settled forgets the times of audio whose words are final.
func (in *intake) settled(until time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.timeline.forget(until)
}

// take gives what was received since the last take.
func (in *intake) take() usage.Totals {
	in.mu.Lock()
	defer in.mu.Unlock()
	total := usage.Totals{AudioMS: duration(in.received).Milliseconds(), SpeechMS: in.gate.Speech().Milliseconds()}
	more := total.Sub(in.taken)
	in.taken = total
	return more
}

func duration(samples int64) time.Duration {
	return time.Duration(samples) * time.Second / sampleRate
}
