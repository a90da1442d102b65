// Package audio turns what devices send, in whichever codec, into 16 kHz mono PCM.
//
// PCM and Opus are decoded in Go. AAC and LC3, for which there is no Go module to be had, are decoded by C libraries,
// each behind a build tag; without it NewDecoder refuses the codec as ErrUnsupported:
//
//	tag  library     Debian has it as                and for the tests
//	aac  libavcodec  libavcodec-dev, libavcodec59    faad
//	lc3  liblc3      liblc3-dev, liblc3-0            liblc3-tools
//
//	go test -tags 'aac lc3' ./functions/listen/audio
//
// Both need cgo, and the library where the binary runs. liblc3 is under the Apache licence; libavcodec is under the
// LGPL, or the GPL as Debian builds it.
package audio

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// SampleRate is that of all decoded audio, in Hz.
const SampleRate = 16000

// MaxPacket is the longest packet that is decoded, in bytes: two seconds of pcm16 at 16 kHz.
const MaxPacket = 64 << 10

// ErrUnsupported is that of a codec or rate that can't be decoded.
var ErrUnsupported = errors.New("unsupported audio")

// Codec is the name of a codec, as clients say it.
type Codec string

// The codecs that can be decoded.
const (
	PCM8      Codec = "pcm8"       // unsigned 8 bit
	PCM16     Codec = "pcm16"      // signed 16 bit, little endian
	Opus      Codec = "opus"       // RFC 6716, in packets of 10 ms
	OpusFS320 Codec = "opus_fs320" // the same, in packets of 20 ms
	AAC       Codec = "aac"        // ISO/IEC 13818-7, in ADTS frames; with the build tag aac
	LC3FS1030 Codec = "lc3_fs1030" // 10 ms in 30 bytes, at 16 kHz; with the build tag lc3
)

// Decoder decodes one stream of packets to 16 kHz mono. It is for one goroutine.
type Decoder struct {
	source   source
	resample *resampler // nil where the source is at 16 kHz
	native   []int16    // one packet at the source's own rate
}

// source appends the samples of one packet to dst. On an error it gives dst back as it was, and goes on with
// the next packet.
type source interface {
	decode(dst []int16, packet []byte) ([]int16, error)
}

// NewDecoder makes a decoder of codec at sampleRate Hz. The rate matters to PCM alone: packets of the
// other codecs are decoded to 16 kHz whatever is said here. What can't be decoded is an ErrUnsupported, whose text says what it
// is; it is fit to be told to the client.
func NewDecoder(codec Codec, sampleRate int) (*Decoder, error) {
	switch codec {
	case PCM8, PCM16:
		return newPCMDecoder(codec, sampleRate)
	case Opus, OpusFS320:
		// Devices are free to send any packet length; the codec's name only says what is usual.
		return newDecoder(newOpusSource())
	case AAC:
		return newDecoder(newAACSource())
	case LC3FS1030:
		return newDecoder(newLC3Source())
	}
	return nil, fmt.Errorf("%w: codec %.16q at %d Hz, not one of %s, %s, %s, %s, %s, %s",
		ErrUnsupported, codec, sampleRate, PCM8, PCM16, Opus, OpusFS320, AAC, LC3FS1030)
}

// Separate has each packet hold whole samples: half a one at the end is dropped. It is for packets of which some may be
// left out, or decoded by another decoder, and is called before the first one.
func (d *Decoder) Separate() {
	if p, ok := d.source.(*pcm16); ok {
		p.separate = true
	}
}

// newDecoder is of a source that gives 16 kHz by itself.
func newDecoder(s source, err error) (*Decoder, error) {
	if err != nil {
		return nil, err
	}
	return &Decoder{source: s}, nil
}

func newPCMDecoder(codec Codec, sampleRate int) (*Decoder, error) {
	d := &Decoder{source: new(pcm16)}
	if codec == PCM8 {
		d.source = pcm8{}
	}
	bank, ok := banks[sampleRate]
	if !ok {
		return nil, fmt.Errorf("%w: %s at %d Hz, not one of %s", ErrUnsupported, codec, sampleRate, pcmRates())
	}
	if sampleRate != SampleRate {
		d.resample = newResampler(bank())
	}
	return d, nil
}

// pcmRates lists the rates, in Hz, that PCM may come at.
func pcmRates() string {
	var names []string
	for _, rate := range slices.Sorted(maps.Keys(banks)) {
		names = append(names, strconv.Itoa(rate))
	}
	return strings.Join(names, ", ")
}

// Decode appends the 16 kHz mono samples of one packet to dst. A packet that can't be decoded is an error, gives
// dst back as it was, and leaves the decoder fit for the next. Nothing is allocated while dst has room.
func (d *Decoder) Decode(dst []int16, packet []byte) ([]int16, error) {
	if len(packet) > MaxPacket {
		return dst, fmt.Errorf("decode packet: %d bytes, over %d", len(packet), MaxPacket)
	}
	if d.resample == nil {
		return d.source.decode(dst, packet)
	}
	native, err := d.source.decode(d.native[:0], packet)
	if err != nil {
		return dst, err
	}
	d.native = native
	return d.resample.append(dst, native), nil
}
