package vad

import (
	"math"
	"slices"
)

const (
	quietest = 1e-7 // of full scale, per bin: -70 dB. What is fainter is silence
	second   = sampleRate / frameSize

	settle = 15 // frames until the first powers are smooth

	meanFrames = 30 // over which the mean excess is taken: the pause between two phrases
	falling    = -0.5
	maxExcess  = 2.0 // what the mean excess may raise the noise by, as a natural logarithm: 8.7 dB
)

// noise estimates the power of the background in each band. It knows nothing of what is speech: in the pauses, and
// between the harmonics, of every voice the background shows, so that it is what the power falls back to.
//
// The least power of the last one to two seconds is too low an estimate of the background's mean; by how much
// depends on how much the background varies. That is measured: it is the least, over four seconds, of the mean by
// which the power exceeds the minimum for 300 ms, which is to say, in a pause.
type noise struct {
	power [bands]float64 // the estimate

	smooth [bands]float64 // power, over about 30 ms
	least  [bands]float64 // the minimum of smooth in the second before this one
	low    [bands]float64 // the minimum of smooth in this second

	excess [meanFrames]float64 // ln of power over minimum, mean of the bands, of the last frames
	sum    float64             // of excess
	usual  [4]float64          // the least mean excess in each of the last seconds
	frame  int
}

// newNoise starts as if all before had been silence: what comes first is taken for speech until a second of it has
// been heard.
func newNoise() *noise {
	n := &noise{sum: meanFrames * maxExcess}
	for i := range n.excess {
		n.excess[i] = maxExcess
	}
	for i := range n.usual {
		n.usual[i] = maxExcess
	}
	for b := range bands {
		n.least[b], n.low[b] = quietest, math.Inf(1)
	}
	return n
}

// follow takes the power of the next frame into account.
func (n *noise) follow(power *[bands]float64) {
	if n.frame == 0 {
		n.smooth = *power
	}
	above := 1.0 // by what factor, all bands multiplied
	for b, p := range power {
		p = max(p, quietest)
		n.smooth[b] += 0.3 * (p - n.smooth[b])
		if n.frame >= settle {
			n.low[b] = min(n.low[b], n.smooth[b])
		}
		n.power[b] = max(quietest, min(n.least[b], n.low[b]))
		above *= p / n.power[b]
	}
	raise := math.Exp(n.usualExcess(math.Log(above) / bands))
	for b := range n.power {
		n.power[b] *= raise
	}
	if n.frame++; n.frame%second == 0 {
		n.least, n.low = n.low, n.smooth
	}
}

// usualExcess takes the excess of the next frame and gives the least mean there was.
func (n *noise) usualExcess(excess float64) float64 {
	if excess == 0 || excess < falling {
		excess = maxExcess // digital silence, or a sudden fall: neither tells how much the background varies
	}
	oldest := &n.excess[n.frame%meanFrames]
	n.sum += excess - *oldest
	*oldest = excess
	this := &n.usual[n.frame/second%len(n.usual)]
	if n.frame%second == 0 {
		*this = maxExcess
	}
	*this = min(*this, n.sum/meanFrames)
	return slices.Min(n.usual[:])
}
