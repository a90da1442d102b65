package deepgram_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/testspeech"
)

// hear streams the audio in pieces of random length and gives the words of the finals, after checking what must hold
// of them.
func hear(t testing.TB, random *rand.Rand, pcm []int16) []string {
	t.Helper()
	d, err := deepgram.Exact{}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var words []string
	var end, spoken time.Duration
	check := func(h deepgram.Hypothesis) {
		if h.Start != end || h.End < h.Start {
			t.Errorf("a hypothesis from %v to %v, want it from %v", h.Start, h.End, end)
		}
		if !h.Final {
			return
		}
		end = h.End
		for _, w := range h.Words {
			if w.Start < spoken || w.End < w.Start || w.End > h.End {
				t.Errorf("the word %+v after %v, in %v to %v", w, spoken, h.Start, h.End)
			}
			spoken = w.End
			words = append(words, w.Text)
		}
	}
	for len(pcm) > 0 {
		n := min(1+random.IntN(3000), len(pcm))
		found, err := d.Decode(pcm[:n])
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range found {
			check(h)
		}
		pcm = pcm[n:]
	}
	last, err := d.Flush()
	if err != nil {
		t.Fatal(err)
	}
	check(last)
	return words
}

// Whatever single stretch is cut out of the audio or silenced, the words outside of it are heard, those that it
// touches are heard as broken, or, when no header of theirs is left, not at all.
func TestAnyCutShows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	numbers := []uint32{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}
	for range 150 {
		gap := time.Duration(random.IntN(600)) * time.Millisecond
		whole := testspeech.Spaced(gap, numbers...)
		from := random.IntN(len(whole))
		to := min(len(whole), from+random.IntN(2*testspeech.WordSamples))
		pcm := slices.Concat(whole[:from], whole[to:])
		if random.IntN(2) == 0 {
			pcm = slices.Clone(whole)
			clear(pcm[from:to])
		}
		var want []string
		stride := testspeech.WordSamples + int(gap*testspeech.Rate/time.Second)
		for i, number := range numbers {
			begin := i * stride
			if to <= begin || from >= begin+testspeech.WordSamples || from == to {
				want = append(want, testspeech.Text(number))
				continue
			}
			for frame := range testspeech.FramesPerWord {
				header := begin + frame*testspeech.FrameSamples
				if to <= header || from >= header+testspeech.HeaderSamples {
					want = append(want, testspeech.BrokenText(number))
					break
				}
			}
		}
		if got := hear(t, random, pcm); !slices.Equal(got, want) {
			t.Fatalf("without samples %d to %d, gap %v: got %q, want %q", from, to, gap, got, want)
		}
	}
}

func FuzzExact(f *testing.F) {
	f.Add(testspeech.Bytes(testspeech.Words(1)[:800]), uint64(1))
	f.Add(testspeech.Bytes(testspeech.Spaced(0, 2, 3)[3500:4400]), uint64(2))
	f.Add([]byte{}, uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		pcm := make([]int16, len(data)/2)
		for i := range pcm {
			pcm[i] = int16(uint16(data[2*i]) | uint16(data[2*i+1])<<8)
		}
		hear(t, rand.New(rand.NewPCG(seed, 0)), pcm)
	})
}
