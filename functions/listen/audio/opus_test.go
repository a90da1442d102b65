package audio_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/pion/opus/pkg/oggreader"

	"earshot.dev/functions/listen/allocs"
	"earshot.dev/functions/listen/audio"
)

// Rubbish between good packets costs errors or noise, never the process, and never what follows for long.
func TestOpusSurvivesRubbish(t *testing.T) {
	for _, name := range []string{"silk20.opus", "hybrid20.opus", "celt20.opus", "stereo20.opus"} {
		good := speech(t, name)
		clean := decodeAll(t, newDecoder(t, audio.OpusFS320, 16000), good)
		dirty := newDecoder(t, audio.OpusFS320, 16000)
		random := rand.New(rand.NewPCG(1, 2))
		var got []int16
		for i, packet := range good {
			if i%10 == 5 && i < len(good)/2 {
				for range 20 {
					spoil(t, dirty, random, packet)
				}
			}
			var err error
			if got, err = dirty.Decode(got, packet); err != nil {
				t.Fatalf("%s, packet %d, after rubbish: got %v, want it decoded", name, i, err)
			}
		}
		if len(got) != len(clean) {
			t.Fatalf("%s: got %d samples, want %d", name, len(got), len(clean))
		}
		last := len(clean) * 3 / 4
		if snr := signalToNoise(clean[last:], got[last:]); snr < 20 {
			t.Errorf("%s: half a second after the last rubbish the signal is %.1f dB over the difference, want 20", name, snr)
		}
	}
}

// spoil decodes a packet of random bytes, or a good one with some bytes changed.
func spoil(t *testing.T, d *audio.Decoder, random *rand.Rand, packet []byte) {
	bad := bytes.Clone(packet)
	if random.IntN(2) == 0 {
		bad = make([]byte, random.IntN(200))
	}
	for i := range bad {
		if random.IntN(3) == 0 {
			bad[i] = byte(random.Uint32())
		}
	}
	got, err := d.Decode(nil, bad)
	if err != nil && len(got) > 0 {
		t.Fatalf("packet %x: got %d samples and an error", bad, len(got))
	}
	if longest := audio.SampleRate * 120 / 1000; len(got) > longest {
		t.Fatalf("packet %x: got %d samples, want %d at most", bad, len(got), longest)
	}
}

// Packets of several frames decode up to 120 ms, and no further.
func TestOpusPacketLengths(t *testing.T) {
	frame := speech(t, "silk20.opus")[10]
	joined := func(n int) []byte {
		p := []byte{frame[0]&^3 | 3, 0x80 | byte(n)} // code 3, frames of any size (RFC 6716, section 3.2.5)
		for range n - 1 {
			p = append(p, byte(len(frame)-1))
		}
		for range n {
			p = append(p, frame[1:]...)
		}
		return p
	}
	for n := 1; n <= 6; n++ {
		got, err := newDecoder(t, audio.Opus, 16000).Decode(nil, joined(n))
		if err != nil || len(got) != 320*n {
			t.Errorf("%d frames of 20 ms: got %d samples, error %v; want %d", n, len(got), err, 320*n)
		}
	}
	if got, err := newDecoder(t, audio.Opus, 16000).Decode(nil, joined(7)); err == nil || len(got) > 0 {
		t.Errorf("140 ms: got %d samples, error %v; want an error", len(got), err)
	}
}

// Stereo is mixed down: both ears are heard.
func TestOpusStereo(t *testing.T) {
	got := decodeAll(t, newDecoder(t, audio.Opus, 16000), speech(t, "stereo20.opus"))
	want := decodeAll(t, newDecoder(t, audio.Opus, 16000), speech(t, "celt20.opus"))
	// The same speech, at full strength on the left and at none on the right: half of it in the middle.
	if ratio := rms(got) / rms(want); ratio < 0.4 || ratio > 0.6 {
		t.Errorf("speech on one side: got %.2f of its strength, want about half", ratio)
	}
}

func FuzzOpus(f *testing.F) {
	for _, name := range []string{"silk10.opus", "silk20.opus", "hybrid20.opus", "celt10.opus", "celt20.opus", "stereo20.opus"} {
		addPackets(f, speech(f, name))
	}
	for toc := range 256 / 8 { // each configuration (RFC 6716 section 3.1) without its frames, and with some rubbish
		f.Add([]byte{byte(toc << 3)}, []byte{byte(toc<<3) | 3, 0x3f})
		f.Add(append([]byte{byte(toc<<3) | 4}, "the frames of a packet"...), []byte{byte(toc<<3) | 3, 0xc2, 0xff, 0xff, 1, 2, 3})
	}
	f.Add([]byte{}, []byte{0xff})
	f.Add([]byte{0xff, 0xff}, []byte{0x03, 0x3f})
	good := speech(f, "silk20.opus")[:20]
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := newDecoder(t, audio.Opus, 16000)
		for _, packet := range [][]byte{first, second, first} {
			got, err := bounded(t, d, packet)
			if longest := audio.SampleRate * 120 / 1000; len(got) > longest || err != nil && len(got) > 0 {
				t.Fatalf("got %d samples and error %v, want %d at most and none with an error", len(got), err, longest)
			}
		}
		for i, packet := range good {
			if got, err := d.Decode(nil, packet); err != nil || len(got) != 320 {
				t.Fatalf("good packet %d: got %d samples, error %v; want 320", i, len(got), err)
			}
		}
	})
}

// addPackets makes seeds of every ninth packet: the one, and one of another moment.
func addPackets(f *testing.F, packets [][]byte) {
	for i := 0; i < len(packets); i += 9 {
		f.Add(packets[i], packets[(i+len(packets)/2)%len(packets)])
	}
}

// bounded decodes a packet, and holds the decoder to what a session reckons with (BenchmarkMemory): whatever the packet
// says, no more is allocated than four times what the longest decodes to.
func bounded(t testing.TB, d *audio.Decoder, packet []byte) (pcm []int16, err error) {
	t.Helper()
	allocs.Most(t, 1<<20, func() { pcm, err = d.Decode(nil, packet) })
	return pcm, err
}

// speech reads the packets of a file in testdata.
func speech(t testing.TB, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	packets, _ := opusPackets(t, data)
	return packets
}

// opusPackets reads the packets of an Ogg Opus file (RFC 7845), and how many samples at 48 kHz are to be skipped.
func opusPackets(t testing.TB, file []byte) (packets [][]byte, skip int) {
	t.Helper()
	r, header, err := oggreader.NewWith(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		packet, _, err := r.ParseNextPacket()
		if errors.Is(err, io.EOF) {
			return packets, int(header.PreSkip)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(packet, []byte("OpusTags")) {
			packets = append(packets, packet)
		}
	}
}

// signalToNoise says, in dB, how much stronger want is than the difference between got and it.
func signalToNoise(want, got []int16) float64 {
	var signal, noise float64
	for i, w := range want {
		difference := float64(got[i]) - float64(w)
		signal += float64(w) * float64(w)
		noise += difference * difference
	}
	return 10 * math.Log10(signal/math.Max(noise, 1e-9))
}
