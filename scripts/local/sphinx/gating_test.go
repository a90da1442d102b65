package sphinx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"earshot.dev/functions/listen/vad"
	"earshot.dev/scripts/local/deepgram"
)

// TestWordsLostByGating lets the gate of functions/listen/vad hear the five clips, with pauses of 2 s, in noise, and
// counts the words that are wrong in what it passes on. PocketSphinx understands next to nothing in noise, gate or no
// gate; so what tells is the clean audio, cut where the gate cut the noisy one. The figures are in vad's documentation.
func TestWordsLostByGating(t *testing.T) {
	clean, want, level := paused(t)
	e := engine(t, 2)
	whole := mixed(clean, white(len(clean)), 0)
	allowed := errorsIn(want, heard(t, e, whole, whole, false))
	t.Logf("clean: of %d words %d wrong without the gate", len(want), allowed)
	// A pause that is cut, or noise before a word that isn't, may turn a word or two; a clip has about fourteen.
	allowed += 3
	// 20 and 5 dB, and the other noise at each, were the same when measured, and each takes ten seconds.
	for _, noise := range []struct {
		name    string
		samples []float64
		snr     float64 // dB
	}{{"white", white(len(clean)), 10}, {"pink", pink(len(clean)), 0}} {
		noisy := mixed(clean, noise.samples, level*math.Pow(10, -noise.snr/20))
		wrong := errorsIn(want, heard(t, e, noisy, whole, true))
		t.Logf("%-5s %2.0f dB: %d wrong", noise.name, noise.snr, wrong)
		if wrong > allowed {
			t.Errorf("%s at %v dB: %d of %d words wrong, want %d at most", noise.name, noise.snr, wrong, len(want), allowed)
		}
	}
}

// BenchmarkWordsInNoise recognises the very audio that the gate hears, with it and without, and the clean audio, cut as it was.
func BenchmarkWordsInNoise(b *testing.B) {
	clean, want, level := paused(b)
	e := engine(b, 2)
	whole := mixed(clean, white(len(clean)), 0)
	b.Run("clean", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(float64(errorsIn(want, heard(b, e, whole, whole, false))), "wrong-without")
			b.ReportMetric(float64(errorsIn(want, heard(b, e, whole, whole, true))), "wrong-with")
		}
	})
	for name, noise := range map[string][]float64{"white": white(len(clean)), "pink": pink(len(clean)), "babble": babble(b, len(clean))} {
		for _, snr := range []float64{20, 10, 5, 0} {
			b.Run(fmt.Sprintf("%s/%.0fdB", name, snr), func(b *testing.B) {
				noisy := mixed(clean, noise, level*math.Pow(10, -snr/20))
				for b.Loop() {
					b.ReportMetric(float64(errorsIn(want, heard(b, e, noisy, noisy, false))), "wrong-without")
					b.ReportMetric(float64(errorsIn(want, heard(b, e, noisy, noisy, true))), "wrong-with")
					b.ReportMetric(float64(errorsIn(want, heard(b, e, noisy, whole, true))), "wrong-clean")
				}
			})
		}
	}
}

// paused is the five clips with 2 s before, between and after them, the words, and how loud the clips are.
func paused(t testing.TB) (clean []float64, words []string, level float64) {
	silence := make([]float64, 2*rate)
	spoken, samples := 0.0, 0
	for _, c := range speech(t) {
		clean = append(clean, silence...)
		for _, v := range c.pcm {
			clean = append(clean, float64(v))
			spoken += float64(v) * float64(v)
		}
		samples += len(c.pcm)
		words = append(words, c.words...)
	}
	return append(clean, silence...), words, math.Sqrt(spoken / float64(samples))
}

// heard is the words in pcm: in all of it, or in what the gate passes on when it hears judged, which is as long. Then,
// as a session does it, the words become final where speech ends.
func heard(t testing.TB, e *Engine, judged, pcm []int16, gated bool) []deepgram.Word {
	return recognise(t, e, func(send func([]int16), finish func()) {
		if !gated {
			for piece := range slices.Chunk(pcm, rate/10) {
				send(piece)
			}
			return
		}
		gate := vad.NewGate()
		emit := func(c vad.Chunk) {
			send(pcm[c.Offset:][:len(c.Samples)])
			if c.End {
				finish()
			}
		}
		for piece := range slices.Chunk(judged, rate/50) {
			gate.Feed(piece, emit)
		}
		gate.Flush(emit)
	})
}

// recognise gives the final words of what feed sends.
func recognise(t testing.TB, e *Engine, feed func(send func([]int16), finish func())) []deepgram.Word {
	d, err := e.Open(t.Context())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer d.Close()
	var words []deepgram.Word
	finish := func() {
		last, err := d.Flush()
		if err != nil {
			t.Fatalf("Flush: %v", err)
		}
		words = append(words, last.Words...)
	}
	feed(func(pcm []int16) {
		found, err := d.Decode(pcm)
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		for _, h := range found {
			if h.Final {
				words = append(words, h.Words...)
			}
		}
	}, finish)
	finish()
	return words
}

// mixed adds noise of a level to clean.
func mixed(clean, noise []float64, level float64) []int16 {
	power := 0.0
	for _, v := range noise {
		power += v * v
	}
	gain := level / math.Sqrt(power/float64(len(noise)))
	pcm := make([]int16, len(clean))
	for i, v := range clean {
		pcm[i] = int16(max(math.MinInt16, min(math.MaxInt16, v+gain*noise[i])))
	}
	return pcm
}

func white(n int) []float64 {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]float64, n)
	for i := range noise {
		noise[i] = random.NormFloat64()
	}
	return noise
}

// pink falls by 3 dB an octave: white noise held for one sample, two, four and so on, and added up (Voss).
func pink(n int) []float64 {
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]float64, n)
	var rows [12]float64
	for i := range noise {
		for row := range rows {
			if i%(1<<row) == 0 {
				rows[row] = random.NormFloat64()
			}
			noise[i] += rows[row]
		}
	}
	return noise
}

// babble is ten voices at once: every clip twice, end to end, from different places on.
func babble(t testing.TB, n int) []float64 {
	random := rand.New(rand.NewPCG(5, 6))
	noise := make([]float64, n)
	for _, c := range slices.Repeat(speech(t), 2) {
		from := random.IntN(len(c.pcm))
		for i := range noise {
			noise[i] += float64(c.pcm[(from+i)%len(c.pcm)])
		}
	}
	return noise
}
