package vad

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-audio/wav"
)

// The speech that detection is measured on: Debian's package pocketsphinx-testdata.
const librivox = "/usr/share/pocketsphinx/test/data/librivox/*.wav"

// clips reads the speech, or skips the test.
func clips(t testing.TB) [][]float64 {
	t.Helper()
	names, err := filepath.Glob(librivox)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Skipf("no speech at %s; it is in Debian's pocketsphinx-testdata", librivox)
	}
	var all [][]float64
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pcm, err := wav.NewDecoder(bytes.NewReader(file)).FullPCMBuffer() // which reads sample by sample
		if err != nil {
			t.Fatal(err)
		}
		var clip []float64
		for _, v := range pcm.Data {
			clip = append(clip, float64(v))
		}
		all = append(all, clip[:len(clip)/frameSize*frameSize])
	}
	return all
}

// What a frame of a scene holds.
type content uint8

const (
	neither content = iota // faint sounds: the rims of words, breath
	speech
	pause
)

// scene is clips of speech with pauses between, and the truth about each frame.
type scene struct {
	clean []float64
	truth []content
	level float64 // root mean square of the frames of speech
}

// lead is the pause before the first clip; what is passed in it isn't judged.
const lead = 4 * second

// newScene puts silence, of gap frames each, before, between and after the clips. Speech is what is less than 30 dB
// below the loudest frame, a pause what is more than 50 dB below it.
func newScene(t testing.TB, gap int) scene {
	var s scene
	for i, clip := range clips(t) {
		silence := gap
		if i == 0 {
			silence = lead
		}
		s.clean = append(append(s.clean, make([]float64, silence*frameSize)...), clip...)
	}
	s.clean = append(s.clean, make([]float64, gap*frameSize)...)
	var loudest float64
	for i := range len(s.clean) / frameSize {
		loudest = max(loudest, rms(s.clean[i*frameSize:(i+1)*frameSize]))
	}
	var spoken []float64
	for i := range len(s.clean) / frameSize {
		frame := s.clean[i*frameSize : (i+1)*frameSize]
		switch below := 20 * math.Log10(rms(frame)/loudest); {
		case below > -30:
			s.truth = append(s.truth, speech)
			spoken = append(spoken, frame...)
		case below < -50:
			s.truth = append(s.truth, pause)
		default:
			s.truth = append(s.truth, neither)
		}
	}
	s.level = rms(spoken)
	return s
}

// with adds noise so that speech is snr dB stronger.
func (s scene) with(noise []float64, snr float64) []int16 {
	gain := s.level / rms(noise) * math.Pow(10, -snr/20)
	mixed := make([]int16, len(s.clean))
	for i, v := range s.clean {
		mixed[i] = sample(v + gain*noise[i])
	}
	return mixed
}

func sample(v float64) int16 {
	return int16(math.Round(max(math.MinInt16, min(math.MaxInt16, v))))
}

func rms(samples []float64) float64 {
	var sum float64
	for _, v := range samples {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(samples)))
}

func white(n int) []float64 {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]float64, n)
	for i := range noise {
		noise[i] = random.NormFloat64()
	}
	return noise
}

// pink is white noise through one-pole filters an octave or two apart: -3 dB an octave, to within half a dB or so.
func pink(n int) []float64 {
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]float64, n)
	for _, hz := range []float64{10, 40, 160, 640, 2560} {
		pole := math.Exp(-2 * math.Pi * hz / sampleRate)
		gain := (1 - pole) * math.Sqrt(sampleRate/hz)
		var state float64
		for i := range noise {
			state = pole*state + gain*random.NormFloat64()
			noise[i] += state
		}
	}
	return noise
}

// babble is ten voices at once: every clip twice, end to end, from different places on.
func babble(t testing.TB, n int) []float64 {
	random := rand.New(rand.NewPCG(5, 6))
	noise := make([]float64, n)
	all := clips(t)
	for range 2 {
		for _, clip := range all {
			from := random.IntN(len(clip))
			for i := range noise {
				noise[i] += clip[(from+i)%len(clip)]
			}
		}
	}
	return noise
}
