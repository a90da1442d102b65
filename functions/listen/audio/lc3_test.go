//go:build lc3

package audio_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"earshot.dev/functions/listen/audio"
)

// TestLC3AgainstItsTool holds the decoder against dlc3, which leaves out the codec's delay of 2.5 ms.
func TestLC3AgainstItsTool(t *testing.T) {
	if _, err := exec.LookPath("dlc3"); err != nil {
		t.Skip("dlc3 isn't here; it is in Debian's liblc3-tools")
	}
	got := decodeAll(t, newDecoder(t, audio.LC3FS1030, 0), lc3Packets(t))
	wave := filepath.Join(t.TempDir(), "speech.wav")
	run(t, "dlc3", []string{filepath.Join("testdata", "mono16.lc3"), wave}, nil)
	file, err := os.ReadFile(wave)
	if err != nil {
		t.Fatal(err)
	}
	var d difference
	d.add(shorts(file[44:]), scaled(got)[40:])
	t.Logf("difference to dlc3: %v", d)
	if d.noise > 0 || d.signal == 0 {
		t.Errorf("got %v, want none", d)
	}
}

func TestLC3TakesWholePackets(t *testing.T) {
	packets := lc3Packets(t)
	want := decodeAll(t, newDecoder(t, audio.LC3FS1030, 0), packets)
	if len(want) != 160*len(packets) {
		t.Errorf("%d packets: got %d samples, want 10 ms each", len(packets), len(want))
	}
	d := newDecoder(t, audio.LC3FS1030, 0)
	if got, err := d.Decode(nil, bytes.Join(packets, nil)); err != nil || len(got) != len(want) {
		t.Errorf("all in one: got %d samples, error %v; want %d", len(got), err, len(want))
	}
	for _, n := range []int{1, 29, 31, 59} {
		if got, err := d.Decode(nil, bytes.Join(packets, nil)[:n]); err == nil || len(got) > 0 {
			t.Errorf("%d bytes: got %d samples, error %v; want an error", n, len(got), err)
		}
	}
}

// Rubbish between good packets costs no more than itself.
func TestLC3SurvivesRubbish(t *testing.T) {
	good := lc3Packets(t)
	clean := decodeAll(t, newDecoder(t, audio.LC3FS1030, 0), good)
	dirty := newDecoder(t, audio.LC3FS1030, 0)
	random := rand.New(rand.NewPCG(1, 2))
	var got []int16
	refused := 0
	for i, packet := range good {
		if i < len(good)/2 {
			rubbish := make([]byte, 30)
			for j := range rubbish {
				rubbish[j] = byte(random.Uint32())
			}
			if samples, err := dirty.Decode(nil, rubbish); err != nil {
				refused++
				if len(samples) > 0 {
					t.Fatalf("rubbish %x: got %d samples and an error", rubbish, len(samples))
				}
			}
		}
		var err error
		if got, err = dirty.Decode(got, packet); err != nil {
			t.Fatalf("packet %d, after rubbish: %v", i, err)
		}
	}
	if refused == 0 {
		t.Error("no rubbish was refused")
	}
	last := len(clean) * 3 / 4
	if snr := signalToNoise(clean[last:], got[last:]); snr < 20 {
		t.Errorf("half a second after the last rubbish the signal is %.1f dB over the difference, want 20", snr)
	}
}

func FuzzLC3(f *testing.F) {
	good := lc3Packets(f)
	addPackets(f, good)
	for at := range good[5] { // a packet whose byte is another
		damaged := bytes.Clone(good[5])
		damaged[at] ^= 0xff
		f.Add(damaged, good[6])
	}
	f.Add([]byte{}, good[0][:1])
	f.Add(make([]byte, 30), bytes.Repeat([]byte{0xff}, 30))
	f.Add(good[5][:29], bytes.Join(good[:3], nil))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := newDecoder(t, audio.LC3FS1030, 0)
		for _, packet := range [][]byte{first, second, first} {
			got, err := bounded(t, d, packet)
			if want := len(packet) / 30 * 160; err == nil && len(got) != want || err != nil && len(got) > 0 {
				t.Fatalf("%d bytes: got %d samples and error %v, want %d, or none with an error", len(packet), len(got), err, want)
			}
		}
		for i, packet := range good[:20] {
			if got, err := d.Decode(nil, packet); err != nil || len(got) != 160 {
				t.Fatalf("good packet %d: got %d samples, error %v; want 160", i, len(got), err)
			}
		}
	})
}
