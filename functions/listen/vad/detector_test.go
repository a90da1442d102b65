package vad

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Sounds that aren't speech are told from it within seconds, and for good.
func TestSteadySoundsAreNotSpeech(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	noise := func(level float64) float64 { return level * random.NormFloat64() }
	hum := func(second float64) float64 {
		x := 2 * math.Pi * 50 * second
		return 3000 * (math.Sin(x) + math.Sin(3*x)/2 + math.Sin(5*x)/3 + math.Sin(7*x)/5)
	}
	tests := []struct {
		name   string
		sound  func(second float64) float64
		within int // seconds, from the start or from a change
	}{
		{"digital zeros", func(float64) float64 { return 0 }, 0},
		{"dither", func(float64) float64 { return random.Float64() - 0.5 }, 0},
		{"faint noise", func(float64) float64 { return noise(20) }, 3},
		{"loud noise", func(float64) float64 { return noise(3000) }, 2},
		{"tone", func(s float64) float64 { return 8000 * math.Sin(2*math.Pi*1000*s) }, 3},
		{"clipped tone", func(s float64) float64 { return max(-3000, min(3000, 8000*math.Sin(2*math.Pi*440*s))) }, 3},
		{"mains hum", hum, 3},
		{"mains hum in noise", func(s float64) float64 { return hum(s) + noise(100) }, 3},
		{"noise 30 dB louder at 20 s", func(s float64) float64 { return noise(100 * step(s, 20, 31)) }, 3},
		{"noise 30 dB softer at 20 s", func(s float64) float64 { return noise(3000 / step(s, 20, 31)) }, 3},
		{"noise after digital zeros", func(s float64) float64 { return noise(1000 * (step(s, 20, 2) - 1)) }, 3},
		{"clicks", func(s float64) float64 {
			if math.Mod(s, 0.5) < 0.002 {
				return noise(8000)
			}
			return noise(30)
		}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDetector()
			wrong := 0
			for i := range 60 * second {
				taken := d.speech(frameOf(tt.sound, i))
				learning := i%(20*second) < tt.within*second
				if taken && !learning {
					wrong++
				}
			}
			if most := 10; wrong > most {
				t.Errorf("%d frames of 60 s were taken for speech, want %d at most", wrong, most)
			}
		})
	}
}

// Words that are said before anything is known of the background, into silence or into noise, are passed.
func TestFirstWordsArePassed(t *testing.T) {
	for _, snr := range []float64{60, 20, 10} {
		for i, clip := range clips(t) {
			random := rand.New(rand.NewPCG(9, 9))
			level := rms(clip) * math.Pow(10, -snr/20)
			var loudest float64
			for from := 0; from < len(clip); from += frameSize {
				loudest = max(loudest, rms(clip[from:from+frameSize]))
			}
			gate, through := NewGate(), 0
			emit := func(c Chunk) {
				if int(c.Offset) == through {
					through += len(c.Samples)
				}
			}
			first := 0 // the first second of speech
			for rms(clip[first:first+frameSize]) < loudest/30 {
				first += frameSize
			}
			said := clip[first : first+sampleRate]
			for from := 0; from < len(said); from += frameSize {
				gate.Feed(frameOf(func(s float64) float64 {
					return said[from+int(math.Round(s*sampleRate))] + level*random.NormFloat64()
				}, 0), emit)
			}
			gate.Flush(emit)
			if through != sampleRate {
				t.Errorf("clip %d at %v dB: the first second was passed up to sample %d only", i, snr, through)
			}
		}
	}
}

// Quiet speech, 50 dB below full scale, is speech.
func TestQuietSpeechIsPassed(t *testing.T) {
	s := newScene(t, 2*second)
	for i := range s.clean {
		s.clean[i] *= math.Pow(10, -50.0/20) * 32768 / s.level
	}
	s.level = rms(s.clean)
	mixed := make([]int16, len(s.clean))
	for i, v := range s.clean {
		mixed[i] = sample(v)
	}
	if got := measure(s, mixed); got.lost > 0.1 {
		t.Errorf("got %.2f %% of the speech lost, want 0.1 at most", got.lost)
	}
}

// A far voice, 20 dB softer than the near one and 10 dB over the noise, is a voice too.
func TestFarVoiceIsPassed(t *testing.T) {
	s := newScene(t, second)
	for i := len(s.clean) / 2; i < len(s.clean); i++ {
		s.clean[i] /= 10
	}
	if got := measure(s, s.with(pink(len(s.clean)), 30)); got.lost > 0.1 {
		t.Errorf("got %.2f %% of the speech lost, want 0.1 at most", got.lost)
	}
}

func TestFeedAllocatesNothing(t *testing.T) {
	gate, packet := NewGate(), speechPacket()
	emit := func(Chunk) {}
	if allocs := testing.AllocsPerRun(1000, func() { gate.Feed(packet, emit) }); allocs > 0 {
		t.Errorf("got %v allocations per packet, want none", allocs)
	}
}

func BenchmarkFeed20ms(b *testing.B) {
	gate, packet := NewGate(), speechPacket()
	emit := func(Chunk) {}
	b.ReportAllocs()
	for b.Loop() {
		gate.Feed(packet, emit)
	}
}

// speechPacket is 20 ms of something.
func speechPacket() []int16 {
	packet := make([]int16, 2*frameSize)
	for i := range packet {
		packet[i] = int16(1000 * math.Sin(float64(i*i)/500))
	}
	return packet
}

// step is 1 before the second at and height from then on.
func step(second, at, height float64) float64 {
	if second < at {
		return 1
	}
	return height
}

// frameOf is the frame with index i of a sound.
func frameOf(sound func(second float64) float64, i int) []int16 {
	frame := make([]int16, frameSize)
	for j := range frame {
		frame[j] = sample(sound(float64(i*frameSize+j) / sampleRate))
	}
	return frame
}
