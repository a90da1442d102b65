package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"earshot.dev/functions/listen/allocs"
)

// wave is a WAV file: its format chunk, and samples that it says to have so many bytes of.
func wave(format, channels, rate, bits, said int, samples string) string {
	width := channels * bits / 8
	data := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00")
	binary.LittleEndian.PutUint32(data[4:], uint32(36+len(samples)))
	data = binary.LittleEndian.AppendUint16(data, uint16(format))
	data = binary.LittleEndian.AppendUint16(data, uint16(channels))
	data = binary.LittleEndian.AppendUint32(data, uint32(rate))
	data = binary.LittleEndian.AppendUint32(data, uint32(rate*width))
	data = binary.LittleEndian.AppendUint16(data, uint16(width))
	data = binary.LittleEndian.AppendUint16(data, uint16(bits))
	data = append(data, "data"...)
	return string(binary.LittleEndian.AppendUint32(data, uint32(said))) + samples
}

// waves are WAV files as programs write them, and as they don't.
func waves() []string {
	const samples = "\x01\x00\x02\x00\xff\xff\x00\x80\xff\x7f\x03\x00"
	var all []string
	for _, bits := range []int{8, 16, 24, 32, 12} {
		for _, channels := range []int{1, 2, 6} {
			all = append(all, wave(wavPCM, channels, 16000, bits, len(samples), samples))
		}
	}
	plain := wave(wavPCM, 1, 16000, 16, len(samples), samples)
	return append(all, plain[:12], plain[:20], plain[:36], plain[:44], plain[:47], plain+"LIST\x04\x00\x00\x00INFO",
		plain[:12]+"LIST\x04\x00\x00\x00INFO"+plain[12:], plain[:12]+"JUNK\xff\xff\xff\xff"+plain[12:], plain[:12]+plain[36:],
		plain[:16]+"\xff\xff\xff\xff"+plain[20:], plain[:16]+"\x00\x04\x00\x00"+plain[20:],
		wave(wavExtensible, 2, 48000, 24, len(samples), samples), wave(3, 1, 16000, 32, len(samples), samples), wave(wavPCM, 0, 16000, 16, 4, samples),
		wave(wavPCM, 64, 16000, 16, 128, strings.Repeat(samples, 22)), wave(wavPCM, 65, 16000, 16, 130, strings.Repeat(samples, 22)),
		wave(wavPCM, 1, minRate, 16, 4, samples), wave(wavPCM, 1, minRate-1, 16, 4, samples), wave(wavPCM, 1, maxRate, 16, 4, samples),
		wave(wavPCM, 1, -1, 16, 4, samples), wave(wavPCM, 1, 16000, 16, 0, samples), wave(wavPCM, 1, 16000, 16, -1, samples),
		wave(wavPCM, 1, 16000, 16, 3, samples), wave(wavPCM, 1, 16000, 16, 1<<30, samples))
}

func FuzzRead(f *testing.F) {
	for _, seed := range append(waves(), "", "RIFF", "OggS", "fLaC", "ID3\x04", "\xff\xf1\x60\x40", "raw samples, of which there are some") {
		f.Add([]byte(seed))
	}
	for _, name := range []string{"silk20.opus", "celt10.opus", "stereo20.opus"} {
		ogg, err := os.ReadFile(filepath.Join("../../../functions/listen/audio/testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		pages := bytes.SplitAfter(ogg, []byte("OggS"))
		f.Add(ogg)
		f.Add(ogg[:len(ogg)/2])                                      // cut
		f.Add(append(bytes.Clone(ogg), ogg...))                      // chained
		f.Add(append([]byte("OggS"), bytes.Join(pages[2:], nil)...)) // without its head
		damaged := bytes.Clone(ogg)
		damaged[len(ogg)/2] ^= 0xff
		f.Add(damaged)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// At a high rate even a single sample has a whole packet of 20 ms made for it.
		allocs.Most(t, 1<<19+64*uint64(len(data)), func() { readAll(t, data) })
	})
}

func readAll(t *testing.T, data []byte) {
	t.Helper()
	s, err := read(context.Background(), Stdin, bytes.NewReader(data), Wish{})
	if err != nil {
		return
	}
	sent := 0
	for p, err := range s.Packets {
		if err == nil && (len(p.Data) == 0 || p.Duration < 0) {
			t.Errorf("a packet of %d bytes, %v", len(p.Data), p.Duration)
		}
		sent += len(p.Data)
	}
	if sent > 2*len(data) {
		t.Errorf("%d bytes out of %d", sent, len(data))
	}
}
