package session

import (
	"context"
	"slices"
	"sync"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/vad"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/usage"
)

// sampleRate is that of all audio behind the decoder, in Hz.
const sampleRate = 16000

// batch is how much speech goes to the recogniser in one message: fewer and larger messages are what makes a
// session cheap, and 100 ms more is less than a recogniser takes to think.
const batch = sampleRate / 10

// lull is how long no audio may come in mid speech before the speech is taken to have ended: some devices stop
// sending when nobody speaks, and the last words must not wait for the next ones.
const lull = time.Second

// stall is how much longer it takes where the audio stopped in a word, of which no device knows: then it is the network that
// has stopped for a moment, and half a word would be made of one.
const stall = 2 * time.Second

// keptStall is the same where the audio is numbered: what the network holds comes late, or again. A client has noticed by then
// that it gets no pings, and connects anew. If it is we who don't take in more, nothing can come: then a recogniser that has
// heard it all is to say what it has.
const keptStall = 4 * pingEvery

// suspect is the end of what was heard before a cut: a word that reaches into it may be half of one. The client sends
// the audio again, and the word is recognised when it is whole.
const suspect = 500 * time.Millisecond

// rounding is by how much a recogniser's times may differ from what it was sent.
const rounding = 100 * time.Millisecond

// answerWithin is how long a recogniser may think about a finalize. Some don't answer where nothing was left to say.
const answerWithin = 3 * time.Second

// maxUnknown is how much speech may be at the recogniser without its words being known, before no more is taken in.
// It bounds what a session holds in memory; a recogniser is a few seconds behind, not so many.
const maxUnknown = 30 * time.Second

// Decoder turns packets into 16 kHz mono samples (audio.Decoder).
type Decoder interface {
	Decode(dst []int16, packet []byte) ([]int16, error)
}

// intake is the way of one channel's audio: decode, find speech, pass it on. The read loop feeds it, the transcribe
// loop asks how far it has come, and whoever ends the session closes it, so a lock guards it; it is hardly ever
// contended while audio flows.
type intake struct {
	mu       sync.Mutex
	decoder  Decoder // owned by who reads, like samples
	gate     *vad.Gate
	stream   stt.Stream
	closed   bool
	again    bool          // it was closed, and what is not known will come again
	broken   bool          // likewise, in mid speech
	limit    time.Duration // of what was sent, up to which words are whole if it is broken
	clock    clock
	stored   int           // samples at the beginning that an earlier session had stored
	skip     int           // how many of them are still to come
	missing  int           // packets, that will not, since the last that did
	received int64         // samples
	sent     int64         // samples, to the recogniser, batched ones included
	asked    []flush       // finalizes that were not answered
	fences   []fence       // see flush
	flushed  time.Duration // of what was sent: the client has said that no word goes on there
	known    time.Duration // of what was sent: all words are
	heard    time.Duration // of what was sent: the recogniser has said something of it, be it not its last word
	room     chan struct{} // has an element when known has moved
	timeline timeline      // of what was sent
	told     time.Time     // the end of the last word that was final
	samples  []int16       // of the packet at hand; who reads may look at them until the next
	batch    []byte        // speech that waits for more
	counted  usage.Totals  // what settle has reported
	spoiled  int64         // packets that could not be decoded
	late     int64         // packets that came after the end
	err      error         // of the first Send that failed
	silence  *time.Timer   // fires when no audio has come for a lull
	stalled  bool          // it has fired, in a word
	apart    time.Duration // so much audio of other channels has come since the last of this one
	full     bool          // no more is taken in until more is known
}

// flush is a finalize: at a time, of what was sent up to an offset, which ends in so much silence.
type flush struct {
	at           time.Time
	offset, tail time.Duration
}

// fence is where a conversation ends: an offset in what was sent, and what had been received by then.
type fence struct{ offset, position time.Duration }

