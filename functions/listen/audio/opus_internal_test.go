package audio

import (
	"math"
	"strings"
	"testing"
)

// broken is a decoder that has gone wrong.
type broken func(out []float32) int

func (b broken) DecodeToFloat32(_ []byte, out []float32) (int, error) { return b(out), nil }

// Whatever goes wrong inside the library costs one packet: the next is decoded by a new decoder.
func TestOpusReplacesABrokenDecoder(t *testing.T) {
	silence := []byte{31 << 3, 0xff, 0xfe} // a CELT frame of 20 ms
	nan := float32(math.NaN())
	tests := []struct {
		name    string
		decoder broken
		want    string
	}{
		{"panics", func(out []float32) int { return int(out[len(out)]) }, "index out of range"},
		{"no number at once", func(out []float32) int { out[0] = nan; return 320 }, "no signal"},
		{"no number at last", func(out []float32) int { out[319] = nan; return 320 }, "no signal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Decoder{source: &opusSource{decoder: tt.decoder}}
			got, err := d.Decode(make([]int16, 7, 1000), silence)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(got) != 7 {
				t.Errorf("got %d samples more and error %v, want none and %q", len(got)-7, err, tt.want)
			}
			if got, err = d.Decode(nil, silence); err != nil || len(got) != 320 {
				t.Errorf("the next packet: got %d samples, error %v; want 320", len(got), err)
			}
		})
	}
}
