package audio

import (
	"math"
	"slices"
	"sync"
)

// The resampler's filter is a sinc under a Kaiser window. It keeps speech up to 6.8 kHz as it is (or up to 0.42 of
// the source's rate, where that is less) and lets nothing fold over that is louder than -70 dB.
const (
	crossings  = 20   // zero crossings of the sinc on each side
	attenuated = 70.0 // dB, of what lies beyond the stop band's edge
	passed     = 0.93 // the filter's middle, as part of the lower of the two Nyquist frequencies
)

// block is how many samples are resampled at once, so that the memory for it doesn't grow with the packet.
const block = 512

// bank is the filter, cut into as many phases as there are places that an output sample can have between two input
// samples. Each phase's taps are in the order of the input.
type bank struct {
	taps   int
	phases [][]float32
	step   int // input samples from one output sample to the next, whole ones
	rest   int // and phases
}

// banks are the filters of all rates, in Hz, that PCM may come at, each made when it is first used.
var banks = map[int]func() *bank{
	8000:  sync.OnceValue(func() *bank { return newBank(8000) }),
	11025: sync.OnceValue(func() *bank { return newBank(11025) }),
	12000: sync.OnceValue(func() *bank { return newBank(12000) }),
	16000: nil, // as it is
	22050: sync.OnceValue(func() *bank { return newBank(22050) }),
	24000: sync.OnceValue(func() *bank { return newBank(24000) }),
	32000: sync.OnceValue(func() *bank { return newBank(32000) }),
	44100: sync.OnceValue(func() *bank { return newBank(44100) }),
	48000: sync.OnceValue(func() *bank { return newBank(48000) }),
}

// newBank makes the filter from rate, in Hz, to SampleRate.
func newBank(rate int) *bank {
	up, down := SampleRate/gcd(rate, SampleRate), rate/gcd(rate, SampleRate)
	cutoff := passed * math.Min(1, float64(SampleRate)/float64(rate)) // 1 is the source's Nyquist frequency
	reach := crossings / cutoff                                       // input samples on each side
	b := &bank{taps: 2 * int(math.Ceil(reach)), step: down / up, rest: down % up}
	for p := range up {
		b.phases = append(b.phases, newPhase(b.taps, float64(p)/float64(up), cutoff, reach))
	}
	return b
}

// newPhase makes the taps for an output sample that lies ahead, by a part of one sample, of the middle of the window.
func newPhase(taps int, ahead, cutoff, reach float64) []float32 {
	beta := 0.1102 * (attenuated - 8.7) // Kaiser's own formula, for above 50 dB
	exact := make([]float64, taps)
	var sum float64
	for i := range exact {
		at := float64(i-taps/2+1) - ahead
		if math.Abs(at) < reach {
			exact[i] = sinc(cutoff*at) * bessel0(beta*math.Sqrt(1-at*at/(reach*reach)))
		}
		sum += exact[i]
	}
	phase := make([]float32, taps)
	for i := range phase {
		phase[i] = float32(exact[i] / sum) // a constant stays what it is, in every phase
	}
	return phase
}

// resampler turns one stream into 16 kHz. What it gives lags behind by half the filter's length, 1.3 to 2.7 ms, and
// its number is exact: after n samples at a rate it has given n*16000/rate, rounded up.
type resampler struct {
	bank   *bank
	window []float32 // the last taps-1 samples, then those at hand
	next   int       // the input sample, counted in the block at hand, that completes the next output sample
	phase  int       // of the next output sample
}

func newResampler(b *bank) *resampler {
	return &resampler{bank: b, window: make([]float32, b.taps-1+block)}
}

// append appends to dst what src completes.
func (r *resampler) append(dst, src []int16) []int16 {
	up := len(r.bank.phases)
	dst = slices.Grow(dst, len(src)*up/(r.bank.step*up+r.bank.rest)+1)
	history := r.bank.taps - 1
	for len(src) > 0 {
		n := min(len(src), block)
		for i, v := range src[:n] {
			r.window[history+i] = float32(v)
		}
		for ; r.next < n; r.next += r.bank.step {
			dst = append(dst, clip(dot(r.bank.phases[r.phase], r.window[r.next:])))
			if r.phase += r.bank.rest; r.phase >= len(r.bank.phases) {
				r.phase -= len(r.bank.phases)
				r.next++
			}
		}
		r.next -= n
		copy(r.window, r.window[n:n+history])
		src = src[n:]
	}
	return dst
}

// dot multiplies taps with as many samples; in four sums, which a processor adds up side by side.
func dot(taps, samples []float32) float32 {
	samples = samples[:len(taps)]
	var a, b, c, d float32
	for len(taps) >= 4 && len(samples) >= 4 {
		a += taps[0] * samples[0]
		b += taps[1] * samples[1]
		c += taps[2] * samples[2]
		d += taps[3] * samples[3]
		taps, samples = taps[4:], samples[4:]
	}
	for i, t := range taps {
		a += t * samples[i]
	}
	return a + b + c + d
}

// clip rounds to the nearest sample value.
func clip(v float32) int16 {
	switch {
	case v >= math.MaxInt16:
		return math.MaxInt16
	case v <= math.MinInt16:
		return math.MinInt16
	case v < 0:
		return int16(v - 0.5)
	default:
		return int16(v + 0.5)
	}
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// bessel0 is the modified Bessel function of order zero, by its power series.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / (2 * k)) * (x / (2 * k))
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
