package testspeech_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot.dev/scripts/local/testspeech"
)

type header struct {
	at, frame int
	number    uint32
}

func headers(pcm []int16) []header {
	var found []header
	for i := range pcm {
		if number, frame, ok := testspeech.Header(pcm[i:]); ok {
			found = append(found, header{i, frame, number})
		}
	}
	return found
}

func TestEveryFrameTellsItsWord(t *testing.T) {
	numbers := []uint32{0, 1, 255, 256, 1 << 31, math.MaxUint32}
	gap := 35 * time.Millisecond
	pcm := testspeech.Spaced(gap, numbers...)
	found := headers(pcm)
	if got, want := len(found), len(numbers)*testspeech.FramesPerWord; got != want {
		t.Fatalf("found %d headers, want %d", got, want)
	}
	stride := testspeech.WordSamples + int(gap*testspeech.Rate/time.Second)
	for i, got := range found {
		word, frame := i/testspeech.FramesPerWord, i%testspeech.FramesPerWord
		want := header{word*stride + frame*testspeech.FrameSamples, frame, numbers[word]}
		if got != want {
			t.Errorf("header %d: got %+v, want %+v", i, got, want)
		}
	}
	if got, want := len(pcm), len(numbers)*stride-(stride-testspeech.WordSamples); got != want {
		t.Errorf("%d samples, want %d: no silence around the words", got, want)
	}
}

func TestHeaderBearsSmallChangesAndRefusesLargeOnes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := make([]uint32, 500)
	for i := range numbers {
		numbers[i] = random.Uint32()
	}
	words := testspeech.Spaced(0, numbers...)
	for i, number := range numbers {
		pcm := words[i*testspeech.WordSamples:][:testspeech.HeaderSamples]
		for i := range pcm {
			pcm[i] += int16(random.IntN(17) - 8)
		}
		if got, _, ok := testspeech.Header(pcm); !ok || got != number {
			t.Fatalf("with changes of 8 or less: got %d %v, want %d", got, ok, number)
		}
		pcm[random.IntN(len(pcm))] += 64
		if got, _, ok := testspeech.Header(pcm); ok {
			t.Fatalf("with a sample off by two steps: read %d, want no header", got)
		}
	}
}

func TestAnyChangeShows(t *testing.T) {
	frame := testspeech.Words(5)[:testspeech.FrameSamples]
	if !testspeech.Whole(frame) {
		t.Fatal("a new frame isn't whole")
	}
	for i := testspeech.HeaderSamples; i < len(frame); i++ {
		frame[i]++
		if testspeech.Whole(frame) {
			t.Errorf("a change of sample %d doesn't show", i)
		}
		frame[i]--
	}
}

func TestNoiseHoldsNoHeader(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	pcm := make([]int16, 60*testspeech.Rate)
	for i := range pcm {
		pcm[i] = int16(random.IntN(1 << 16))
	}
	if found := headers(pcm); len(found) != 0 {
		t.Errorf("found %v in noise", found)
	}
}

func TestWordsAreLoudAndSilenceIsNot(t *testing.T) {
	if got := rms(testspeech.Words(7)); got < 2000 {
		t.Errorf("a word's level is %.0f, want 2000 or more", got)
	}
	if got := rms(testspeech.Silence(time.Second)); got > 10 {
		t.Errorf("the silence's level is %.0f, want 10 or less", got)
	}
	if got, want := len(testspeech.Silence(250*time.Millisecond)), 4000; got != want {
		t.Errorf("250 ms of silence are %d samples, want %d", got, want)
	}
}

func TestBytesAreLittleEndian(t *testing.T) {
	data := testspeech.Bytes([]int16{-2, 258})
	if got := int16(binary.LittleEndian.Uint16(data)); len(data) != 4 || got != -2 || data[2] != 2 || data[3] != 1 {
		t.Errorf("got % x, want fe ff 02 01", data)
	}
}

func rms(pcm []int16) float64 {
	sum := 0.0
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}

func FuzzHeader(f *testing.F) {
	f.Add(testspeech.Bytes(testspeech.Words(42)[:testspeech.HeaderSamples]))
	f.Add([]byte{1, 2, 3})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		pcm := make([]int16, len(data)/2)
		for i := range pcm {
			pcm[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
		}
		if _, index, ok := testspeech.Header(pcm); ok && (index < 0 || index >= testspeech.FramesPerWord) {
			t.Errorf("frame %d of a word", index)
		}
	})
}

// Wherever a frame falls silent, it isn't whole.
func TestSilenceWithinAFrameShows(t *testing.T) {
	word := testspeech.Words(1)
	for begin := 0; begin < len(word); begin += testspeech.FrameSamples {
		for from := testspeech.HeaderSamples; from < testspeech.FrameSamples; from++ {
			frame := slices.Clone(word[begin : begin+testspeech.FrameSamples])
			clear(frame[from:])
			if testspeech.Whole(frame) {
				t.Errorf("silent from sample %d of the frame at %d on, and whole", from, begin)
			}
		}
	}
}