// newIntake makes an intake into a stream. Audio that is still held back when none has come for a lull is passed
// on under ctx. The first audio was said at the origin, or later. A client may keep audio that it can't send, and send
// it later.
func newIntake(ctx context.Context, decoder Decoder, stream stt.Stream, origin time.Time, keeps bool) *intake {
	in := &intake{
		decoder: decoder, gate: vad.NewGate(), stream: stream, clock: clock{origin: origin, keeps: keeps},
		room: make(chan struct{}, 1),
	}
	patience := stall
	if keeps {
		patience = keptStall
	}
	in.silence = time.AfterFunc(lull, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		switch {
		case in.closed || !in.gate.Speaking():
		case !in.stalled && in.gate.InWord() && (!in.full || in.unheard() > fastAt):
			in.stalled = true
			in.silence.Reset(patience)
		default:
			in.gate.Pause(func(c vad.Chunk) { in.pass(ctx, c) })
		}
	})
	return in
}

// resume begins after what is stored. The audio goes on where it was cut, if it is of the same conversation; in any case it
// is later.
func (in *intake) resume(from conversation.Acked, channel int, same bool) {
	var beyond time.Duration
	if channel < len(from.Beyond) {
		beyond = from.Beyond[channel]
	}
	in.stored = int(beyond * sampleRate / time.Second)
	in.skip = in.stored
	in.told = from.At.Add(beyond)
	if same {
		in.clock.origin = in.told
	}
}

// gap notes that the client doesn't send so many packets again, of this channel or of others. What was to be skipped of them is
// none of what follows.
func (in *intake) gap(packets int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.missing += packets
}

// fresh gives what isn't stored of a packet's samples. Packets that are missing are taken to be as long.
func (in *intake) fresh(samples []int16) []int16 {
	if len(samples) == 0 {
		return samples
	}
	missing := min(in.skip, in.missing*len(samples))
	in.stored -= missing
	in.skip -= missing
	in.missing = 0
	skipped := min(in.skip, len(samples))
	in.skip -= skipped
	return samples[skipped:]
}

// packet takes one audio packet in, which came at a time, and gives where its audio ends, in samples. A packet that can't be decoded is
// counted and skipped. It reports false for one that comes too late. The error is that of the recogniser's stream.
func (in *intake) packet(ctx context.Context, packet []byte, at time.Time) (end uint32, ok bool, err error) {
	if in.over() {
		return 0, false, nil
	}
	samples, err := in.decoder.Decode(in.samples[:0], packet) // most of all work, during which the others needn't wait
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		in.late++
		return 0, false, nil
	}
	if err != nil {
		in.spoiled++
		samples = samples[:0]
	}
	in.samples, in.apart = samples, 0
	samples = in.fresh(samples)
	in.received += int64(len(samples))
	if len(samples) > 0 {
		if from, later := in.clock.arrived(at, duration(in.received)); later > 0 {
			in.timeline.shift(from, later, duration(in.sent))
		}
		in.stalled = false
		in.silence.Reset(lull)
		in.gate.Feed(samples, func(c vad.Chunk) { in.pass(ctx, c) })
	}
	end = uint32(in.received + int64(in.stored-in.skip)) //nolint:gosec // a session lasts an hour, which is 58 million samples
	return end, true, in.err
}

// over reports whether no more is taken in, and counts the packet that comes all the same.
func (in *intake) over() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		in.late++
	}
	return in.closed
}

// beside notes that audio of another channel came. Where that goes on and this one sends none, for longer than a frame may
// last, it isn't the network that has stopped: what is kept for the beginning of a word holds none, and must not keep all
// from being acknowledged.
func (in *intake) beside(d time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.apart += d; in.apart >= lull+d {
		in.gate.Forget()
	}
}

// pass sends a stretch of speech on, in batches.
func (in *intake) pass(ctx context.Context, c vad.Chunk) {
	position := duration(c.Offset)
	in.timeline.add(mark{duration(in.sent), position, in.clock.at(position), in.gate.Speech()})
	in.batch = appendPCM(in.batch, c.Samples)
	in.sent += int64(len(c.Samples))
	if len(in.batch) >= 2*batch || c.End {
		in.send(ctx)
	}
	if c.End {
		in.finalize(ctx)
	}
}

