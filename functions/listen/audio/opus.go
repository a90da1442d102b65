package audio

import (
	"fmt"
	"sync"

	"github.com/pion/opus"
)

// opusLongest is the longest that an Opus packet lasts, in samples: 120 ms (RFC 6716, section 3.2.5).
const opusLongest = SampleRate * 120 / 1000

// opusSource decodes Opus to 16 kHz; stereo is mixed down by the library.
//
// The library was held against libopus 1.3.1 on 25 s of read speech (TestOpusAgainstLibopus). The difference lies
// below the signal by 99 to 108 dB for CELT, 52 to 54 dB for hybrid and 42 to 53 dB for SILK, at most 143 of 32768:
// it computes SILK in floating point where libopus uses integers, which can't be heard. What it lacks is
// concealment: a frame without data, as discontinuous transmission has them, is decoded as if it had some.
//
// A decoder takes 25 KB, and 145 to 167 KB once it has met CELT or hybrid packets (BenchmarkMemory): 120 KB of that
// is scratch memory, and 15 KB tables that are the same for all. Both are private to the library, and can be shared
// between decoders there only.
type opusSource struct {
	decoder floatDecoder
}

// opusPCM holds what one packet decodes to. No decoder needs it between two packets, so they share it.
var opusPCM = sync.Pool{New: func() any { return new([opusLongest]float32) }}

// floatDecoder is an opus.Decoder. Its input comes from anybody, and it is young: tests show what happens when it
// panics or gives what is no signal.
type floatDecoder interface {
	DecodeToFloat32(packet []byte, out []float32) (int, error)
}

func newOpusSource() (*opusSource, error) {
	decoder, err := opus.NewDecoderWithOutput(SampleRate, 1)
	if err != nil {
		return nil, fmt.Errorf("make opus decoder: %w", err)
	}
	return &opusSource{decoder: &decoder}, nil
}

func (o *opusSource) decode(dst []int16, packet []byte) ([]int16, error) {
	pcm := opusPCM.Get().(*[opusLongest]float32)
	defer opusPCM.Put(pcm)
	n, err := o.unpack(packet, pcm[:])
	if err != nil {
		return dst, err
	}
	kept := len(dst)
	for _, v := range pcm[:n] {
		if v != v {
			// Not a number: rubbish has reached the filters' memory, where it would stay.
			return dst[:kept], o.startAnew("no signal")
		}
		dst = append(dst, clip(v*32768))
	}
	return dst, nil
}

// unpack decodes packet into pcm and gives the number of samples. A panic becomes an error.
func (o *opusSource) unpack(packet []byte, pcm []float32) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, o.startAnew(fmt.Sprintf("panic: %v", p))
		}
	}()
	n, err = o.decoder.DecodeToFloat32(packet, pcm)
	if err != nil {
		return 0, fmt.Errorf("decode opus packet: %w", err)
	}
	return n, nil
}

// startAnew replaces the decoder, whose memory can't be trusted any more, and gives the error that says why.
func (o *opusSource) startAnew(why string) error {
	fresh, err := newOpusSource()
	if err != nil {
		return err
	}
	o.decoder = fresh.decoder
	return fmt.Errorf("decode opus packet: %s", why)
}
