package source

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-audio/riff"
)

// The formats of a WAV file that hold integer samples.
const (
	wavPCM        = 1
	wavExtensible = 0xFFFE
)

// The bounds of what is believed of a WAV file's header.
const (
	maxFormat   = 1 << 10 // bytes; the library reads as much as is said
	maxChannels = 64
	minRate     = 1000 // Hz
	maxRate     = 768000
)

// openWAV gives the samples of a WAV file as PCM16, mono, and their rate in Hz.
func openWAV(file io.Reader) (io.Reader, int, error) {
	p := riff.New(file)
	if err := p.ParseHeaders(); err != nil {
		return nil, 0, fmt.Errorf("read WAV: %w", err)
	}
	for {
		chunk, err := p.NextChunk()
		if errors.Is(err, io.EOF) {
			return nil, 0, errors.New("read WAV: there are no samples in it")
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read WAV: %w", err)
		}
		switch chunk.ID {
		case riff.FmtID:
			if chunk.Size > maxFormat {
				return nil, 0, fmt.Errorf("read WAV: a format of %d bytes", chunk.Size)
			}
			if err := chunk.DecodeWavHeader(p); err != nil {
				return nil, 0, fmt.Errorf("read WAV: %w", err)
			}
		case riff.DataFormatID:
			if chunk.Size == 0 { // what wrote it didn't know yet, and the library rounds -1 up
				return mix(file, p)
			}
			return mix(io.LimitReader(file, int64(chunk.Size)), p)
		default:
			chunk.Drain()
		}
	}
}

// mix makes PCM16, mono, of the samples of a WAV file whose format is known.
func mix(samples io.Reader, p *riff.Parser) (io.Reader, int, error) {
	format, channels, bits, rate := p.WavAudioFormat, int(p.NumChannels), int(p.BitsPerSample), int(p.SampleRate)
	switch {
	case format != wavPCM && format != wavExtensible:
		return nil, 0, fmt.Errorf("read WAV: format %d, not integer PCM", format)
	case bits != 8 && bits != 16 && bits != 24 && bits != 32:
		return nil, 0, fmt.Errorf("read WAV: samples of %d bits", bits)
	case channels < 1 || channels > maxChannels || rate < minRate || rate > maxRate:
		return nil, 0, fmt.Errorf("read WAV: %d channels at %d Hz", channels, rate)
	}
	width := bits / 8
	return &mixer{bufio.NewReader(samples), channels, width, make([]byte, channels*width)}, rate, nil
}

// mixer makes PCM16, mono, of samples of any width in any number of channels. It is read in pieces of 2 bytes or
// more.
type mixer struct {
	samples  io.Reader
	channels int
	width    int    // of a sample, in bytes
	frame    []byte // one sample of each channel
}

func (m *mixer) Read(p []byte) (n int, err error) {
	for n+2 <= len(p) {
		if _, err := io.ReadFull(m.samples, m.frame); errors.Is(err, io.ErrUnexpectedEOF) {
			return n, io.EOF // the file was cut
		} else if err != nil {
			return n, err
		}
		binary.LittleEndian.PutUint16(p[n:], uint16(m.mix()))
		n += 2
	}
	return n, nil
}

// mix is the mean of the channels.
func (m *mixer) mix() int16 {
	sum := 0
	for i := range m.channels {
		sample := m.frame[i*m.width:][:m.width]
		if m.width == 1 {
			sum += (int(sample[0]) - 128) << 8 // the only width that is unsigned
			continue
		}
		sum += int(int16(binary.LittleEndian.Uint16(sample[m.width-2:])))
	}
	return int16(sum / m.channels)
}
