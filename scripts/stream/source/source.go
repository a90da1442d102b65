// Package source turns recordings and microphones into the packets that a device would send.
package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The codecs that a source can be had in, under the names of the codec parameter (functions/listen/wire/README.md).
const (
	PCM8      = "pcm8"
	PCM16     = "pcm16"
	Opus      = "opus"       // packets of 10 ms
	OpusFS320 = "opus_fs320" // packets of 20 ms
)

// Stdin is the name of standard input.
const Stdin = "-"

// opusRate is what clients say of Opus, in Hz. Nothing depends on it: any decoder makes any rate of a packet.
const opusRate = 16000

// defaultRate is that of raw audio unless it is said, in Hz.
const defaultRate = 16000

// frame is how long a packet of PCM lasts.
const frame = 20 * time.Millisecond

// Packet is what goes into one binary frame, and how much time it holds.
type Packet struct {
	Data     []byte
	Duration time.Duration
}

// Source is audio in a codec, mono.
type Source struct {
	Codec string
	Rate  int // Hz

	// Packets can be gone through once. The first error is the last thing it gives.
	Packets iter.Seq2[Packet, error]

	file io.Closer
}

// Wish is what a source is wanted to be. A zero field leaves it as it is.
type Wish struct {
	Codec string
	Rate  int             // of raw audio, which doesn't say it itself, in Hz: 16000 by default
	Stop  <-chan struct{} // the audio ends when it is closed, even if more could be read
}

// Open opens a WAV file of integer samples or an Ogg Opus file. Standard input, and a file named .raw or .pcm, is raw
// PCM16, little endian, mono, if it is neither. PCM is encoded as Opus by opusenc, if that is wished for. The caller
// closes the source.
func Open(ctx context.Context, name string, wish Wish) (*Source, error) {
	file := os.Stdin
	if name != Stdin {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
	}
	var input io.Reader = file
	if name == Stdin && wish.Stop != nil {
		input = newLive(file, wish.Stop)
	}
	s, err := read(ctx, name, input, wish)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	if s.file = file; name != Stdin && wish.Stop != nil {
		s.Packets = stopped(wish.Stop, s.Packets)
	}
	return s, nil
}

// stopped are packets, as long as stop is not closed: of a file there is always more.
func stopped(stop <-chan struct{}, packets iter.Seq2[Packet, error]) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for p, err := range packets {
			select {
			case <-stop:
				return
			default:
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// Silence are packets in which nobody speaks, for so long. Opus has one frame, of 20 ms, for the silence of all zeros.
func (s *Source) Silence(d time.Duration) iter.Seq2[Packet, error] {
	p := Packet{Duration: frame}
	switch size := int(int64(s.Rate) * int64(frame) / int64(time.Second)); s.Codec {
	case PCM8:
		p.Data = bytes.Repeat([]byte{0x80}, size)
	case PCM16:
		p.Data = make([]byte, 2*size)
	default:
		p.Data = []byte{0xF8, 0xFF, 0xFE}
	}
	return func(yield func(Packet, error) bool) {
		for range d / frame {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// Close closes the file.
func (s *Source) Close() {
	_ = s.file.Close() // it was only read
}

// magicLength is how much of a file tells what it is.
const magicLength = 4

func read(ctx context.Context, name string, input io.Reader, wish Wish) (*Source, error) {
	if wish.Rate == 0 {
		wish.Rate = defaultRate
	}
	buffered := bufio.NewReader(input)
	magic, err := buffered.Peek(magicLength)
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, at.Err // the name is said by the caller
	}
	if err != nil {
		return nil, fmt.Errorf("too short for audio: %w", err)
	}
	switch string(magic) {
	case "RIFF":
		samples, rate, err := openWAV(buffered)
		if err != nil {
			return nil, err
		}
		wish.Rate = rate
		return PCM(ctx, samples, wish)
	case "OggS":
		if wish.Codec != "" && wish.Codec != Opus && wish.Codec != OpusFS320 {
			return nil, fmt.Errorf("it is Opus already, and can't be had as %s", wish.Codec)
		}
		return &Source{Codec: OpusFS320, Rate: opusRate, Packets: opusPackets(buffered)}, nil
	}
	switch extension := strings.ToLower(filepath.Ext(name)); {
	case name == Stdin, extension == ".raw", extension == ".pcm":
		return PCM(ctx, buffered, wish)
	default:
		return nil, errors.New("it is neither WAV nor Ogg Opus; raw 16 bit PCM is taken from standard input (-), " +
			"and from files named .raw or .pcm")
	}
}

// PCM makes a source of PCM16, little endian, mono, at wish.Rate.
func PCM(ctx context.Context, samples io.Reader, wish Wish) (*Source, error) {
	samples = bufio.NewReader(samples)
	switch wish.Codec {
	case "", PCM16:
		return &Source{Codec: PCM16, Rate: wish.Rate, Packets: pcm16(samples, wish.Rate)}, nil
	case PCM8:
		return &Source{Codec: PCM8, Rate: wish.Rate, Packets: pcm8(samples, wish.Rate)}, nil
	case Opus:
		return &Source{Codec: Opus, Rate: opusRate, Packets: encode(ctx, samples, wish.Rate, 10)}, nil
	case OpusFS320:
		return &Source{Codec: OpusFS320, Rate: opusRate, Packets: encode(ctx, samples, wish.Rate, 20)}, nil
	default:
		return nil, fmt.Errorf("codec %q is none of %s, %s, %s, %s", wish.Codec, PCM8, PCM16, Opus, OpusFS320)
	}
}

// pcm16 cuts samples into packets; the last one may be shorter.
func pcm16(samples io.Reader, rate int) iter.Seq2[Packet, error] {
	size := 2 * int(int64(rate)*int64(frame)/int64(time.Second))
	return func(yield func(Packet, error) bool) {
		for {
			data := make([]byte, size)
			n, err := io.ReadFull(samples, data)
			if n > 0 && !yield(Packet{data[:n], time.Duration(n/2) * time.Second / time.Duration(rate)}, nil) {
				return
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if err != nil {
				yield(Packet{}, fmt.Errorf("read samples: %w", err))
				return
			}
		}
	}
}

// pcm8 is the upper byte of each sample, unsigned.
func pcm8(samples io.Reader, rate int) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for p, err := range pcm16(samples, rate) {
			narrow := make([]byte, len(p.Data)/2)
			for i := range narrow {
				narrow[i] = p.Data[2*i+1] ^ 0x80
			}
			if p.Data = narrow; !yield(p, err) {
				return
			}
		}
	}
}
