// Package stttest has a recogniser for tests that is exact: its audio says which words it holds, so that a test can
// tell each word that is lost, doubled, broken or out of order, and its faults come when the test wants them.
//
// Audio is 16 bit PCM at 8 kHz. A word lasts 240 ms, and each of its samples says which word it is and which
// sixteenth of it: number<<4 | sixteenth. Silence is zeros. Word 7 is "w7" if it was heard whole, else "w7?".
package stttest

import (
	"encoding/binary"
	"strconv"
	"time"

	"earshot.dev/functions/listen/stt"
)

// The shape of the audio.
const (
	Rate         = 8000 // Hz
	WordDuration = 240 * time.Millisecond
	wordSamples  = 1920
	partSamples  = wordSamples / 16
)

// Word is the audio of a word; numbers are 1 to 4095.
func Word(number int) []byte {
	pcm := make([]byte, 0, 2*wordSamples)
	for i := range wordSamples {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(number<<4|i/partSamples))
	}
	return pcm
}

// Silence is audio without a word.
func Silence(d time.Duration) []byte { return make([]byte, 2*int(d*Rate/time.Second)) }

// Text is what is heard of a whole word.
func Text(number int) string { return "w" + strconv.Itoa(number) }

// The habits of an Ear.
const (
	pause   = 300 * time.Millisecond // of silence, after which words are final
	longest = 3 * time.Second        // without a pause, after which whole words are final
)

// Ear hears words in audio.
type Ear struct {
	at    int // samples heard
	final int // where the last final ended
	words []stt.Word

	number int // the word that is being heard, 0 for none
	begin  int // where it began
	whole  bool
}

// Hear takes audio, and gives the final result that is due, if one is.
func (e *Ear) Hear(pcm []byte) (stt.Result, bool) {
	for i := 0; i+1 < len(pcm); i += 2 {
		e.sample(binary.LittleEndian.Uint16(pcm[i:]))
	}
	last := e.final
	if n := len(e.words); n > 0 {
		last = samples(e.words[n-1].End)
	}
	switch {
	case len(e.words) > 0 && e.number == 0 && offset(e.at-last) >= pause:
		return e.finish(e.at), true
	case len(e.words) > 0 && offset(e.at-e.final) >= longest:
		return e.finish(last), true
	case len(e.words) == 0 && e.number == 0 && offset(e.at-e.final) >= longest:
		return e.finish(e.at), true
	}
	return stt.Result{}, false
}

func (e *Ear) sample(v uint16) {
	number, part := int(v>>4), int(v&15)
	if e.number != 0 && (number != e.number || e.at-e.begin == wordSamples) {
		e.end()
	}
	if number != 0 && e.number == 0 {
		e.number, e.begin, e.whole = number, e.at, part == 0
	}
	if e.number != 0 && part != (e.at-e.begin)/partSamples {
		e.whole = false
	}
	e.at++
}

func (e *Ear) end() {
	text := Text(e.number)
	if !e.whole || e.at-e.begin != wordSamples {
		text += "?"
	}
	e.words = append(e.words, stt.Word{Text: text, Start: offset(e.begin), End: offset(e.at), Speaker: stt.UnknownSpeaker})
	e.number = 0
}

// Interim is what is heard since the last final.
func (e *Ear) Interim() stt.Result {
	r := stt.Result{Start: offset(e.final), End: offset(e.at)}
	r.Words = append(r.Words, e.words...)
	return r
}

// Flush makes all final that was heard.
func (e *Ear) Flush() stt.Result {
	if e.number != 0 {
		e.end()
	}
	r := e.finish(e.at)
	r.Flushed = true
	return r
}

func (e *Ear) finish(through int) stt.Result {
	r := stt.Result{Words: e.words, Start: offset(e.final), End: offset(through), Final: true}
	e.words, e.final = nil, through
	return r
}

func offset(samples int) time.Duration { return time.Duration(samples) * time.Second / Rate }

func samples(offset time.Duration) int { return int(offset * Rate / time.Second) }
