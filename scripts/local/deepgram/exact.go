package deepgram

import (
	"context"
	"slices"
	"time"

	"earshot.dev/scripts/local/testspeech"
)

// When the exact engine makes its words final, and when it shows them, in samples.
const (
	exactPause    = testspeech.Rate * 3 / 10 // silence after a word that ends an utterance
	exactLongest  = testspeech.Rate * 3      // an utterance without a pause is made final in pieces of this length
	exactEmpty    = testspeech.Rate * 5      // stretches without a word are made final in pieces of this length
	exactInterim  = testspeech.Rate / 2      // an interim result is given at least this often
	exactPatience = testspeech.WordSamples   // a word whose next frame is later than this isn't going on
)

// Exact is the engine that understands testspeech: word 7 is "w7", once, when all of its frames were heard, and "w7?"
// when some were missing. It assumes no alignment. Its times are exact to the sample.
type Exact struct{}

// Supports reports true: a number is the same in any language.
func (Exact) Supports(string) bool { return true }

// Rate is 16 kHz.
func (Exact) Rate() int { return testspeech.Rate }

// Open gives a decoder at once.
func (Exact) Open(context.Context) (Decoder, error) { return &exactDecoder{}, nil }

type exactDecoder struct {
	unread []int16 // less than a frame, still to be read with what follows
	at     int     // samples read: the position of unread[0]

	word    partialWord
	words   []Word // complete, since the last final
	final   int    // end of the last final, in samples
	shown   int    // words in the last interim result
	shownAt int    // when that was, in samples
}

// partialWord is the word that is being heard. The zero value is none.
type partialWord struct {
	heard  bool
	number uint32
	begin  int // samples
	next   int // the index of the frame that is due
	due    int // where it is due, in samples: the end of the last one
	broken bool
}

func (d *exactDecoder) Decode(pcm []int16) ([]Hypothesis, error) {
	var found []Hypothesis
	for part := range slices.Chunk(pcm, testspeech.FrameSamples) {
		d.read(part)
		if h, ok := d.certain(); ok {
			found = append(found, h)
		}
	}
	if len(d.words) > d.shown || d.at-max(d.final, d.shownAt) >= exactInterim {
		d.shown, d.shownAt = len(d.words), d.at
		found = append(found, d.hypothesis(max(d.at, d.final)))
	}
	return found, nil
}

// read finds the frames in what is known so far.
func (d *exactDecoder) read(pcm []int16) {
	d.unread = append(d.unread, pcm...)
	i := 0
	for i+testspeech.HeaderSamples <= len(d.unread) {
		number, index, ok := testspeech.Header(d.unread[i:])
		if !ok {
			i++
			continue
		}
		if len(d.unread)-i < testspeech.FrameSamples {
			break
		}
		if testspeech.Whole(d.unread[i:][:testspeech.FrameSamples]) {
			d.frame(number, index, d.at+i, true)
			i += testspeech.FrameSamples
		} else {
			d.frame(number, index, d.at+i, false)
			i += testspeech.HeaderSamples // the next frame may begin within
		}
	}
	d.at += i
	d.unread = append(d.unread[:0], d.unread[i:]...)
	if d.word.heard && d.at >= d.word.due+exactPatience {
		d.end(true)
	}
}

// frame takes a frame that begins at the sample.
func (d *exactDecoder) frame(number uint32, index, at int, whole bool) {
	w := &d.word
	if w.heard && (number != w.number || index < w.next) {
		d.end(true)
	}
	if !w.heard {
		begin := max(at-index*testspeech.FrameSamples, d.final, d.lastEnd())
		*w = partialWord{heard: true, number: number, begin: begin, broken: index != 0, due: at}
	}
	w.broken = w.broken || !whole || index != w.next || at != w.due
	w.next, w.due = index+1, at+testspeech.FrameSamples
	if !whole {
		w.due = at + testspeech.HeaderSamples // all that is certain
	}
	if w.next == testspeech.FramesPerWord {
		d.end(false)
	}
}

func (d *exactDecoder) end(broken bool) {
	w := d.word
	text := testspeech.Text(w.number)
	if broken || w.broken {
		text = testspeech.BrokenText(w.number)
	}
	d.words = append(d.words, Word{Text: text, Start: offset(w.begin), End: offset(w.due), Confidence: 1})
	d.word = partialWord{}
}

// certain gives the final that is due, if one is.
func (d *exactDecoder) certain() (Hypothesis, bool) {
	through := d.at
	switch {
	case len(d.words) == 0:
		if d.word.heard {
			through = d.word.begin
		}
		if through-d.final < exactEmpty {
			return Hypothesis{}, false
		}
		return d.finish(through, false), true
	case !d.word.heard && through-d.lastEnd() >= exactPause:
		return d.finish(through, true), true
	case through-d.final >= exactLongest:
		return d.finish(d.lastEnd(), false), true
	}
	return Hypothesis{}, false
}

// lastEnd is the end of the last word, in samples.
func (d *exactDecoder) lastEnd() int {
	if len(d.words) == 0 {
		return 0
	}
	return int(d.words[len(d.words)-1].End * testspeech.Rate / time.Second)
}

func (d *exactDecoder) Flush() (Hypothesis, error) {
	through := d.at + len(d.unread)
	if number, index, ok := testspeech.Header(d.unread); ok {
		d.frame(number, index, d.at, false)
		d.at, d.unread = through, d.unread[:0]
	}
	if d.word.heard {
		d.end(true)
	}
	return d.finish(through, true), nil
}

func (d *exactDecoder) finish(through int, pause bool) Hypothesis {
	h := d.hypothesis(through)
	h.Final, h.Pause = true, pause
	d.final, d.words, d.shown = through, nil, 0
	return h
}

func (d *exactDecoder) hypothesis(through int) Hypothesis {
	return Hypothesis{Words: slices.Clone(d.words), Start: offset(d.final), End: offset(through)}
}

func (*exactDecoder) Close() {}

// offset is the time of a sample.
func offset(samples int) time.Duration {
	return time.Duration(samples) * time.Second / testspeech.Rate
}
