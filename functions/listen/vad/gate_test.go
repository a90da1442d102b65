package vad

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Where audio stops at the beginning of a word that isn't known for one yet, and comes on later, nothing of the word is
// passed on before, and all of it after.
func TestPauseLeavesWordsWhole(t *testing.T) {
	const known = onset / frameSize // frames that it takes to know a word for speech
	for quiet := range 130 {
		for begun := range known {
			gate := newGate((&script{frames: slices.Concat(
				slices.Repeat([]bool{true}, 20), make([]bool, quiet+known), slices.Repeat([]bool{true}, 20),
			)}).speech)
			word := (20 + quiet) * frameSize
			input, stop := numbered(word+(known+20)*frameSize), word+begun*frameSize
			passed, restarted := int64(0), int64(-1)
			emit := func(c Chunk) {
				if passed = c.Offset + int64(len(c.Samples)); c.Start && passed > int64(stop) {
					restarted = c.Offset
				}
			}
			gate.Feed(input[:stop], emit)
			if gate.InWord() {
				continue // who feeds it waits
			}
			gate.Pause(emit)
			before := passed
			gate.Feed(input[stop:], emit)
			if before > int64(word) || restarted > int64(word) || restarted < 0 {
				t.Errorf("%d frames of quiet, %d of a word that begins at %d: passed on up to %d, and then from %d",
					quiet, begun, word, before, restarted)
			}
		}
	}
}

// Whatever is said and however the audio is cut: each stretch of speech is passed from 300 ms before its first
// frame to 700 ms after its last one, every sample of it once, and nothing else is. What begins within 100 ms of that goes on.
func TestGatePassesSpeechAndItsSurroundings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var frames []bool
		for range rapid.IntRange(1, 8).Draw(t, "stretches") {
			frames = append(frames, make([]bool, rapid.IntRange(0, 150).Draw(t, "silence"))...)
			frames = append(frames, slices.Repeat([]bool{true}, rapid.IntRange(0, 40).Draw(t, "speech"))...)
		}
		input := numbered(len(frames)*frameSize + rapid.IntRange(0, frameSize-1).Draw(t, "rest"))
		longest := rapid.SampledFrom([]int{1, 50, 160, 320, 5000, 50000}).Draw(t, "longest feed")

		gate, got := newGate((&script{frames: frames}).speech), collector{t: t, input: input}
		for rest := input; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(max(1, longest/2), longest).Draw(t, "feed"))
			gate.Feed(rest[:n], got.emit)
			if gate.Speaking() != got.inside {
				t.Fatalf("Speaking is %t, between a Start and its End is %t", gate.Speaking(), got.inside)
			}
			rest = rest[n:]
		}
		gate.Flush(got.emit)

		if want := spans(frames, len(input)); !slices.Equal(got.spans, want) {
			t.Fatalf("got %v, want %v", got.spans, want)
		}
		spoken := 0
		for _, speech := range frames {
			if speech {
				spoken++
			}
		}
		if want := time.Duration(spoken) * 10 * time.Millisecond; gate.Speech() != want {
			t.Fatalf("Speech: got %v, want %v", gate.Speech(), want)
		}
	})
}

// After a Flush the gate goes on, and nothing is passed again.
func TestGateGoesOnAfterFlush(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frames := rapid.SliceOfN(rapid.Bool(), 0, 400).Draw(t, "frames")
		input := numbered(len(frames) * frameSize)
		gate, got := newGate((&script{frames: frames}).speech), collector{t: t, input: input}
		for rest := input; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "feed")
			gate.Feed(rest[:n], got.emit)
			gate.Flush(got.emit)
			if gate.Speaking() || got.inside {
				t.Fatal("speech goes on after Flush")
			}
			rest = rest[n:]
		}
	})
}

