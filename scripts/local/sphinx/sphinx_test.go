package sphinx

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-audio/wav"
	"go.uber.org/goleak"

	"earshot.dev/functions/listen/stt"
	client "earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/testspeech"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clips is where Debian's pocketsphinx-testdata puts five sentences of "Sense and Sensibility", read for LibriVox.
const clips = "/usr/share/pocketsphinx/test/data/librivox"

func engine(t testing.TB, limit int) *Engine {
	t.Helper()
	if _, err := os.Stat(DefaultFolder); err != nil {
		t.Skipf("no model (apt-get install pocketsphinx-en-us): %v", err)
	}
	e, err := New("", limit)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(e.Close)
	return e
}

type clip struct {
	pcm   []int16
	words []string // what is said
}

func speech(t testing.TB) []clip {
	t.Helper()
	said, err := os.ReadFile(filepath.Join(clips, "transcription"))
	if err != nil {
		t.Skipf("no speech (apt-get install pocketsphinx-testdata): %v", err)
	}
	var all []clip
	for line := range strings.Lines(string(said)) {
		// <s> the words </s> (name)
		fields := strings.Fields(line)
		name := strings.Trim(fields[len(fields)-1], "()")
		file, err := os.ReadFile(filepath.Join(clips, name+".wav"))
		if err != nil {
			t.Fatal(err)
		}
		samples, err := wav.NewDecoder(bytes.NewReader(file)).FullPCMBuffer() // which reads sample by sample
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := clip{words: fields[1 : len(fields)-2]}
		for _, s := range samples.Data {
			c.pcm = append(c.pcm, int16(s))
		}
		all = append(all, c)
	}
	return all
}

