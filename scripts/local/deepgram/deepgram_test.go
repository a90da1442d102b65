package deepgram_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot.dev/functions/listen/stt"
	client "earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/testspeech"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "secret"

var english = stt.Options{Language: "en", SampleRate: testspeech.Rate, Interim: true}

// open is a client's stream to a server with the exact engine, over a real socket.
func open(t *testing.T, o stt.Options) stt.Stream {
	t.Helper()
	server := httptest.NewServer(&deepgram.Handler{Key: key, Engine: deepgram.Exact{}})
	t.Cleanup(server.Close)
	stream, err := recognizer(t, server, key).Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { end(t, stream) })
	return stream
}

func end(t *testing.T, stream stt.Stream) {
	t.Helper()
	if err := stream.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func recognizer(t *testing.T, server *httptest.Server, key string) *client.Recognizer {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	r, err := client.New(client.Config{
		URL: server.URL + "/v1/listen", Key: key, Client: &http.Client{Transport: transport}, Silence: 5 * time.Second,
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

// send passes the samples on in pieces of a length that has nothing to do with frames.
func send(t *testing.T, stream stt.Stream, pcm []int16) {
	t.Helper()
	for piece := range slices.Chunk(pcm, 441) {
		if err := stream.Send(t.Context(), testspeech.Bytes(piece)); err != nil {
			t.Fatalf("Send: %v", err)
		}
	}
}

// finals receives until enough says so, or the stream ends, and gives the words of all finals.
func finals(t *testing.T, stream stt.Stream, enough func(stt.Result) bool) []stt.Word {
	t.Helper()
	var words []stt.Word
	var end time.Duration
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		r, err := stream.Recv(ctx)
		cancel()
		if errors.Is(err, io.EOF) {
			return words
		}
		if err != nil {
			t.Fatalf("Recv: %v", err)
		}
		if r.Start != end {
			t.Errorf("a result begins at %v, want %v, where the last final ended", r.Start, end)
		}
		if r.Final {
			words, end = append(words, r.Words...), r.End
		}
		if enough != nil && enough(r) {
			return words
		}
	}
}

func texts(words []stt.Word) string {
	all := make([]string, 0, len(words))
	for _, w := range words {
		all = append(all, w.Text)
	}
	return strings.Join(all, " ")
}

func TestEveryWordOnceWithItsTime(t *testing.T) {
	stream := open(t, english)
	var numbers []uint32
	for n := range uint32(60) {
		numbers = append(numbers, n+1000)
	}
	send(t, stream, testspeech.Silence(777*time.Millisecond))
	send(t, stream, testspeech.Words(numbers...))
	if err := stream.CloseSend(t.Context()); err != nil {
		t.Fatalf("CloseSend: %v", err)
	}
	words := finals(t, stream, nil)
	if len(words) != len(numbers) {
		t.Fatalf("got %d words %q, want %d", len(words), texts(words), len(numbers))
	}
	for i, got := range words {
		start := 777*time.Millisecond + time.Duration(i)*(testspeech.WordDuration+testspeech.Gap)
		want := stt.Word{Text: testspeech.Text(numbers[i]), Start: start, End: start + testspeech.WordDuration}
		if got != want {
			t.Errorf("word %d: got %+v, want %+v", i, got, want)
		}
	}
	if _, err := stream.Recv(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Recv after the end: %v, want %v again", err, io.EOF)
	}
}

func TestWordsShowWhileSpeaking(t *testing.T) {
	stream := open(t, english)
	send(t, stream, testspeech.Words(1, 2))
	var last stt.Result
	finals(t, stream, func(r stt.Result) bool {
		last = r
		return len(r.Words) == 2
	})
	if got := texts(last.Words); last.Final || got != "w1 w2" {
		t.Errorf("got %q, final %v; want the interim %q", got, last.Final, "w1 w2")
	}
}

func TestNoInterimUnlessAsked(t *testing.T) {
	quiet := english
	quiet.Interim = false
	stream := open(t, quiet)
	send(t, stream, testspeech.Words(1, 2, 3))
	if err := stream.CloseSend(t.Context()); err != nil {
		t.Fatalf("CloseSend: %v", err)
	}
	words := finals(t, stream, func(r stt.Result) bool {
		if !r.Final {
			t.Errorf("got the interim %q", texts(r.Words))
		}
		return false
	})
	if got, want := texts(words), "w1 w2 w3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFinalizeIsAnsweredAtOnce(t *testing.T) {
	stream := open(t, english)
	for round := range uint32(3) {
		send(t, stream, testspeech.Words(round))
		begin := time.Now()
		if err := stream.Finalize(t.Context()); err != nil {
			t.Fatalf("Finalize: %v", err)
		}
		words := finalsFrom(t, stream)
		if got, want := texts(words), testspeech.Text(round); got != want {
			t.Errorf("round %d: got %q, want %q", round, got, want)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("round %d: flushed after %v, want it at once", round, took)
		}
	}
}

// finalsFrom is finals through the answer to Finalize, on a stream that had finals before.
func finalsFrom(t *testing.T, stream stt.Stream) []stt.Word {
	t.Helper()
	var words []stt.Word
	for {
		r, err := stream.Recv(t.Context())
		if err != nil {
			t.Fatalf("Recv: %v", err)
		}
		if r.Final {
			words = append(words, r.Words...)
		}
		if r.Flushed {
			return words
		}
	}
}

func TestMissingFramesShow(t *testing.T) {
	words := testspeech.Spaced(0, 1, 2, 3)
	frame := testspeech.FrameSamples
	tests := []struct {
		name string
		pcm  []int16
		want string
	}{
		{"whole", words, "w1 w2 w3"},
		{"a frame in the middle lost", slices.Concat(words[:15*frame], words[16*frame:]), "w1 w2? w3"},
		{"part of a frame lost", slices.Concat(words[:15*frame+100], words[15*frame+200:]), "w1 w2? w3"},
		{"a frame zeroed", slices.Concat(words[:15*frame], make([]int16, frame), words[16*frame:]), "w1 w2? w3"},
		{"first frame lost", slices.Concat(words[:12*frame], words[13*frame:]), "w1 w2? w3"},
		{"last frame lost", slices.Concat(words[:23*frame], words[24*frame:]), "w1 w2? w3"},
		{"end of the last frame lost", words[:36*frame-1], "w1 w2 w3?"},
		{"a word lost", slices.Concat(words[:12*frame], words[24*frame:]), "w1 w3"},
		{"a word twice", slices.Concat(words[:24*frame], words[12*frame:]), "w1 w2 w2 w3"},
		{"a frame twice", slices.Concat(words[:16*frame], words[15*frame:]), "w1 w2? w2? w3"},
		{"broken off", words[:18*frame], "w1 w2?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stream := open(t, english)
			send(t, stream, slices.Concat(testspeech.Silence(33*time.Millisecond), test.pcm))
			if err := stream.CloseSend(t.Context()); err != nil {
				t.Fatalf("CloseSend: %v", err)
			}
			if got := texts(finals(t, stream, nil)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSilenceBecomesFinalToo(t *testing.T) {
	stream := open(t, english)
	send(t, stream, testspeech.Silence(12*time.Second))
	var end time.Duration
	words := finals(t, stream, func(r stt.Result) bool {
		end = r.End
		return r.Final && r.End >= 10*time.Second
	})
	if len(words) != 0 {
		t.Errorf("heard %q in silence", texts(words))
	}
	if end > 12*time.Second {
		t.Errorf("final through %v of 12 s", end)
	}
}
