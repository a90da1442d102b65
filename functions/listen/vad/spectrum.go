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
	window  [windowSize]float32 // Hann's; it brings samples of 16 bits to full scale one
	twiddle [half]complex64     // exp(-2πik/windowSize)
	reverse [half]uint8         // of 7 bits
}

var tables = newSpectrum() // never written again

func newSpectrum() *spectrum {
	s := new(spectrum)
	for i := range s.window {
		hann := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/windowSize)
		s.window[i] = float32(hann / math.Sqrt(0.375*windowSize) / 32768)
	}
	for k := range s.twiddle {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / windowSize)
		s.twiddle[k] = complex(float32(cos), float32(sin))
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
	var z [half]complex64
	for i := range z {
		z[s.reverse[i]%half] = complex(samples[2*i]*s.window[2*i], samples[2*i+1]*s.window[2*i+1])
	}
	s.transform(&z)
	for b := range power {
		var sum float32
		for k := edges[b]; k < edges[b+1]; k++ {
			p, q := z[k], z[half-k]
			even := complex(real(p)+real(q), imag(p)-imag(q))
			odd := complex(imag(p)+imag(q), real(q)-real(p))
			bin := even + s.twiddle[k]*odd // twice the bin
			sum += real(bin)*real(bin) + imag(bin)*imag(bin)
		}
		power[b] = float64(sum) / float64(4*(edges[b+1]-edges[b]))
	}
}

// transform is the fast Fourier transform of z, which is in bit reversed order before and in plain order after.
func (s *spectrum) transform(z *[half]complex64) {
	for size := 1; size < half; size *= 2 {
		stride := half / size
		for k := range size {
			w := s.twiddle[k*stride]
			for i := k; i+size < half; i += 2 * size {
				v := w * z[i+size]
				z[i], z[i+size] = z[i]+v, z[i]-v
			}
		}
	}
}
