package sphinx

import "math"

// step is how much audio is judged at once, in samples: 20 ms.
const step = rate / 50

// The judgement, in dB of full scale.
const (
	above   = 9.0   // speech is so much louder than the noise
	floor   = -65.0 // the noise is taken to be no quieter than this
	ceiling = -35.0 // and no louder
	rising  = 0.06  // how fast the estimate of the noise follows upwards in a step: 3 dB a second
)

// level tells speech from pauses by loudness against a noise floor that it follows: down at once, up slowly.
type level struct {
	noise float64
}

func newLevel() level { return level{noise: floor + 10} }

// speech reports whether the samples are louder than the noise.
func (l *level) speech(pcm []int16) bool {
	sum := 0.0
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	loudness := 10 * math.Log10(sum/float64(len(pcm))/(1<<30)+1e-12)
	l.noise = min(max(min(l.noise+rising, loudness), floor), ceiling)
	return loudness > l.noise+above
}
