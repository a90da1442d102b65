package vad

import "time"

const (
	sampleRate = 16000                   // Hz, of all audio here
	preRoll    = sampleRate * 300 / 1000 // samples
	hangOver   = sampleRate * 700 / 1000 // samples
	room       = preRoll + sampleRate/10 // samples that are held at most

	// onset is how much of a word may have come before it is known for speech, in samples. So much is held back once
	// there is a pause, so that speech that ends then doesn't take the beginning of the next word with it.
	onset = sampleRate * 100 / 1000
	// breath is for how long no word is quiet, in samples.
	breath = sampleRate * 300 / 1000
)

// Chunk is a stretch of audio that is to be passed on.
type Chunk struct {
	Samples []int16 // valid during the call only
	Offset  int64   // of the first sample, counted from the gate's first
	Start   bool    // with it, speech starts after a pause
	End     bool    // with it, speech has ended
}

// Gate passes on speech, with the 300 ms before it and the 700 ms after it, and keeps the rest. It is for one
// goroutine.
//
// No sample is passed on twice or out of order, and the chunks from a Start to its End join without a gap. Until a
// gate has heard a second of audio it takes sound of any kind for speech, so that first words aren't lost.
type Gate struct {
	speech func(frame []int16) bool // says so of the next frameSize samples

	held   []int16 // not passed on, and not too old to be
	offset int64   // of held[0]
	judged int     // samples of held that are in whole frames
	open   bool    // then the judged ones are to be passed on
	start  bool    // the next chunk is a Start
	after  int     // samples since the last frame of speech
	heard  int64   // samples in frames of speech
}

// NewGate returns a closed gate.
func NewGate() *Gate {
	return newGate(newDetector().speech)
}

func newGate(speech func([]int16) bool) *Gate {
	return &Gate{speech: speech, held: make([]int16, 0, room)}
}

// Feed takes 16 kHz samples, any number of them, and calls emit for each chunk that is to be passed on.
func (g *Gate) Feed(samples []int16, emit func(Chunk)) {
	for len(samples) > 0 {
		n := min(len(samples), frameSize-(len(g.held)-g.judged))
		g.held = append(g.held, samples[:n]...)
		samples = samples[n:]
		if len(g.held)-g.judged == frameSize {
			g.judge(emit)
		}
	}
	if n := g.ready(); g.open && n > 0 {
		g.pass(n, false, emit)
	}
}

// Flush ends the speech that is going on, if any, and passes on what is left of it. That may be nothing: then the
// End comes with an empty chunk. More audio may follow.
func (g *Gate) Flush(emit func(Chunk)) {
	if !g.open {
		return
	}
	if g.after < hangOver {
		g.judged = len(g.held)
	}
	g.pass(g.judged-max(0, g.after-hangOver), true, emit)
}

// Pause is like Flush where no audio has come for a while: it may go on with a word that has just begun, so what is
// held back stays.
func (g *Gate) Pause(emit func(Chunk)) {
	if g.open {
		g.pass(g.ready(), true, emit)
	}
}

// Forget lets go of what is kept while nobody speaks, since what comes next doesn't join on to it.
func (g *Gate) Forget() {
	if !g.open {
		g.drop(len(g.held))
		g.judged = 0
	}
}

// InWord says whether the last of the audio may be in the middle of a word of which some was passed on.
func (g *Gate) InWord() bool { return g.open && g.after < breath+onset }

// Speaking says whether speech is going on, up to the end of the 700 ms after it.
func (g *Gate) Speaking() bool { return g.open }

// Held is how many samples are kept that may yet be passed on.
func (g *Gate) Held() int64 { return int64(len(g.held)) }

// Quiet is how long ago the last speech was, in the audio.
func (g *Gate) Quiet() time.Duration { return time.Duration(g.after) * time.Second / sampleRate }

// Speech is how much speech there has been, without what is passed on before and after it.
func (g *Gate) Speech() time.Duration {
	return time.Duration(g.heard) * time.Second / sampleRate
}

// judge decides on the frame that has become complete.
func (g *Gate) judge(emit func(Chunk)) {
	if g.speech(g.held[g.judged:]) {
		if !g.open {
			g.drop(max(0, g.judged-preRoll))
			g.open, g.start = true, true
		}
		g.heard += frameSize
		g.after = 0
	} else {
		g.after += frameSize
	}
	g.judged += frameSize
	full := len(g.held)+frameSize > room
	switch {
	case g.open && g.after == hangOver+onset:
		g.pass(g.ready(), true, emit)
	case g.open && full:
		g.pass(g.ready(), false, emit)
	case full:
		g.drop(g.judged - preRoll)
	}
}

// ready is how many of the samples that are held belong to the speech that is going on, whatever follows.
func (g *Gate) ready() int { return g.judged - min(onset, max(0, g.after-breath)) }

// pass emits the first n samples that are held.
func (g *Gate) pass(n int, end bool, emit func(Chunk)) {
	emit(Chunk{Samples: g.held[:n], Offset: g.offset, Start: g.start, End: end})
	g.drop(n)
	g.start = false
	if end {
		g.open = false
	}
}

// drop lets go of the first n samples that are held.
func (g *Gate) drop(n int) {
	g.held = g.held[:copy(g.held, g.held[n:])]
	g.offset += int64(n)
	g.judged -= n
}
