package vad

import "math"

const (
	begin = 0.5  // speech begins when the score is over it
	end   = 0.25 // and ends when it is under it

	// What one frame counts at most. A click, however loud, is over before it has made a score; speech lasts.
	most = 1.5
)

// detector decides frame by frame whether there is speech. It is the likelihood ratio test of Sohn, Kim and Sung
// ("A statistical model-based voice activity detection", 1999) on bands: how much likelier is this spectrum as
// speech and noise than as noise alone, both taken as Gaussian, with the a priori signal-to-noise ratio tracked by
// the decision-directed rule of Ephraim and Malah (1984).
type detector struct {
	samples [windowSize]float32
	noise   *noise
	clean   [bands]float64 // speech over noise in the frame before, as estimated
	score   float64        // the mean of the bands' log likelihood ratios, over about 60 ms
	active  bool
}

func newDetector() *detector {
	return &detector{noise: newNoise()}
}

// speech takes the next frame of frameSize samples and says whether there is speech in it.
func (d *detector) speech(frame []int16) bool {
	copy(d.samples[:], d.samples[frameSize:])
	for i, v := range frame {
		d.samples[windowSize-frameSize+i] = float32(v)
	}
	var power [bands]float64
	tables.power(&d.samples, &power)
	d.noise.follow(&power)
	d.score += 0.15 * (min(d.likelihood(&power), most) - d.score)
	threshold := begin
	if d.active {
		threshold = end
	}
	d.active = d.score > threshold
	return d.active
}

// likelihood is the mean log likelihood ratio of speech over noise.
func (d *detector) likelihood(power *[bands]float64) float64 {
	var sum float64
	product := 1.0 // one logarithm of it does for all
	for b, p := range power {
		posterior := p / d.noise.power[b]
		prior := max(0.9*d.clean[b]+0.1*(posterior-1), 0.003)
		gain := prior / (1 + prior)
		d.clean[b] = gain * gain * posterior
		sum += posterior * gain
		product *= 1 + prior
	}
	return (sum - math.Log(product)) / bands
}
