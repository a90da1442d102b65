package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-audio/audio"
	"github.com/go-audio/wav"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collect goes through packets, and gives all their data, how long they last, and each one's duration.
func collect(t *testing.T, packets iter.Seq2[Packet, error]) (data []byte, total time.Duration, each []time.Duration) {
	t.Helper()
	for p, err := range packets {
		if err != nil {
			t.Fatalf("packet %d: %v", len(each), err)
		}
		data, total, each = append(data, p.Data...), total+p.Duration, append(each, p.Duration)
	}
	return data, total, each
}

// writeWAV writes samples of so many bits, interleaved, to a file.
func writeWAV(t *testing.T, rate, bits, channels int, samples ...int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "test.wav")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	e := wav.NewEncoder(file, rate, bits, channels, wavPCM)
	buffer := &audio.IntBuffer{
		Format: &audio.Format{NumChannels: channels, SampleRate: rate}, SourceBitDepth: bits, Data: samples,
	}
	if err := errors.Join(e.Write(buffer), e.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

func pcm(samples ...int16) []byte {
	var data []byte
	for _, s := range samples {
		data = binary.LittleEndian.AppendUint16(data, uint16(s))
	}
	return data
}

func TestWAVBecomesMonoPCM16(t *testing.T) {
	tests := []struct {
		name           string
		bits, channels int
		samples        []int
		want           []int16
	}{
		{"16 bit mono", 16, 1, []int{0, 1, -1, 32767, -32768}, []int16{0, 1, -1, 32767, -32768}},
		{"16 bit stereo", 16, 2, []int{100, 200, 32767, 32767, -32768, 32767}, []int16{150, 32767, 0}},
		{"8 bit", 8, 1, []int{128, 0, 255, 129}, []int16{0, -32768, 32512, 256}},
		{"24 bit", 24, 1, []int{0x123456, -0x123456}, []int16{0x1234, -0x1235}},
		{"32 bit", 32, 1, []int{0x12345678}, []int16{0x1234}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Open(t.Context(), writeWAV(t, 44100, test.bits, test.channels, test.samples...), Wish{Rate: 8000})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Codec != PCM16 || s.Rate != 44100 {
				t.Errorf("%s at %d Hz, want %s at 44100", s.Codec, s.Rate, PCM16)
			}
			if got, _, _ := collect(t, s.Packets); !bytes.Equal(got, pcm(test.want...)) {
				t.Errorf("got % x, want % x", got, pcm(test.want...))
			}
		})
	}
}

