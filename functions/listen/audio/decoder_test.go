package audio_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"earshot.dev/functions/listen/allocs"
	"earshot.dev/functions/listen/audio"
)

func TestNewDecoderRefusesWhatItCantDecode(t *testing.T) {
	tests := []struct {
		codec audio.Codec
		rate  int
		want  string
	}{
		{"flac", 16000, `unsupported audio: codec "flac" at 16000 Hz, not one of pcm8, pcm16, opus, opus_fs320, aac, lc3_fs1030`},
		{"", 8000, `unsupported audio: codec "" at 8000 Hz, not one of pcm8, pcm16, opus, opus_fs320, aac, lc3_fs1030`},
		{"PCM16", 8000, `unsupported audio: codec "PCM16" at 8000 Hz, not one of pcm8, pcm16, opus, opus_fs320, aac, lc3_fs1030`},
		{audio.PCM16, 96000, "unsupported audio: pcm16 at 96000 Hz, not one of " +
			"8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000"},
		{audio.PCM8, 0, "unsupported audio: pcm8 at 0 Hz, not one of " +
			"8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000"},
	}
	for _, tt := range tests {
		_, err := audio.NewDecoder(tt.codec, tt.rate)
		if !errors.Is(err, audio.ErrUnsupported) {
			t.Errorf("NewDecoder(%q, %d): got %v, want ErrUnsupported", tt.codec, tt.rate, err)
			continue
		}
		if err.Error() != tt.want {
			t.Errorf("NewDecoder(%q, %d): got text %q, want %q", tt.codec, tt.rate, err, tt.want)
		}
		if room := 123; len(err.Error()) > room { // RFC 6455, section 5.5
			t.Errorf("NewDecoder(%q, %d): text has %d bytes, a close reason has room for %d", tt.codec, tt.rate, len(err.Error()), room)
		}
	}
}

// A codec whose build tag is off is refused as one that can't be decoded, and the text says why.
func TestBuildWithoutACodec(t *testing.T) {
	for codec, want := range map[audio.Codec]string{
		audio.AAC:       "unsupported audio: this build has no aac decoder",
		audio.LC3FS1030: "unsupported audio: this build has no lc3 decoder",
	} {
		_, err := audio.NewDecoder(codec, 16000)
		if err == nil {
			continue // the tag is on, and what it brings has tests of its own
		}
		if !errors.Is(err, audio.ErrUnsupported) || err.Error() != want {
			t.Errorf("%s: got %v, want %q", codec, err, want)
		}
	}
}

