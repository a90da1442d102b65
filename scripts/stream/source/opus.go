package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/pion/opus/pkg/oggreader"
)

// opusPackets takes the packets out of an Ogg Opus file (RFC 7845).
func opusPackets(file io.Reader) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		ogg, _, err := oggreader.NewWith(file)
		if err != nil {
			yield(Packet{}, fmt.Errorf("read Ogg Opus: %w", err))
			return
		}
		for {
			data, _, err := ogg.ParseNextPacket()
			if errors.Is(err, io.EOF) {
				return
			}
			p := Packet{Data: data}
			if err == nil && isHeader(data) {
				continue
			}
			if err == nil {
				p.Duration, err = opusDuration(data)
			}
			if err != nil {
				yield(Packet{}, fmt.Errorf("read Ogg Opus: %w", err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// isHeader reports whether a packet is about the audio: the first two of a stream are, and streams may be chained.
func isHeader(packet []byte) bool {
	return bytes.HasPrefix(packet, []byte("OpusHead")) || bytes.HasPrefix(packet, []byte("OpusTags"))
}

// The frame sizes in the order of the configuration numbers (RFC 6716 section 3.1, table 2).
var (
	silkFrames   = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond}
	hybridFrames = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond}
	celtFrames   = []time.Duration{2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond}
)

// longest is how much an Opus packet can hold (RFC 6716 section 2.1.4).
const longest = 120 * time.Millisecond

// opusDuration reads how much time a packet holds (RFC 6716 sections 3.1 and 3.2).
func opusDuration(packet []byte) (time.Duration, error) {
	if len(packet) == 0 {
		return 0, errors.New("an empty packet")
	}
	var size time.Duration
	switch configuration := int(packet[0] >> 3); {
	case configuration < 12:
		size = silkFrames[configuration%4]
	case configuration < 16:
		size = hybridFrames[configuration%2]
	default:
		size = celtFrames[configuration%4]
	}
	frames := 1
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0, errors.New("a packet without its number of frames")
		}
		frames = int(packet[1] & 0x3F)
	}
	if d := size * time.Duration(frames); d > 0 && d <= longest {
		return d, nil
	}
	return 0, fmt.Errorf("a packet of %d frames of %v", frames, size)
}

// encode has opusenc, of opus-tools, make packets of so many ms out of PCM16. It runs while the packets are gone
// through.
func encode(ctx context.Context, samples io.Reader, rate, ms int) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cmd := exec.CommandContext(ctx, "opusenc", "--quiet", "--raw", "--raw-chan", "1",
			"--raw-rate", strconv.Itoa(rate), "--framesize", strconv.Itoa(ms), "--max-delay", strconv.Itoa(ms),
			"--speech", "--bitrate", "32", "-", "-")
		var said strings.Builder
		cmd.Stdin, cmd.Stderr = samples, &said
		cmd.WaitDelay = time.Second // samples may be a microphone that is silent
		output, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			yield(Packet{}, fmt.Errorf("encode as Opus (Debian has opusenc in opus-tools): %w", err))
			return
		}
		var broken error
		for p, err := range opusPackets(output) {
			if err != nil {
				broken = err
				break
			}
			if !yield(p, nil) {
				cancel()
				_ = cmd.Wait() // it was told to stop
				return
			}
		}
		if err := errors.Join(cmd.Wait(), broken); err != nil {
			yield(Packet{}, fmt.Errorf("encode as Opus: %w %s", err, strings.TrimSpace(said.String())))
		}
	}
}