func TestWAVOfUnknownLengthGoesToItsEnd(t *testing.T) {
	name := writeWAV(t, 16000, 16, 1, 1, 2, 3)
	for at := 40; at < 44; at++ {
		patch(t, name, at, 0xFF)
	}
	s, err := Open(t.Context(), name, Wish{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, _, _ := collect(t, s.Packets); !bytes.HasPrefix(got, pcm(1, 2, 3)) {
		t.Errorf("got % x, want % x", got, pcm(1, 2, 3))
	}
}

func TestPacketsLastTwentyMilliseconds(t *testing.T) {
	for _, rate := range []int{8000, 16000, 22050, 44100, 48000} {
		samples := make([]byte, 2*rate) // a second
		s, err := PCM(t.Context(), bytes.NewReader(samples), Wish{Rate: rate})
		if err != nil {
			t.Fatal(err)
		}
		data, total, each := collect(t, s.Packets)
		if len(data) != len(samples) || (total-time.Second).Abs() > time.Millisecond {
			t.Errorf("at %d Hz: %d bytes in %v, want %d in 1s", rate, len(data), total, len(samples))
		}
		if each[0] != 20*time.Millisecond {
			t.Errorf("at %d Hz: packets of %v, want 20ms", rate, each[0])
		}
	}
}

func TestPCM8IsTheUpperByteUnsigned(t *testing.T) {
	s, err := PCM(t.Context(), bytes.NewReader(pcm(0, -32768, 32767, 256)), Wish{Codec: PCM8, Rate: 8000})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := collect(t, s.Packets); !bytes.Equal(got, []byte{0x80, 0, 0xFF, 0x81}) {
		t.Errorf("got % x, want 80 00 ff 81", got)
	}
}

func TestWAVCanBeHadAsOpusAndReadBack(t *testing.T) {
	samples := make([]int, 16000)
	for i := range samples {
		samples[i] = (i%80 - 40) * 200 // 200 Hz
	}
	name := writeWAV(t, 16000, 16, 1, samples...)
	for codec, want := range map[string]time.Duration{Opus: 10 * time.Millisecond, OpusFS320: 20 * time.Millisecond} {
		s, err := Open(t.Context(), name, Wish{Codec: codec})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		data, total, each := collect(t, s.Packets)
		if total < time.Second || total > 1100*time.Millisecond {
			t.Errorf("%s: %v of audio, want a second and the encoder's delay", codec, total)
		}
		if other := slices.ContainsFunc(each, func(d time.Duration) bool { return d != want }); other {
			t.Errorf("%s: packets of %v, want all of %v", codec, each, want)
		}
		if s.Codec != codec || s.Rate != 16000 || len(data) == 0 || bytes.Contains(data, []byte("Opus")) {
			t.Errorf("%s at %d Hz, %d bytes; want %s at 16000 without headers", s.Codec, s.Rate, len(data), codec)
		}
	}
}

func TestEncoderEndsWithItsReader(t *testing.T) {
	endless, end := io.Pipe()
	defer end.Close() // which never fails
	// Until the pipe is closed.
	go func() {
		for _, err := end.Write(make([]byte, 3200)); err == nil; _, err = end.Write(make([]byte, 3200)) {
		}
	}()
	s, err := PCM(t.Context(), endless, Wish{Codec: OpusFS320, Rate: 16000})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.Packets {
		if err != nil {
			t.Fatal(err)
		}
		break // goleak looks for what is left behind
	}
	if err := endless.Close(); err != nil {
		t.Fatal(err)
	}
}

// What came before the stop is given, whether or not more comes, and however it is encoded.
func TestInputEndsWhenItIsStopped(t *testing.T) {
	for _, codec := range []string{PCM16, OpusFS320} {
		microphone, speak := io.Pipe()
		stop := make(chan struct{})
		s, err := PCM(t.Context(), newLive(microphone, stop), Wish{Codec: codec, Rate: 16000})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = speak.Write(make([]byte, 32000)) // a second; what is missing is seen below
			_, _ = speak.Write(make([]byte, 2))     // taken once all before is passed on
			close(stop)
		}()
		if _, total, _ := collect(t, s.Packets); total < time.Second {
			t.Errorf("%s: %v of audio came before the stop, want a second", codec, total)
		}
		if err := microphone.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFileEndsWhenItIsStopped(t *testing.T) {
	stop := make(chan struct{})
	s, err := Open(t.Context(), writeWAV(t, 16000, 16, 1, make([]int, 16000)...), Wish{Stop: stop})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	for _, err := range s.Packets {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			close(stop)
		}
	}
	if n != 3 {
		t.Errorf("%d packets, want the 3 before the stop", n)
	}
}

func TestMissingEncoderIsNamed(t *testing.T) {
	t.Setenv("PATH", "")
	s, err := PCM(t.Context(), bytes.NewReader(pcm(1, 2, 3)), Wish{Codec: OpusFS320, Rate: 16000})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.Packets {
		if err == nil || !strings.Contains(err.Error(), "opus-tools") {
			t.Errorf("got error %v, want one that names opus-tools", err)
		}
	}
}

func TestWhatIsNoAudioIsRefused(t *testing.T) {
	float := writeWAV(t, 16000, 32, 1, 1, 2, 3)
	patch(t, float, 20, 3) // WAVE_FORMAT_IEEE_FLOAT
	tests := []struct {
		name, file string
		wish       Wish
		want       string
	}{
		{"no file", filepath.Join(t.TempDir(), "none"), Wish{}, "no such file"},
		{"a folder", t.TempDir(), Wish{}, ": is a directory"},
		{"empty", write(t, "a.wav", ""), Wish{}, "too short"},
		{"RIFF and nothing", write(t, "a.wav", "RIFF"), Wish{}, "WAV"},
		{"no samples", write(t, "a.wav", "RIFF\x04\x00\x00\x00WAVE"), Wish{}, "WAV"},
		{"MP3", write(t, "a.mp3", "ID3 and more"), Wish{}, "neither WAV nor Ogg Opus"},
		{"text", write(t, "raw", "raw samples"), Wish{}, "neither WAV nor Ogg Opus"},
		{"float samples", float, Wish{}, "format 3"},
		{"Ogg as PCM", write(t, "a.ogg", "OggS and more"), Wish{Codec: PCM16}, "Opus already"},
		{"unknown codec", write(t, "a.PCM", "raw samples"), Wish{Codec: "mp3"}, `"mp3"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Open(t.Context(), test.file, test.wish)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func write(t *testing.T, base, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), base)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func patch(t *testing.T, name string, at int, b byte) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[at] = b
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpusDuration(t *testing.T) {
	tests := []struct {
		packet []byte
		want   time.Duration // 0: refused
	}{
		{[]byte{0 << 3}, 10 * time.Millisecond},
		{[]byte{9 << 3}, 20 * time.Millisecond},
		{[]byte{11 << 3}, 60 * time.Millisecond},
		{[]byte{13 << 3}, 20 * time.Millisecond},
		{[]byte{16 << 3}, 2500 * time.Microsecond},
		{[]byte{31<<3 | 1}, 40 * time.Millisecond},
		{[]byte{11<<3 | 2}, 120 * time.Millisecond},
		{[]byte{9<<3 | 3, 0xC0 | 3}, 60 * time.Millisecond},
		{[]byte{9<<3 | 3}, 0},
		{[]byte{9<<3 | 3, 0}, 0},
		{[]byte{11<<3 | 3, 3}, 0},
		{nil, 0},
	}
	for _, test := range tests {
		got, err := opusDuration(test.packet)
		if got != test.want || (err != nil) != (test.want == 0) {
			t.Errorf("%x: %v, error %v; want %v", test.packet, got, err, test.want)
		}
	}
}

func TestSilence(t *testing.T) {
	for codec, want := range map[string][]byte{
		PCM8:      bytes.Repeat([]byte{0x80}, 160),
		PCM16:     make([]byte, 320),
		OpusFS320: {0xF8, 0xFF, 0xFE},
	} {
		n := 0
		for p, err := range (&Source{Codec: codec, Rate: 8000}).Silence(time.Second) {
			if n++; err != nil || p.Duration != 20*time.Millisecond || !bytes.Equal(p.Data, want) {
				t.Fatalf("%s: got %v of %v, %v; want %v", codec, p.Data, p.Duration, err, want)
			}
		}
		if n != 50 {
			t.Errorf("%s: %d packets in a second", codec, n)
		}
	}
}
