package audio_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pion/opus"

	"earshot.dev/functions/listen/audio"
)

// The speech that the comparison with libopus is made on: two clips, 8 s, of Debian's package
// pocketsphinx-testdata. Those of all five, 25 s, are in opusSource's documentation.
const librivox = "/usr/share/pocketsphinx/test/data/librivox/*-08[89]0.wav"

// TestOpusAgainstLibopus encodes real speech with opusenc, decodes it with opusdec (libopus) and with ours, and
// says how much of a difference there is: at 48 kHz, where decoder stands against decoder, and at 16 kHz. There
// opusdec decodes at 48 kHz all the same and resamples, which accounts for most of the difference.
func TestOpusAgainstLibopus(t *testing.T) {
	clips, err := filepath.Glob(librivox)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"opusenc", "opusdec"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s isn't here; it is in Debian's opus-tools", tool)
		}
	}
	if len(clips) == 0 {
		t.Skipf("no speech at %s; it is in Debian's pocketsphinx-testdata", librivox)
	}
	clips = clips[:min(2, len(clips))] // the others say the same, and take a minute
	for _, options := range []string{
		"--speech --bitrate 8 --framesize 10",
		"--speech --bitrate 8 --framesize 20",
		"--speech --bitrate 12 --framesize 10",
		"--speech --bitrate 12 --framesize 20",
		"--speech --bitrate 16 --framesize 60",
		"--speech --bitrate 24 --framesize 20",
		"--speech --bitrate 32 --framesize 10",
		"--speech --bitrate 32 --framesize 20",
		"--speech --bitrate 48 --framesize 20",
		"--music --bitrate 16 --framesize 10",
		"--music --bitrate 24 --framesize 20",
		"--music --bitrate 32 --framesize 20",
		"--music --bitrate 64 --framesize 10",
		"--music --bitrate 64 --framesize 20",
		"--music --bitrate 96 --framesize 2.5",
	} {
		t.Run(options, func(t *testing.T) {
			var full, narrow difference
			late := math.NaN()
			modes := map[string]bool{}
			for _, clip := range clips {
				file := run(t, "opusenc", append(strings.Fields(options), "--quiet", clip, "-"), nil)
				packets, skip := opusPackets(t, file)
				for _, p := range packets {
					modes[mode(p)] = true
				}
				want := floats(run(t, "opusdec", []string{"--quiet", "--float", "--rate", "48000", "-", "-"}, file))
				all := decodeFloat(t, packets)
				full.add(want, all[skip:])

				want = shorts(run(t, "opusdec", []string{"--quiet", "--no-dither", "--rate", "16000", "-", "-"}, file))
				enough := (skip+3*(part+20))/(len(all)/len(packets)) + 1
				got := decodeAll(t, newDecoder(t, audio.Opus, 16000), packets[:enough])
				want, samples := want[:part], scaled(got)[skip/3:][:part+20]
				if math.IsNaN(late) {
					late = lateness(want, samples)
				}
				narrow.add(want, delayed(samples, -late))
			}
			t.Logf("%-26s 48 kHz: %v; 16 kHz: %v", keys(modes), full, narrow)
			floor := 40.0 // libopus decodes SILK in integers, the library in floating point
			if len(modes) == 1 && modes["CELT"] {
				floor = 90
			}
			if full.snr() < floor || narrow.snr() < 18 {
				t.Errorf("want %v dB at 48 kHz and 18 dB at 16 kHz", floor)
			}
		})
	}
}

// part is how much of each clip is compared at 16 kHz, in samples.
const part = audio.SampleRate

// difference adds up by how much two decoders differ, in parts of full scale.
type difference struct {
	signal, noise, largest float64
}

func (d *difference) add(want, got []float64) {
	for i, w := range want[:min(len(want), len(got))] {
		off := got[i] - w
		d.signal += w * w
		d.noise += off * off
		d.largest = math.Max(d.largest, math.Abs(off))
	}
}

func (d difference) snr() float64 { return 10 * math.Log10(d.signal/math.Max(d.noise, 1e-12)) }

func (d difference) String() string {
	return fmt.Sprintf("%5.1f dB, at most %5.1f/32768", d.snr(), 32768*d.largest)
}

// lateness finds by what part of a sample got is later than want: how late SILK comes out depends on the output
// rate, by libopus' own table.
func lateness(want, got []float64) float64 {
	likeness := func(late float64) float64 {
		var d difference
		d.add(want, delayed(got, -late))
		return d.snr()
	}
	low, high := -1.5, 1.5
	for high-low > 0.002 {
		a, b := low+(high-low)/3, high-(high-low)/3
		if likeness(a) > likeness(b) {
			high = b
		} else {
			low = a
		}
	}
	return (low + high) / 2
}

// delayed gives samples later by part of a sample, with a sinc under a Hann window.
func delayed(samples []float64, by float64) []float64 {
	const reach = 16
	taps := make([]float64, 2*reach+1)
	for i := range taps {
		at := float64(i-reach) - by
		taps[i] = math.Pow(math.Cos(math.Pi*at/(2*reach+4)), 2)
		if at != 0 {
			taps[i] *= math.Sin(math.Pi*at) / (math.Pi * at)
		}
	}
	out := make([]float64, len(samples))
	padded := slices.Concat(make([]float64, reach), samples, make([]float64, reach))
	slices.Reverse(taps)
	for i := range out {
		sum, around := 0.0, padded[i:][:len(taps)]
		for j, tap := range taps {
			sum += tap * around[j]
		}
		out[i] = sum
	}
	return out
}

// decodeFloat decodes at 48 kHz with the library alone.
func decodeFloat(t *testing.T, packets [][]byte) []float64 {
	d, err := opus.NewDecoderWithOutput(48000, 1)
	if err != nil {
		t.Fatal(err)
	}
	var all []float64
	out := make([]float32, 5760)
	for _, p := range packets {
		n, err := d.DecodeToFloat32(p, out)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out[:n] {
			all = append(all, float64(v))
		}
	}
	return all
}

func mode(packet []byte) string {
	switch config := packet[0] >> 3; { // RFC 6716, section 3.1
	case config < 12:
		return "SILK"
	case config < 16:
		return "hybrid"
	default:
		return "CELT"
	}
}

func keys(set map[string]bool) string {
	var names []string
	for _, name := range []string{"SILK", "hybrid", "CELT"} {
		if set[name] {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}

func run(t *testing.T, tool string, args []string, stdin []byte) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool, args...)
	var stdout bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v", tool, args, err)
	}
	return stdout.Bytes()
}

func floats(raw []byte) []float64 {
	var all []float64
	for ; len(raw) >= 4; raw = raw[4:] {
		all = append(all, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
	}
	return all
}

func shorts(raw []byte) []float64 {
	var all []float64
	for ; len(raw) >= 2; raw = raw[2:] {
		all = append(all, float64(int16(binary.LittleEndian.Uint16(raw)))/32768)
	}
	return all
}

func scaled(samples []int16) []float64 {
	var all []float64
	for _, v := range samples {
		all = append(all, float64(v)/32768)
	}
	return all
}
