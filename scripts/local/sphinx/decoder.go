package sphinx

import (
	"slices"
	"time"

	"earshot.dev/scripts/local/deepgram"
)

// When an utterance ends, and how often its words are shown.
const (
	pause       = 400 * time.Millisecond // ends an utterance with speech in it
	shortPause  = 120 * time.Millisecond // ends one that is long
	long        = 10 * time.Second
	longest     = 20 * time.Second       // ends in mid word if it must
	quiet       = 5 * time.Second        // ends an utterance without speech
	interim     = 300 * time.Millisecond // between two looks at the words so far
	interimIdle = time.Second / 2        // between two interim results with the same words
)

// decoder cuts the audio into utterances and has the model recognise them. All of the audio goes to the model: what
// the level says decides only where an utterance ends. Positions are in samples.
type decoder struct {
	model *model
	back  func(m *model, failed bool)

	unheard []int16 // less than a step, still to come
	at      int     // heard by the model
	begin   int     // of the utterance, which is the end of the last final
	open    bool    // the model is in an utterance
	failed  bool

	level   level
	speech  int // samples of speech in the utterance
	silence int // samples since the last speech

	looked  int // when the words were last looked at
	shown   []deepgram.Word
	shownAt int
}

func newDecoder(m *model, back func(*model, bool)) *decoder {
	return &decoder{model: m, back: back, level: newLevel()}
}

func (d *decoder) Decode(pcm []int16) ([]deepgram.Hypothesis, error) {
	var found []deepgram.Hypothesis
	d.unheard = append(d.unheard, pcm...)
	whole := len(d.unheard) / step * step
	for part := range slices.Chunk(d.unheard[:whole], step) {
		if err := d.hear(part); err != nil {
			return nil, err
		}
		if d.over() {
			final, err := d.finish()
			if err != nil {
				return nil, err
			}
			found = append(found, final)
		}
	}
	d.unheard = append(d.unheard[:0], d.unheard[whole:]...)
	if h, ok := d.look(); ok {
		found = append(found, h)
	}
	return found, nil
}

func (d *decoder) hear(pcm []int16) error {
	if !d.open {
		if err := d.model.begin(); err != nil {
			return d.fail(err)
		}
		d.open = true
	}
	if err := d.model.hear(pcm); err != nil {
		return d.fail(err)
	}
	d.at += len(pcm)
	if d.level.speech(pcm) {
		d.speech += len(pcm)
		d.silence = 0
	} else {
		d.silence += len(pcm)
	}
	return nil
}

// over reports whether the utterance is.
func (d *decoder) over() bool {
	length, silence := offset(d.at-d.begin), offset(min(d.silence, d.at-d.begin))
	switch {
	case d.speech == 0:
		return length >= quiet
	case length >= long:
		return silence >= shortPause || length >= longest
	default:
		return silence >= pause
	}
}

// look gives the words so far, if they are due and new, or were not told of for a while.
func (d *decoder) look() (deepgram.Hypothesis, bool) {
	if !d.open || offset(d.at-d.looked) < interim {
		return deepgram.Hypothesis{}, false
	}
	d.looked = d.at
	words := d.words()
	if slices.Equal(words, d.shown) && offset(d.at-d.shownAt) < interimIdle {
		return deepgram.Hypothesis{}, false
	}
	d.shown, d.shownAt = words, d.at
	return deepgram.Hypothesis{Words: slices.Clone(words), Start: offset(d.begin), End: offset(d.at)}, true
}

func (d *decoder) Flush() (deepgram.Hypothesis, error) {
	if len(d.unheard) > 0 {
		if err := d.hear(d.unheard); err != nil {
			return deepgram.Hypothesis{}, err
		}
		d.unheard = d.unheard[:0]
	}
	return d.finish()
}

// finish ends the utterance, if there is one, and gives its words.
func (d *decoder) finish() (deepgram.Hypothesis, error) {
	final := deepgram.Hypothesis{Start: offset(d.begin), End: offset(d.at), Final: true}
	if d.open {
		final.Pause = offset(d.silence) >= pause
		if err := d.model.end(); err != nil {
			return deepgram.Hypothesis{}, d.fail(err)
		}
		d.open = false
		final.Words = d.words()
	}
	d.begin, d.looked, d.shownAt = d.at, d.at, d.at
	d.shown, d.speech = nil, 0
	return final, nil
}

// words is what the model heard in the utterance, with times from the connection's first sample.
func (d *decoder) words() []deepgram.Word {
	words := d.model.words()
	begin, end := offset(d.begin), offset(d.at)
	for i := range words {
		words[i].Start = min(begin+words[i].Start, end)
		words[i].End = min(begin+words[i].End, end)
	}
	return words
}

func (d *decoder) fail(err error) error {
	d.failed = true
	return err
}

func (d *decoder) Close() {
	if d.open && !d.failed {
		d.failed = d.model.end() != nil
	}
	d.back(d.model, d.failed)
}

// offset is the time of a sample.
func offset(samples int) time.Duration { return time.Duration(samples) * time.Second / rate }