func TestGateAtItsLimits(t *testing.T) {
	silence := func(frames int) []bool { return make([]bool, frames) }
	word := []bool{true}
	const ms = sampleRate / 1000
	tests := []struct {
		name   string
		frames []bool
		want   [][2]int64
	}{
		{"nothing", nil, nil},
		{"silence", silence(500), nil},
		{"a word at once", slices.Concat(word, silence(200)), [][2]int64{{0, 710 * ms}}},
		{"pre-roll", slices.Concat(silence(100), word, silence(200)), [][2]int64{{700 * ms, 1710 * ms}}},
		{"less than the pre-roll", slices.Concat(silence(20), word, silence(200)), [][2]int64{{0, 910 * ms}}},
		{"a pause just bridged", slices.Concat(word, silence(79), word, silence(200)), [][2]int64{{0, 1510 * ms}}},
		{"a pause just too long", slices.Concat(word, silence(80), word, silence(200)), [][2]int64{{0, 710 * ms}, {710 * ms, 1520 * ms}}},
		{"pre-roll cut by the hang-over", slices.Concat(word, silence(90), word, silence(200)), [][2]int64{{0, 710 * ms}, {710 * ms, 1620 * ms}}},
		{"pre-roll just whole", slices.Concat(word, silence(101), word, silence(200)), [][2]int64{{0, 710 * ms}, {720 * ms, 1730 * ms}}},
		{"the end in the hang-over", slices.Concat(word, silence(30)), [][2]int64{{0, 310 * ms}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			input := numbered(len(tt.frames) * frameSize)
			gate, got := newGate((&script{frames: tt.frames}).speech), collector{t: t, input: input}
			gate.Feed(input, got.emit)
			gate.Flush(got.emit)
			if !slices.Equal(got.spans, tt.want) {
				t.Errorf("got %v, want %v", got.spans, tt.want)
			}
		})
	}
}

// However much is fed at once, the gate holds on to no more than it needs.
func TestGateIsBounded(t *testing.T) {
	for _, speech := range []bool{true, false} {
		gate := newGate(func([]int16) bool { return speech })
		gate.Feed(make([]int16, 10*sampleRate), func(c Chunk) {
			if len(c.Samples) > room {
				t.Errorf("a chunk of %d samples, want %d at most", len(c.Samples), room)
			}
		})
		if cap(gate.held) != room {
			t.Errorf("speech %t: there is room for %d samples now, want %d", speech, cap(gate.held), room)
		}
	}
}

// spans says which samples are to be passed for frames of speech.
func spans(frames []bool, samples int) [][2]int64 {
	var all [][2]int64
	for i, speech := range frames {
		if !speech {
			continue
		}
		from, to := int64(max(0, i*frameSize-preRoll)), int64(min(samples, (i+1)*frameSize+hangOver))
		if n := len(all); n > 0 && int64(i*frameSize) < all[n-1][1]+onset {
			all[n-1][1] = to
		} else if n > 0 {
			all = append(all, [2]int64{max(from, all[n-1][1]), to})
		} else {
			all = append(all, [2]int64{from, to})
		}
	}
	return all
}

// script is a detector that says what it is told, frame by frame, and silence after that.
type script struct {
	frames []bool
	next   int
}

func (s *script) speech([]int16) bool {
	s.next++
	return s.next <= len(s.frames) && s.frames[s.next-1]
}

// collector checks what every gate promises of its chunks, and notes from where to where speech was passed.
type collector struct {
	t interface {
		Helper()
		Fatalf(string, ...any)
	}
	input  []int16
	inside bool // between a Start and its End
	spans  [][2]int64
	next   int64 // the sample after those passed
}

func (c *collector) emit(chunk Chunk) {
	c.t.Helper()
	switch {
	case chunk.Start == c.inside:
		c.t.Fatalf("chunk at %d: Start is %t, with speech going on: %t", chunk.Offset, chunk.Start, c.inside)
	case chunk.Offset < c.next || c.inside && chunk.Offset != c.next:
		c.t.Fatalf("chunk at %d after one up to %d, with speech going on: %t", chunk.Offset, c.next, c.inside)
	case len(chunk.Samples) == 0 && !chunk.End:
		c.t.Fatalf("chunk at %d: empty", chunk.Offset)
	case !slices.Equal(chunk.Samples, c.input[chunk.Offset:][:len(chunk.Samples)]):
		c.t.Fatalf("chunk at %d: not the %d samples that were fed there", chunk.Offset, len(chunk.Samples))
	}
	if chunk.Start {
		c.spans = append(c.spans, [2]int64{chunk.Offset, 0})
	}
	c.next = chunk.Offset + int64(len(chunk.Samples))
	c.spans[len(c.spans)-1][1] = c.next
	c.inside = !chunk.End
}

// numbered are samples that differ from those nearby.
func numbered(n int) []int16 {
	samples := make([]int16, n)
	for i := range samples {
		samples[i] = int16(i)
	}
	return samples
}
