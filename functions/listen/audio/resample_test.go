package audio_test

import (
	"math"
	"testing"

	"earshot.dev/functions/listen/audio"
)

var foreignRates = []int{8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000}

// A tone that both rates can carry comes through at its strength, with nothing else beside it.
func TestResampleKeepsTones(t *testing.T) {
	for _, rate := range foreignRates {
		for _, hz := range []float64{100, 440, 1000, 2500, 3200, 4500, 6000, 6700} {
			if hz > 0.42*float64(rate) {
				continue
			}
			got := resampleTone(t, rate, hz, 12000)
			level, residue := fit(got, hz)
			if loss := decibels(level / 12000); math.Abs(loss) > 0.1 {
				t.Errorf("%d Hz, tone of %v Hz: got %.2f dB, want within 0.1 dB of 0", rate, hz, loss)
			}
			if below := decibels(residue * math.Sqrt2 / level); below > -68 {
				t.Errorf("%d Hz, tone of %v Hz: the rest is at %.1f dB, want below -68", rate, hz, below)
			}
		}
	}
}

// A tone that 16 kHz can't carry is not folded to where it would be taken for another.
func TestResampleRejectsAliases(t *testing.T) {
	for _, rate := range foreignRates {
		for _, hz := range []float64{8300, 9000, 10000, 11500, 13000, 16000, 20000, 23000} {
			if hz > 0.49*float64(rate) {
				continue
			}
			got := resampleTone(t, rate, hz, 12000)
			if left := decibels(rms(got) * math.Sqrt2 / 12000); left > -68 {
				t.Errorf("%d Hz, tone of %v Hz: got %.1f dB of it, want below -68", rate, hz, left)
			}
		}
	}
}

func TestResampleKeepsConstants(t *testing.T) {
	for _, rate := range foreignRates {
		for _, level := range []int16{0, 1, -1, 32767, -32768} {
			pcm := make([]int16, rate/4)
			for i := range pcm {
				pcm[i] = level
			}
			got := decodeAll(t, newDecoder(t, audio.PCM16, rate), pcmPackets(pcm, rate/100, true))
			for i, v := range got[audio.SampleRate/100:] {
				if v != level {
					t.Fatalf("%d Hz: sample %d: got %d, want %d", rate, i, v, level)
				}
			}
		}
	}
}

// After any number of packets the clock of what came out is that of what went in, to the sample.
func TestResampleCountsExactly(t *testing.T) {
	for _, rate := range append([]int{16000}, foreignRates...) {
		d := newDecoder(t, audio.PCM8, rate)
		var dst []int16
		var in, out int
		for i := range 10 * 50 { // ten seconds, in packets of about 20 ms
			packet := make([]byte, rate/50+i%3)
			var err error
			if dst, err = d.Decode(dst[:0], packet); err != nil {
				t.Fatal(err)
			}
			in, out = in+len(packet), out+len(dst)
			if want := (in*audio.SampleRate + rate - 1) / rate; out != want {
				t.Fatalf("%d Hz: after %d samples: got %d, want %d", rate, in, out, want)
			}
		}
	}
}

// An impulse comes out later by the filter's delay, which is what the contract says it is.
func TestResampleDelay(t *testing.T) {
	for _, rate := range foreignRates {
		pcm := make([]int16, rate/10)
		pcm[rate/20] = 32767
		got := decodeAll(t, newDecoder(t, audio.PCM16, rate), [][]byte{pcmPackets(pcm, len(pcm), true)[0]})
		peak := 0
		for i, v := range got {
			if v > got[peak] {
				peak = i
			}
		}
		if late := float64(peak)/16 - 1000*float64(rate/20)/float64(rate); late < 1.3 || late > 2.8 {
			t.Errorf("%d Hz: an impulse comes out %.2f ms later, want 1.3 to 2.8", rate, late)
		}
	}
}

// resampleTone gives a tone at 16 kHz that was fed at rate, without its first 20 ms.
func resampleTone(t *testing.T, rate int, hz, amplitude float64) []int16 {
	pcm := make([]int16, rate)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	got := decodeAll(t, newDecoder(t, audio.PCM16, rate), pcmPackets(pcm, rate/50, true))
	return got[audio.SampleRate/50:]
}

// fit finds the amplitude of the tone of hz in samples, and the root mean square of what else there is.
func fit(samples []int16, hz float64) (level, residue float64) {
	n := int(float64(len(samples))*hz/audio.SampleRate) * audio.SampleRate / int(hz) // whole waves
	samples = samples[:n]
	var re, im float64
	for i, v := range samples {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / audio.SampleRate)
		re, im = re+float64(v)*cos, im+float64(v)*sin
	}
	re, im = 2*re/float64(len(samples)), 2*im/float64(len(samples))
	var sum float64
	for i, v := range samples {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / audio.SampleRate)
		rest := float64(v) - re*cos - im*sin
		sum += rest * rest
	}
	return math.Hypot(re, im), math.Sqrt(sum / float64(len(samples)))
}

func rms(samples []int16) float64 {
	var sum float64
	for _, v := range samples {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(samples)))
}

func decibels(ratio float64) float64 { return 20 * math.Log10(ratio) }
