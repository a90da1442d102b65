package deepgram_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"earshot.dev/functions/listen/stt"
	client "earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/testspeech"
)

func TestRefusals(t *testing.T) {
	server := httptest.NewServer(&deepgram.Handler{Key: key, Engine: deepgram.Exact{}})
	defer server.Close()
	base := "/v1/listen?encoding=linear16&sample_rate=16000"
	tests := []struct {
		name, target, authorization string
		want                        int
		body                        string
	}{
		{"no key", base, "", 401, "INVALID_AUTH"},
		{"wrong key", base, "Token guess", 401, "INVALID_AUTH"},
		{"wrong path", "/v2/listen?encoding=linear16&sample_rate=16000", "Token " + key, 404, "NOT_FOUND"},
		{"no encoding", "/v1/listen?sample_rate=16000", "Token " + key, 400, "encoding"},
		{"other encoding", "/v1/listen?encoding=opus&sample_rate=16000", "Token " + key, 400, "encoding"},
		{"other rate", "/v1/listen?encoding=linear16&sample_rate=8000", "Token " + key, 400, "sample_rate"},
		{"two channels", base + "&channels=2", "Token " + key, 400, "channel"},
		{"no boolean", base + "&diarize=perhaps", "Token " + key, 400, "diarize"},
		{"no upgrade", base, "Bearer " + key, 426, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+test.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", test.authorization)
			response, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != test.want || !strings.Contains(string(body), test.body) {
				t.Errorf("got %d %s, want %d with %q", response.StatusCode, body, test.want, test.body)
			}
		})
	}
}

func TestClientToldApart(t *testing.T) {
	server := httptest.NewServer(&deepgram.Handler{Key: key, Engine: onlyEnglish{}})
	defer server.Close()
	tests := []struct {
		name, key, language string
		want                stt.Failure
	}{
		{"wrong key", "guess", "en", stt.Credentials},
		{"language the server lacks", key, "fi", stt.UnsupportedLanguage},
		{"language nobody has", key, "tlh", stt.UnsupportedLanguage},
		{"engine that fails", key, "en", stt.Unavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := recognizer(t, server, test.key).Open(t.Context(), stt.Options{Language: test.language, SampleRate: 16000})
			if err == nil || stt.FailureOf(err) != test.want {
				t.Errorf("got %v, want it to be %v", err, test.want)
			}
		})
	}
}

// onlyEnglish has no decoder, and would use it for English only.
type onlyEnglish struct{ deepgram.Exact }

func (onlyEnglish) Supports(language string) bool { return language == "en" }

func (onlyEnglish) Open(context.Context) (deepgram.Decoder, error) {
	return nil, errors.New("no model")
}

func TestClientGoneFreesTheDecoder(t *testing.T) {
	engine := &counting{closed: make(chan struct{})}
	server := httptest.NewServer(&deepgram.Handler{Key: key, Engine: engine})
	defer server.Close()
	stream, err := recognizer(t, server, key).Open(t.Context(), english)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	send(t, stream, testspeech.Words(1)[:2000])
	end(t, stream)
	select {
	case <-engine.closed:
	case <-time.After(10 * time.Second):
		t.Error("the decoder isn't closed")
	}
}

type counting struct {
	deepgram.Exact
	closed chan struct{}
}

func (e *counting) Open(ctx context.Context) (deepgram.Decoder, error) {
	decoder, err := e.Exact.Open(ctx)
	return closing{decoder, e.closed}, err
}

type closing struct {
	deepgram.Decoder
	closed chan struct{}
}

func (d closing) Close() {
	d.Decoder.Close()
	close(d.closed)
}

func TestOpenedOverTLSAndItsContextGone(t *testing.T) {
	server := httptest.NewTLSServer(&deepgram.Handler{Key: key, Engine: deepgram.Exact{}})
	defer server.Close()
	r, err := client.New(client.Config{
		URL: strings.Replace(server.URL, "https", "wss", 1) + "/v1/listen", Key: key, Client: server.Client(),
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := r.Open(ctx, english)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer end(t, stream)
	cancel() // it bounds the opening only
	send(t, stream, testspeech.Words(1))
	if err := stream.CloseSend(t.Context()); err != nil {
		t.Fatalf("CloseSend: %v", err)
	}
	if got, want := texts(finals(t, stream, nil)), "w1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The server's socket is cut in the middle of the second word.
func TestServerDiesInMidWord(t *testing.T) {
	conns := make(chan net.Conn, 1)
	server := httptest.NewUnstartedServer(&deepgram.Handler{Key: key, Engine: deepgram.Exact{}})
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateHijacked {
			conns <- conn
		}
	}
	server.Start()
	defer server.Close()
	stream, err := recognizer(t, server, key).Open(t.Context(), english)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer end(t, stream)
	send(t, stream, testspeech.Words(1, 2)[:testspeech.WordSamples*3/2])
	finals(t, stream, func(r stt.Result) bool { return texts(r.Words) == "w1" })
	if err := (<-conns).Close(); err != nil {
		t.Fatalf("cut: %v", err)
	}
	begin := time.Now()
	var failure error
	for failure == nil {
		_, failure = stream.Recv(t.Context())
	}
	if stt.FailureOf(failure) != stt.Unavailable {
		t.Errorf("Recv: %v, want unavailable", failure)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("told after %v, want at once", took)
	}
}

func TestEngineThatFails(t *testing.T) {
	server := httptest.NewServer(&deepgram.Handler{Key: key, Engine: failing{}})
	defer server.Close()
	stream, err := recognizer(t, server, key).Open(t.Context(), english)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer end(t, stream)
	send(t, stream, testspeech.Silence(20*time.Millisecond))
	if _, err := stream.Recv(t.Context()); stt.FailureOf(err) != stt.Unavailable || !strings.Contains(err.Error(), "engine") {
		t.Errorf("Recv: %v, want unavailable for the engine's failure", err)
	}
}

type failing struct{ deepgram.Exact }

func (failing) Open(context.Context) (deepgram.Decoder, error) { return failing{}, nil }

func (failing) Decode([]int16) ([]deepgram.Hypothesis, error) { return nil, errors.New("broken") }
func (failing) Flush() (deepgram.Hypothesis, error)           { return deepgram.Hypothesis{}, nil }
func (failing) Close()                                        {}
