package vad

import "math"

const (
	frameSize  = sampleRate / 100 // samples from one frame to the next: 10 ms
	windowSize = 256              // samples that a frame's spectrum is taken of, the last 16 ms
	half       = windowSize / 2
	bands      = 16
)

// edges are the borders of the bands in bins of 62.5 Hz: from 125 Hz to 7 kHz, wider upwards, much as hearing has
// them. Below lie mains hum and the sounds of handling.
var edges = [bands + 1]int{2, 4, 6, 8, 10, 12, 15, 18, 22, 26, 31, 37, 45, 55, 68, 85, 112}

// spectrum holds the constants of the transform.
type spectrum struct {
	window   [windowSize]float32 // Hann's; it brings samples of 16 bits to full scale one
	cos, sin [half]float32       // of -2πk/windowSize
	reverse  [half]uint8         // of 7 bits
}

var tables = newSpectrum() // never written again

func newSpectrum() *spectrum {
	s := new(spectrum)
	for i := range s.window {
		hann := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/windowSize)
		s.window[i] = float32(hann / math.Sqrt(0.375*windowSize) / 32768)
	}
	for k := range half {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / windowSize)
		s.sin[k], s.cos[k] = float32(sin), float32(cos)
	}
	for i := range s.reverse {
		for bit := 1; bit < half; bit *= 2 {
			s.reverse[i] <<= 1
			if i&bit != 0 {
				s.reverse[i] |= 1
			}
		}
	}
	return s
}

// power gives each band's mean power per bin. White noise with samples of variance one at full scale one has 1.
func (s *spectrum) power(samples *[windowSize]float32, power *[bands]float64) {
	// Even samples are taken as real and odd ones as imaginary parts, so that a transform of half the length does.
	var re, im [half]float32
	for i := range half {
		to := s.reverse[i] % half
		re[to], im[to] = samples[2*i]*s.window[2*i], samples[2*i+1]*s.window[2*i+1]
	}
	s.transform(&re, &im)
	for b := range power {
		var sum float32
		for k := edges[b]; k < edges[b+1]; k++ {
			evenRe, evenIm := re[k]+re[half-k], im[k]-im[half-k]
			oddRe, oddIm := im[k]+im[half-k], re[half-k]-re[k]
			cos, sin := s.cos[k], s.sin[k]
			binRe, binIm := evenRe+cos*oddRe-sin*oddIm, evenIm+cos*oddIm+sin*oddRe // twice the bin
			sum += binRe*binRe + binIm*binIm
		}
		power[b] = float64(sum) / float64(4*(edges[b+1]-edges[b]))
	}
}

// transform is the fast Fourier transform of re+i*im, which is in bit reversed order before and in plain order after. It
// is written in real numbers, since Go multiplies complex64 in double precision.
func (s *spectrum) transform(re, im *[half]float32) {
	for i := 0; i < half; i += 4 { // the first two rounds, in which nothing is multiplied
		r, m := (*[4]float32)(re[i:]), (*[4]float32)(im[i:])
		ar, ai, br, bi := r[0]+r[1], m[0]+m[1], r[0]-r[1], m[0]-m[1]
		cr, ci, dr, di := r[2]+r[3], m[2]+m[3], r[2]-r[3], m[2]-m[3]
		r[0], r[1], r[2], r[3] = ar+cr, br+di, ar-cr, br-di
		m[0], m[1], m[2], m[3] = ai+ci, bi-dr, ai-ci, bi+dr
	}
	for size := 4; size < half; size *= 2 {
		stride := half / size
		for k := range size {
			cos, sin := s.cos[k*stride], s.sin[k*stride]
			for i := k; i+size < half; i += 2 * size {
				j := i + size
				vr, vi := cos*re[j]-sin*im[j], cos*im[j]+sin*re[j]
				re[i], im[i], re[j], im[j] = re[i]+vr, im[i]+vi, re[i]-vr, im[i]-vi
			}
		}
	}
}
