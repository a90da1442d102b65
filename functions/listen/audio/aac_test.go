//go:build aac

package audio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os/exec"
	"path/filepath"
	"testing"

	"earshot.dev/functions/listen/audio"
)

// TestAACAgainstFAAD holds libavcodec's decoder against another one. Both go through our resampler: at 16 kHz faad would
// double the rate, in case there is spectral band replication.
func TestAACAgainstFAAD(t *testing.T) {
	if _, err := exec.LookPath("faad"); err != nil {
		t.Skip("faad isn't here; it is in Debian's faad")
	}
	raw := run(t, "faad", []string{"-q", "-g", "-f", "2", "-w", filepath.Join("testdata", "stereo44.aac")}, nil)
	mono := make([]int16, 1024) // the first frame, 372 samples at 16 kHz, which faad keeps to itself
	for ; len(raw) >= 4; raw = raw[4:] {
		left, right := int16(binary.LittleEndian.Uint16(raw)), int16(binary.LittleEndian.Uint16(raw[2:]))
		mono = append(mono, int16((int(left)+int(right))/2))
	}
	want := decodeAll(t, newDecoder(t, audio.PCM16, 44100), pcmPackets(mono, 441, true))
	got := decodeAll(t, newDecoder(t, audio.AAC, 0), adts(t, "stereo44.aac"))
	var d difference
	d.add(scaled(want)[400:], scaled(got)[400:])
	t.Logf("difference to faad: %v", d)
	if d.snr() < 60 {
		t.Errorf("got %v, want 60 dB at least", d)
	}
}

// Stereo at 44.1 kHz comes out as mono at 16 kHz: speech on one side, first left and then right, at half its strength.
func TestAACStereo(t *testing.T) {
	packets := adts(t, "stereo44.aac")
	got := decodeAll(t, newDecoder(t, audio.AAC, 0), packets)
	if want := len(packets) * 1024 * 16000 / 44100; len(got) < want || len(got) > want+1 {
		t.Errorf("got %d samples of %d frames, want %d", len(got), len(packets), want)
	}
	mono := decodeAll(t, newDecoder(t, audio.AAC, 0), adts(t, "mono16.aac"))
	for side, from := range []int{1600, 17600} {
		ratio := rms(got[from:from+12800]) / rms(mono[from:from+12800])
		if math.Abs(ratio-0.5) > 0.05 {
			t.Errorf("side %d: got %.2f of mono's strength, want half", side, ratio)
		}
	}
}

// Frames may come several to a packet, but whole, and not without end.
func TestAACPacketsOfSeveralFrames(t *testing.T) {
	frames := adts(t, "mono16.aac")[:20]
	want := decodeAll(t, newDecoder(t, audio.AAC, 0), frames)
	got := decodeAll(t, newDecoder(t, audio.AAC, 0), [][]byte{bytes.Join(frames, nil)})
	if signalToNoise(want, got) < 90 || len(got) != len(want) {
		t.Errorf("all frames in one packet: got %d samples, or other ones, want %d", len(got), len(want))
	}
	d := newDecoder(t, audio.AAC, 0)
	cut := append(bytes.Clone(frames[0]), frames[1][:10]...)
	if got, err := d.Decode(make([]int16, 7, 5000), cut); err == nil || len(got) != 7 {
		t.Errorf("a whole frame and a part: got %d samples more, error %v; want none and an error", len(got)-7, err)
	}
	for n := range len(frames[0]) {
		if got, err := d.Decode(nil, frames[0][:n]); n > 0 && err == nil || len(got) > 0 {
			t.Errorf("the first %d bytes of a frame: got %d samples, error %v; want an error", n, len(got), err)
		}
	}
	if _, err := d.Decode(nil, bytes.Join(append(frames, frames...), nil)); err == nil {
		t.Errorf("%d frames in a packet were taken", 2*len(frames))
	}
	if _, err := d.Decode(nil, frames[0]); err != nil {
		t.Errorf("the next packet: %v", err)
	}
}

// A rate that a client's frames have, and that nothing here knows, is told as what it is.
func TestAACAtAnUnknownRate(t *testing.T) {
	silence := []byte{0xff, 0xf1, 0x40, 0x40, 0x01, 0x7f, 0xfc, 0x01, 0x18, 0x20, 0x07} // at 96 kHz
	got, err := newDecoder(t, audio.AAC, 0).Decode(nil, silence)
	if !errors.Is(err, audio.ErrUnsupported) || len(got) > 0 {
		t.Errorf("got %d samples, error %v; want ErrUnsupported", len(got), err)
	}
}

func FuzzAAC(f *testing.F) {
	mono, stereo := adts(f, "mono16.aac"), adts(f, "stereo44.aac")
	addPackets(f, mono)
	addPackets(f, stereo)
	for rate := range byte(16) { // each rate and number of channels that a header can name
		f.Add(withShape(mono[3], rate, rate%8), withShape(stereo[3], rate, 7-rate%8))
	}
	f.Add(mono[0][:7], mono[0][:6])
	f.Add(stereo[3], mono[1])
	f.Add(mono[3][:20], []byte{})
	f.Add(bytes.Join(mono[4:7], nil), stereo[9])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := newDecoder(t, audio.AAC, 0)
		for _, packet := range [][]byte{first, reheaded(second), second, reheaded(first)} {
			got, err := bounded(t, d, packet)
			if longest := 32 * 2048 * 2; len(got) > longest || err != nil && len(got) > 0 {
				t.Fatalf("got %d samples and error %v, want %d at most and none with an error", len(got), err, longest)
			}
		}
		// What a frame decodes to leans on the one before: a configuration that was another costs some, no more.
		good := 0
		for _, packet := range mono {
			if got, err := d.Decode(nil, packet); err == nil && len(got) >= 1024 {
				good++
			}
		}
		if good < len(mono)-2 {
			t.Fatalf("of %d good packets %d were decoded", len(mono), good)
		}
	})
}

// withShape is a frame whose header names another rate and number of channels, by their index.
func withShape(frame []byte, rate, channels byte) []byte {
	frame = bytes.Clone(frame)
	frame[2] = frame[2]&0xc2 | rate<<2 | channels>>2
	frame[3] = frame[3]&0x3f | channels<<6
	return frame
}

// reheaded puts a true header before what may be anything, so that it isn't refused for its length.
func reheaded(payload []byte) []byte {
	n := min(len(payload), 1000)
	length := n + 7
	header := []byte{0xff, 0xf1, 0x60, 0x40 | byte(length>>11), byte(length >> 3), byte(length<<5) | 0x1f, 0xfc}
	return append(header, payload[:n]...)
}