// errorsIn is the edit distance in words. The dictionary's way to write "mister" isn't an error.
func errorsIn(want []string, got []deepgram.Word) int {
	row := make([]int, len(got)+1)
	for j := range row {
		row[j] = j
	}
	for i, w := range want {
		diagonal := row[0]
		row[0] = i + 1
		for j, g := range got {
			cost := 1
			if g.Text == w || g.Text == "mr" && w == "mister" {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(got)]
}

// decode streams the audio in pieces of 100 ms and checks what must hold of any hypothesis.
func decode(t testing.TB, d deepgram.Decoder, pcm []int16) (words []deepgram.Word, interims int) {
	t.Helper()
	var end time.Duration
	check := func(h deepgram.Hypothesis) {
		if h.Start != end || h.End < h.Start {
			t.Errorf("a hypothesis from %v to %v, want it from %v", h.Start, h.End, end)
		}
		at := h.Start
		for _, w := range h.Words {
			if w.Start < at || w.End <= w.Start || w.End > h.End || w.Text == "" || w.Confidence < 0 || w.Confidence > 1 {
				t.Errorf("the word %+v in %v to %v, after %v", w, h.Start, h.End, at)
			}
			at = w.End
		}
		if !h.Final {
			interims++
			return
		}
		words, end = append(words, h.Words...), h.End
	}
	for piece := range slices.Chunk(pcm, rate/10) {
		found, err := d.Decode(piece)
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		for _, h := range found {
			check(h)
		}
	}
	last, err := d.Flush()
	if err != nil {
		t.Fatalf("Flush: %v", err)
	}
	check(last)
	if got, want := end, offset(len(pcm)); got != want {
		t.Errorf("final through %v, want %v", got, want)
	}
	return words, interims
}

func open(t testing.TB, e *Engine) deepgram.Decoder {
	t.Helper()
	d, err := e.Open(t.Context())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return d
}

func texts(words []deepgram.Word) string {
	all := make([]string, 0, len(words))
	for _, w := range words {
		all = append(all, w.Text)
	}
	return strings.Join(all, " ")
}

// The five clips in one stream, with half a second between them. The bound is what the README may say: a third.
func TestAThirdOfTheWordsAreWrong(t *testing.T) {
	var pcm []int16
	var want []string
	for _, c := range speech(t) {
		pcm = slices.Concat(pcm, c.pcm, testspeech.Silence(500*time.Millisecond))
		want = append(want, c.words...)
	}
	d := open(t, engine(t, 1))
	defer d.Close()
	begin := time.Now()
	words, interims := decode(t, d, pcm)
	took := time.Since(begin)
	wrong := float64(errorsIn(want, words)) / float64(len(want))
	t.Logf("%.0f %% of %d words wrong, %.2f of real time, %d interim results: %s",
		100*wrong, len(want), took.Seconds()/offset(len(pcm)).Seconds(), interims, texts(words))
	if wrong > 0.36 {
		t.Errorf("%.0f %% of the words are wrong, want 36 %% or less", 100*wrong)
	}
	if interims < 20 {
		t.Errorf("%d interim results in %v of speech, want 20 or more", interims, offset(len(pcm)))
	}
}

// A model that was used is as good as new: it adapts to a voice, and must forget it.
func TestModelForgets(t *testing.T) {
	e := engine(t, 1)
	c := speech(t)
	var heard [3][]deepgram.Word
	for i, said := range []clip{c[1], c[3], c[1]} {
		d := open(t, e)
		heard[i], _ = decode(t, d, said.pcm)
		d.Close()
	}
	if !slices.Equal(heard[2], heard[0]) {
		t.Errorf("on a used model: %+v\nwant as on a new one: %+v", heard[2], heard[0])
	}
}

func TestOpenWaitsForAModel(t *testing.T) {
	e := engine(t, 2)
	one, two := open(t, e), open(t, e)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third of two: %v, want %v", err, context.DeadlineExceeded)
	}
	opened := make(chan deepgram.Decoder)
	go func() {
		d, err := e.Open(t.Context())
		if err != nil {
			t.Errorf("Open: %v", err)
		}
		opened <- d
	}()
	one.Close()
	(<-opened).Close()
	two.Close()
}

func TestFlushAtAnyTime(t *testing.T) {
	d := open(t, engine(t, 1))
	defer d.Close()
	pcm := speech(t)[1].pcm
	at := time.Duration(0)
	for _, samples := range []int{0, 1, 1, 159, 160, 319, 320, 321, 5000, 0, 12345} {
		found, err := d.Decode(pcm[:samples])
		if err != nil {
			t.Fatalf("Decode of %d samples: %v", samples, err)
		}
		for _, h := range found {
			if h.Final {
				at = h.End
			}
		}
		h, err := d.Flush()
		if err != nil {
			t.Fatalf("Flush after %d samples: %v", samples, err)
		}
		if h.Start != at || h.End != at+offset(samples) || !h.Final {
			t.Errorf("after %d more samples: %v to %v, want %v to %v", samples, h.Start, h.End, at, at+offset(samples))
		}
		at = h.End
	}
}

func TestQuietRoomBecomesFinal(t *testing.T) {
	d := open(t, engine(t, 1))
	defer d.Close()
	found, err := d.Decode(testspeech.Silence(11 * time.Second))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	finals := 0
	for _, h := range found {
		if h.Final {
			finals++
		}
		if len(h.Words) > 0 {
			t.Errorf("heard %q in silence", texts(h.Words))
		}
	}
	if finals != 2 {
		t.Errorf("%d finals in 11 s of silence, want one each 5 s", finals)
	}
}

func TestOverTheSocket(t *testing.T) {
	e := engine(t, 1)
	server := httptest.NewServer(&deepgram.Handler{Key: "secret", Engine: e})
	defer server.Close()
	r, err := client.New(client.Config{URL: server.URL + "/v1/listen", Key: "secret", Client: server.Client()})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	stream, err := r.Open(t.Context(), stt.Options{Language: "en-US", SampleRate: rate, Interim: true})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer func() {
		if err := stream.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	said := speech(t)[3]
	for piece := range slices.Chunk(said.pcm, step) {
		if err := stream.Send(t.Context(), testspeech.Bytes(piece)); err != nil {
			t.Fatalf("Send: %v", err)
		}
	}
	if err := stream.CloseSend(t.Context()); err != nil {
		t.Fatalf("CloseSend: %v", err)
	}
	var words []deepgram.Word
	for {
		result, err := stream.Recv(t.Context())
		if err != nil {
			break
		}
		for _, w := range result.Words {
			if result.Final {
				words = append(words, deepgram.Word{Text: w.Text})
			}
		}
	}
	if wrong := errorsIn(said.words, words); wrong > len(said.words)/2 {
		t.Errorf("%d of %d words are wrong: %q", wrong, len(said.words), texts(words))
	}
}

func TestDictionaryEntries(t *testing.T) {
	tests := []struct{ entry, want string }{
		{"read", "read"},
		{"read(2)", "read"},
		{"i'm", "i'm"},
		{"<s>", ""},
		{"</s>", ""},
		{"<sil>", ""},
		{"[NOISE]", ""},
		{"[SPEECH]", ""},
		{"++UH++", ""},
		{"", ""},
		{"(2)", ""},
	}
	for _, test := range tests {
		if got, ok := spoken(test.entry); got != test.want || ok != (test.want != "") {
			t.Errorf("spoken(%q) = %q, %v, want %q", test.entry, got, ok, test.want)
		}
	}
}

func TestNoModel(t *testing.T) {
	if _, err := New(t.TempDir()+"/missing", 1); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "pocketsphinx-en-us") {
		t.Errorf("missing folder: %v, want it to say what to install", err)
	}
	if _, err := New(t.TempDir(), 1); err == nil {
		t.Error("empty folder: no error")
	}
	if _, err := New("", 0); err == nil {
		t.Error("no connections: no error")
	}
}

func TestLanguages(t *testing.T) {
	for language, want := range map[string]bool{"en": true, "en-US": true, "EN-gb": true, "fi": false, "multi": false, "": false} {
		if got := (&Engine{}).Supports(language); got != want {
			t.Errorf("Supports(%q) = %v, want %v", language, got, want)
		}
	}
}

func TestLevelTellsSpeechFromPauses(t *testing.T) {
	for _, noise := range []int16{0, 10, 100} { // amplitudes
		l := newLevel()
		judge := func(pcm []int16) (speech, steps int) {
			for part := range slices.Chunk(pcm, step) {
				for i := range part {
					part[i] += noise * int16(i%3-1)
				}
				if l.speech(part) {
					speech++
				}
				steps++
			}
			return speech, steps
		}
		judge(make([]int16, 5*rate)) // to find the floor
		if speech, steps := judge(make([]int16, rate)); speech > 0 {
			t.Errorf("noise of %d: %d of %d steps of pause are speech", noise, speech, steps)
		}
		if speech, steps := judge(testspeech.Spaced(0, 1, 2, 3)); speech < steps {
			t.Errorf("noise of %d: %d of %d steps of speech are speech", noise, speech, steps)
		}
	}
}

func BenchmarkSecondOfSpeech(b *testing.B) {
	pcm := speech(b)[3].pcm
	d := open(b, engine(b, 1))
	defer d.Close()
	at := 0
	for b.Loop() {
		if at+rate > len(pcm) {
			at = 0
		}
		if _, err := d.Decode(pcm[at : at+rate]); err != nil {
			b.Fatal(err)
		}
		at += rate
	}
}
