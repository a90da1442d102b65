package vad

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

// The bands' powers are those of the transform as it is defined.
func TestPowerIsThatOfTheTransform(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var samples [windowSize]float32
	for i := range samples {
		samples[i] = float32(random.IntN(1<<16) - 1<<15)
	}
	var got [bands]float64
	tables.power(&samples, &got)
	for b := range bands {
		want := 0.0
		for k := edges[b]; k < edges[b+1]; k++ {
			var bin complex128
			for i, v := range samples {
				bin += cmplx.Rect(float64(v)*float64(tables.window[i]), -2*math.Pi*float64(k*i)/windowSize)
			}
			want += real(bin)*real(bin) + imag(bin)*imag(bin)
		}
		want /= float64(edges[b+1] - edges[b])
		if math.Abs(got[b]-want) > 1e-4*want {
			t.Errorf("band %d: got %g, want %g", b, got[b], want)
		}
	}
}