func TestDecodePCM(t *testing.T) {
	tests := []struct {
		name    string
		codec   audio.Codec
		packets [][]byte
		want    []int16
	}{
		{"pcm8: silence and both ends", audio.PCM8, [][]byte{{128, 0, 255, 129}}, []int16{0, -32768, 32512, 256}},
		{"pcm16: low byte first", audio.PCM16, [][]byte{{1, 0, 0xff, 0x7f, 0, 0x80, 0xff, 0xff}}, []int16{1, 32767, -32768, -1}},
		{"pcm16: cut within a sample", audio.PCM16, [][]byte{{1, 2, 3}, {4, 5}, {6}, {}, {7, 8}}, []int16{0x0201, 0x0403, 0x0605, 0x0807}},
		{"pcm16: byte by byte", audio.PCM16, [][]byte{{1}, {2}, {3}, {4}}, []int16{0x0201, 0x0403}},
		{"no bytes", audio.PCM8, [][]byte{{}, nil}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decodeAll(t, newDecoder(t, tt.codec, audio.SampleRate), tt.packets)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Where packets may be left out, an odd one doesn't shift those after it by a byte.
func TestSeparatePacketsHoldWholeSamples(t *testing.T) {
	d := newDecoder(t, audio.PCM16, audio.SampleRate)
	d.Separate()
	got := decodeAll(t, d, [][]byte{{1, 2, 3}, {5, 6}, {7}, {}, {9, 10, 11, 12, 13}, {15, 16}})
	if want := []int16{0x0201, 0x0605, 0x0a09, 0x0c0b, 0x100f}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestDecodeAppends(t *testing.T) {
	for _, codec := range []audio.Codec{audio.PCM8, audio.PCM16, audio.Opus} {
		for _, rate := range []int{8000, 16000} {
			d := newDecoder(t, codec, rate)
			packet := speech(t, "silk20.opus")[0]
			got, err := d.Decode([]int16{11, 12, 13}, packet)
			if err != nil || len(got) <= 3 || !slices.Equal(got[:3], []int16{11, 12, 13}) {
				t.Errorf("%s at %d Hz: got %d samples, error %v: want some after those that were there", codec, rate, len(got), err)
			}
		}
	}
}

func TestDecodeRefusesHugePackets(t *testing.T) {
	for _, codec := range []audio.Codec{audio.PCM8, audio.PCM16, audio.Opus, audio.OpusFS320} {
		d := newDecoder(t, codec, 8000)
		if got, err := d.Decode(nil, make([]byte, audio.MaxPacket+1)); err == nil || len(got) > 0 {
			t.Errorf("%s: got %d samples, error %v; want an error", codec, len(got), err)
		}
		if _, err := d.Decode(nil, speech(t, "silk20.opus")[0]); err != nil {
			t.Errorf("%s: the next packet: got %v, want it decoded", codec, err)
		}
	}
}

// However a stream is cut into packets, the samples are the same.
func TestPacketBordersDontMatter(t *testing.T) {
	rates := []int{8000, 11025, 16000, 44100, 48000}
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom(rates).Draw(t, "rate")
		codec := rapid.SampledFrom([]audio.Codec{audio.PCM8, audio.PCM16}).Draw(t, "codec")
		stream := rapid.SliceOfN(rapid.Byte(), 0, 4000).Draw(t, "stream")
		whole, parts := newDecoder(t, codec, rate), newDecoder(t, codec, rate)
		want, err := whole.Decode(nil, stream)
		if err != nil {
			t.Fatal(err)
		}
		var got []int16
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "packet")
			if got, err = parts.Decode(got, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s at %d Hz: %d samples in one packet and %d in many, or other ones", codec, rate, len(want), len(got))
		}
	})
}

func TestDecodeAllocatesNothing(t *testing.T) {
	for _, tt := range packets(t) {
		d := newDecoder(t, tt.codec, tt.rate)
		var dst []int16
		i := 0
		allocs := testing.AllocsPerRun(2*len(tt.packets), func() {
			var err error
			if dst, err = d.Decode(dst[:0], tt.packets[i%len(tt.packets)]); err != nil {
				t.Fatal(err)
			}
			i++
		})
		if allocs > 0 {
			t.Errorf("%s: got %v allocations per packet, want none", tt.name, allocs)
		}
	}
}

func FuzzPCM(f *testing.F) {
	rates := []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
	said := decodeAll(f, newDecoder(f, audio.Opus, 0), speech(f, "celt20.opus"))
	for rate := range byte(len(rates)) {
		f.Add([]byte{1, 2, 3}, rate, false)
		f.Add(pcmPackets(said, rates[rate]/50, true)[rate], rate, true)
		f.Add(pcmPackets(said, rates[rate]/50, false)[rate], rate, false)
		f.Add([]byte{0, 0x80, 0xff, 0x7f, 0}, rate, true)
	}
	f.Add([]byte{}, byte(0), true)
	f.Add(make([]byte, audio.MaxPacket), byte(8), false)
	f.Add(make([]byte, audio.MaxPacket+1), byte(0), true)
	f.Add([]byte{0, 0x80, 0xff, 0x7f}, byte(3), true)
	f.Add(make([]byte, 4096), byte(7), true)
	f.Fuzz(func(t *testing.T, packet []byte, rate byte, wide bool) {
		codec, width, hz := audio.PCM8, 1, rates[int(rate)%len(rates)]
		if wide {
			codec, width = audio.PCM16, 2
		}
		var got []int16
		var err error
		allocs.Most(t, 1<<20, func() { got, err = newDecoder(t, codec, hz).Decode(nil, packet) })
		if len(packet) > audio.MaxPacket {
			if err == nil {
				t.Fatalf("%d bytes were taken", len(packet))
			}
			return
		}
		want := (len(packet)/width*audio.SampleRate + hz - 1) / hz
		if err != nil || len(got) != want {
			t.Fatalf("%s at %d Hz, %d bytes: got %d samples, error %v; want %d samples", codec, hz, len(packet), len(got), err, want)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, tt := range packets(b) {
		b.Run(tt.name, func(b *testing.B) {
			d := newDecoder(b, tt.codec, tt.rate)
			var dst []int16
			var err error
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if dst, err = d.Decode(dst[:0], tt.packets[i%len(tt.packets)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type stream struct {
	name    string
	codec   audio.Codec
	rate    int
	packets [][]byte
}

// packets are a second or two of speech in each codec. PCM packets are of 20 ms.
func packets(t testing.TB) []stream {
	pcm := decodeAll(t, newDecoder(t, audio.Opus, audio.SampleRate), speech(t, "silk20.opus"))
	var streams []stream
	for _, s := range []stream{
		{name: "pcm8/8000", codec: audio.PCM8, rate: 8000},
		{name: "pcm8/16000", codec: audio.PCM8, rate: 16000},
		{name: "pcm16/8000", codec: audio.PCM16, rate: 8000},
		{name: "pcm16/16000", codec: audio.PCM16, rate: 16000},
		{name: "pcm16/44100", codec: audio.PCM16, rate: 44100},
		{name: "pcm16/48000", codec: audio.PCM16, rate: 48000},
	} {
		wide := s.codec == audio.PCM16
		s.packets = pcmPackets(pcm, s.rate/50, wide)
		streams = append(streams, s)
	}
	streams = append(streams,
		stream{"opus/silk10", audio.Opus, 16000, speech(t, "silk10.opus")},
		stream{"opus/silk20", audio.OpusFS320, 16000, speech(t, "silk20.opus")},
		stream{"opus/hybrid20", audio.OpusFS320, 16000, speech(t, "hybrid20.opus")},
		stream{"opus/celt10", audio.Opus, 16000, speech(t, "celt10.opus")},
		stream{"opus/celt20", audio.OpusFS320, 16000, speech(t, "celt20.opus")},
	)
	for _, s := range tagged(t) {
		if _, err := audio.NewDecoder(s.codec, s.rate); !errors.Is(err, audio.ErrUnsupported) {
			streams = append(streams, s)
		}
	}
	return streams
}

// tagged are the codecs that need a build tag.
func tagged(t testing.TB) []stream {
	return []stream{
		{"aac/mono16", audio.AAC, 16000, adts(t, "mono16.aac")},
		{"aac/stereo44", audio.AAC, 16000, adts(t, "stereo44.aac")},
		{"lc3/mono16", audio.LC3FS1030, 16000, lc3Packets(t)},
	}
}

// adts reads the frames of a file in testdata.
func adts(t testing.TB, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for len(data) > 0 {
		n := int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5
		frames = append(frames, data[:n])
		data = data[n:]
	}
	return frames
}

// lc3Packets reads the packets of the file in testdata: a header of 18 bytes, then each with its length in two.
func lc3Packets(t testing.TB) [][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "mono16.lc3"))
	if err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	for data = data[18:]; len(data) > 0; {
		n := 2 + int(binary.LittleEndian.Uint16(data))
		packets = append(packets, data[2:n])
		data = data[n:]
	}
	return packets
}

// pcmPackets cuts samples into packets of size samples; the rest that fills no packet is left out.
func pcmPackets(samples []int16, size int, wide bool) [][]byte {
	var all [][]byte
	for ; len(samples) >= size; samples = samples[size:] {
		var p []byte
		for _, v := range samples[:size] {
			if wide {
				p = binary.LittleEndian.AppendUint16(p, uint16(v))
			} else {
				p = append(p, byte(v>>8)+128)
			}
		}
		all = append(all, p)
	}
	return all
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func newDecoder(t fataler, codec audio.Codec, rate int) *audio.Decoder {
	t.Helper()
	d, err := audio.NewDecoder(codec, rate)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func decodeAll(t fataler, d *audio.Decoder, packets [][]byte) []int16 {
	t.Helper()
	var samples []int16
	var err error
	for _, p := range packets {
		if samples, err = d.Decode(samples, p); err != nil {
			t.Fatal(err)
		}
	}
	return samples
}
