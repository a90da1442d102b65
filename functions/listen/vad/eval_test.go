package vad

import (
	"slices"
	"testing"
)

// figures are percentages.
type figures struct {
	missed float64 // of the frames of speech, those the detector took for noise
	taken  float64 // of the frames of pause, those it took for speech
	lost   float64 // of the frames of speech, those the gate didn't pass
	passed float64 // of the frames of pause beyond pre-roll and hang-over, those it passed
}

// TestOnNoisySpeech measures detection on real speech with noise added. The figures are those in the package's
// documentation.
func TestOnNoisySpeech(t *testing.T) {
	paused, dense := newScene(t, 4*second), newScene(t, 0)
	n := len(paused.clean)
	noises := []struct {
		name  string
		noise []float64
	}{{"white", white(n)}, {"pink", pink(n)}, {"babble", babble(t, n)}}
	for _, tt := range noises {
		for _, snr := range []float64{60, 20, 10, 5, 0} {
			got := measure(paused, paused.with(tt.noise, snr))
			t.Logf("%-6s %2.0f dB: speech missed %4.1f %%, pause taken for speech %5.1f %%; by the gate: speech lost %4.2f %%, pause passed %5.1f %%",
				tt.name, snr, got.missed, got.taken, got.lost, got.passed)
			if snr < 10 {
				continue // it is as it is
			}
			checkBounds(t, got, tt.name, snr)
			got = measure(dense, dense.with(tt.noise, snr))
			if got.lost > 0.1 || got.missed > 8 {
				t.Errorf("%s at %v dB, speech without a pause: got %+v, want at most 8 %% missed and 0.1 %% lost", tt.name, snr, got)
			}
		}
	}
}

func checkBounds(t *testing.T, got figures, name string, snr float64) {
	want := figures{missed: 8, taken: 2, lost: 0.1, passed: 3}
	if name == "babble" {
		want.taken, want.passed = 100, 100 // babble is speech
	}
	if got.missed > want.missed || got.taken > want.taken || got.lost > want.lost || got.passed > want.passed {
		t.Errorf("%s at %v dB: got %+v, want at most %+v", name, snr, got, want)
	}
}

// measure runs a detector and a gate over what a scene sounds like.
func measure(s scene, mixed []int16) figures {
	frames := len(s.truth)
	d := newDetector()
	taken := make([]bool, frames)
	for i := range taken {
		taken[i] = d.speech(mixed[i*frameSize : (i+1)*frameSize])
	}
	passed := make([]bool, frames)
	g := NewGate()
	emit := func(c Chunk) {
		for i := range len(c.Samples) / frameSize {
			passed[int(c.Offset)/frameSize+i] = true
		}
	}
	g.Feed(mixed, emit)
	g.Flush(emit)

	var all, beyond, is figures
	for i := lead - preRoll/frameSize; i < frames; i++ {
		switch s.truth[i] {
		case speech:
			all.missed, is.missed = all.missed+1, is.missed+share(!taken[i])
			all.lost, is.lost = all.lost+1, is.lost+share(!passed[i])
		case pause:
			all.taken, is.taken = all.taken+1, is.taken+share(taken[i])
			near := s.truth[max(0, i-hangOver/frameSize):min(frames, i+preRoll/frameSize+1)]
			if !slices.Contains(near, speech) && !slices.Contains(near, neither) {
				beyond.passed, is.passed = beyond.passed+1, is.passed+share(passed[i])
			}
		}
	}
	return figures{
		missed: 100 * is.missed / all.missed,
		taken:  100 * is.taken / max(1, all.taken),
		lost:   100 * is.lost / all.lost,
		passed: 100 * is.passed / max(1, beyond.passed),
	}
}

func share(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
