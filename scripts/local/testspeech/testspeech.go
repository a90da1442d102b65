// Package testspeech makes audio that says which words it holds: it sounds like a voice to a voice activity detector,
// and an exact recogniser reads the words' numbers out of it, so that a test can tell each lost, doubled, or
// disordered word after any number of cuts and reconnects.
//
// A word lasts 240 ms: twelve frames of 20 ms, without a gap between them. A frame begins with a header and ends with
// a sum over what is between, which is a voice. The path must be lossless at 16 kHz (pcm16); the header alone bears a
// change of 8, a quarter of a step, in each sample, so that a damaged word can still be named.
//
//	samples 0..3      the magic: +8000 -8000 +6000 -9000
//	samples 4..7      the word's number, a byte a sample, the highest first
//	sample  8         the frame's index in the word, 0..11
//	samples 9..10     the low half of the CRC-32 (IEEE) over the five bytes before
//	samples 11..317   the voice
//	samples 318..319  the low half of the CRC-32 over the voice as little endian PCM, each 16 more: never 0, as silence is
//
// A byte b is the sample (b-128)*32.
package testspeech

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"strconv"
	"time"
)

// The shape of a word.
const (
	Rate          = 16000 // Hz
	FrameSamples  = 320
	FramesPerWord = 12
	WordSamples   = FramesPerWord * FrameSamples
	WordDuration  = WordSamples * time.Second / Rate
	HeaderSamples = 11

	// Gap is the silence that Words leaves between two words.
	Gap = 80 * time.Millisecond
)

const (
	step      = 32 // between the samples of two neighbouring bytes
	tolerance = step / 4
)

var magic = [4]int16{8000, -8000, 6000, -9000}

// Text is what an exact recogniser makes of the whole word.
func Text(number uint32) string { return "w" + strconv.FormatUint(uint64(number), 10) }

// BrokenText is what an exact recogniser makes of a word of which a part is missing.
func BrokenText(number uint32) string { return Text(number) + "?" }

// Words is the words with these numbers, 16 kHz, with Gap of silence between each two and none around them.
func Words(numbers ...uint32) []int16 { return Spaced(Gap, numbers...) }

// Spaced is Words with another silence between the words.
func Spaced(gap time.Duration, numbers ...uint32) []int16 {
	voice, pause := word(), Silence(gap)
	pcm := make([]int16, 0, len(numbers)*(len(voice)+len(pause)))
	for i, number := range numbers {
		if i > 0 {
			pcm = append(pcm, pause...)
		}
		begin := len(pcm)
		pcm = append(pcm, voice...)
		for index := range FramesPerWord {
			seal(pcm[begin+index*FrameSamples:][:FrameSamples], number, index)
		}
	}
	return pcm
}

// Silence is a quiet room: noise at about -75 dB of full scale, the same each time.
func Silence(d time.Duration) []int16 {
	pcm := make([]int16, d*Rate/time.Second)
	state := uint32(1)
	for i := range pcm {
		state = state*1664525 + 1013904223 // the constants of Numerical Recipes' quick generator
		pcm[i] = int16(state>>28) - 8
	}
	return pcm
}

// Bytes is the samples as 16 bit little endian PCM.
func Bytes(pcm []int16) []byte {
	data := make([]byte, 0, 2*len(pcm))
	for _, sample := range pcm {
		data = binary.LittleEndian.AppendUint16(data, uint16(sample))
	}
	return data
}

// Header reads the header of a frame, if one begins at the first sample. It needs HeaderSamples samples.
func Header(pcm []int16) (number uint32, index int, ok bool) {
	if len(pcm) < HeaderSamples {
		return 0, 0, false
	}
	for i, want := range magic {
		if !near(pcm[i], want) {
			return 0, 0, false
		}
	}
	var b [7]byte
	for i := range b {
		if b[i], ok = readByte(pcm[len(magic)+i]); !ok {
			return 0, 0, false
		}
	}
	if binary.BigEndian.Uint16(b[5:]) != checksum(b[:5]) || b[4] >= FramesPerWord {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(b[:4]), int(b[4]), true
}

// Whole reports whether the frame, FrameSamples samples that begin with its header, is as it was made.
func Whole(frame []int16) bool {
	want := sum(frame)
	got := frame[FrameSamples-2:]
	return got[0] == want[0] && got[1] == want[1]
}

// seal writes a frame's header and sum around its voice.
func seal(frame []int16, number uint32, index int) {
	var b [7]byte
	binary.BigEndian.PutUint32(b[:], number)
	b[4] = byte(index)
	binary.BigEndian.PutUint16(b[5:], checksum(b[:5]))
	copy(frame, magic[:])
	for i, v := range b {
		frame[len(magic)+i] = level(v)
	}
	end := sum(frame)
	copy(frame[FrameSamples-2:], end[:])
}

// sum is the two samples that end a frame.
func sum(frame []int16) [2]int16 {
	var b [2 * FrameSamples]byte
	voice := frame[HeaderSamples : FrameSamples-2]
	for i, sample := range voice {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(sample))
	}
	c := checksum(b[:2*len(voice)])
	return [2]int16{level(byte(c>>8)) + step/2, level(byte(c)) + step/2}
}

func level(b byte) int16 { return (int16(b) - 128) * step }

func readByte(sample int16) (byte, bool) {
	level := int16(math.Round(float64(sample) / step))
	if level < -128 || level > 127 || !near(sample, level*step) {
		return 0, false
	}
	return byte(level + 128), true
}

func near(got, want int16) bool {
	return got >= want-tolerance && got <= want+tolerance
}

func checksum(b []byte) uint16 { return uint16(crc32.ChecksumIEEE(b)) }

// word is 240 ms of an open vowel whose pitch glides from 140 to 210 Hz: harmonics up to 3.6 kHz under three formants.
func word() []int16 {
	const top, loudest = 3600.0, 11000.0
	formants := [...]struct{ frequency, width, gain float64 }{{700, 130, 1}, {1220, 150, 0.6}, {2600, 220, 0.25}}
	samples := make([]float64, WordSamples)
	peak, phase := 0.0, 0.0
	for i := range samples {
		at := float64(i) / WordSamples
		pitch := 140 + 70*at
		phase += 2 * math.Pi * pitch / Rate
		sum := 0.0
		for harmonic := 1.0; harmonic*pitch < top; harmonic++ {
			gain := 0.02
			for _, f := range formants {
				off := (harmonic*pitch - f.frequency) / f.width
				gain += f.gain / (1 + off*off)
			}
			sum += gain * math.Sin(harmonic*phase)
		}
		edge := min(1, at*12, (1-at)*12)
		samples[i] = sum * (0.3 + 0.7*edge)
		peak = max(peak, math.Abs(samples[i]))
	}
	pcm := make([]int16, WordSamples)
	for i, s := range samples {
		pcm[i] = int16(s / peak * loudest)
	}
	return pcm
}