// finalize asks for the words of all that was sent. What is asked already is not asked again, however often a client
// ends a conversation in which nothing more was said.
func (in *intake) finalize(ctx context.Context) {
	if n := len(in.asked); n > 0 && in.asked[n-1].offset == duration(in.sent) {
		return
	}
	in.asked = append(in.asked, flush{time.Now(), duration(in.sent), in.gate.Quiet()})
	in.note(in.stream.Finalize(ctx))
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
// which all words will be known then, and the time up to which audio was received. What comes after is not told to be
// known until cross. It is late where audio that came before wasn't taken in any more, which the client sends again: what
// was heard last may still be half a word.
func (in *intake) flush(ctx context.Context) (through time.Duration, until time.Time, late bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed {
		in.gate.Flush(func(c vad.Chunk) { in.pass(ctx, c) })
		in.send(ctx)
		in.finalize(ctx)
	}
	until = time.Now()
	if in.received > 0 {
		until = in.clock.at(duration(in.received))
	}
	if in.closed && in.again {
		return duration(in.sent), until, true
	}
	in.flushed = duration(in.sent)
	in.fences = append(in.fences, fence{in.flushed, duration(in.received - in.gate.Held())})
	return duration(in.sent), until, false
}

// cross lets what comes after a flush be known.
func (in *intake) cross(through time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if i := slices.IndexFunc(in.fences, func(f fence) bool { return f.offset == through }); i >= 0 {
		in.fences = slices.Delete(in.fences, i, i+1)
	}
}

// close takes in nothing more, passes on what is held back and half-closes the stream, whose last results follow. Of
// speech that the client will send again words are left out that may have been cut.
func (in *intake) close(ctx context.Context, again bool) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil
	}
	in.closed = true
	in.silence.Stop()
	in.again, in.broken = again, again && in.gate.Speaking()
	in.gate.Flush(func(c vad.Chunk) { in.pass(ctx, c) })
	in.limit = max(in.flushed, duration(in.sent)-suspect)
	in.send(ctx)
	in.note(in.stream.CloseSend(ctx))
	return in.err
}

// locate gives the times at which a word was said. One that is final is later than those before, and earlier than those
// of the session that goes on from here.
func (in *intake) locate(start, end time.Duration, final bool) (from, to time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	from, to = in.timeline.at(start), in.timeline.end(end)
	if late := in.told.Sub(from); final && late > 0 {
		from, to = from.Add(late), to.Add(late) // the clock was put back in between
	}
	if to.Before(from) {
		to = from
	}
	if final {
		in.told = to
	}
	return from, to
}

// take gives what counts of a result, and up to where in what was sent a final one, or the end of all results, makes the
// words known. The answer to a finalize knows all that was sent before, whatever its times say.
func (in *intake) take(result stt.Result, last bool) (stt.Result, time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	sent := duration(in.sent)
	in.heard = max(in.heard, min(result.End, sent))
	for i := range result.Words { // nothing was said that was not sent
		w := &result.Words[i]
		w.Start, w.End = min(w.Start, sent), min(w.End, sent)
	}
	through := result.End
	for _, f := range in.asked {
		if result.Flushed && f.offset <= result.End+rounding {
			through = max(through, f.offset)
		}
	}
	if last {
		through = sent
	}
	if in.broken {
		result.Words = in.whole(result.Words)
		through = min(through, in.limit)
	}
	return result, min(through, sent)
}

// whole gives the words before the first that may have been cut, where the limit is then.
func (in *intake) whole(words []stt.Word) []stt.Word {
	for i, w := range words {
		if w.End <= in.limit {
			continue
		}
		in.limit = max(in.flushed, min(in.limit, w.Start))
		if i > 0 {
			in.limit = max(in.limit, words[i-1].End)
		}
		return words[:i]
	}
	return words
}

// mark gives how far the audio that is known goes beyond a sample, and when that sample was said: so that what follows
// on the known comes after the words that were told, though the clock has been put back since.
func (in *intake) mark(sample, known uint32) (at time.Time, beyond time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	beyond = duration(max(0, int64(known)-int64(sample)))
	if in.missing > 0 { // until the next packet it isn't known how much of that will not come
		beyond = max(0, beyond-duration(int64(in.skip)))
	}
	at = in.clock.at(duration(int64(sample) - int64(in.stored)))
	if earliest := in.told.Add(-beyond); at.Before(earliest) {
		at = earliest
	}
	return at, beyond
}
