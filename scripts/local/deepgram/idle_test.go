package deepgram_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	client "earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/shared/pipetest"
)

func TestIdleStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := pipetest.Serve(t, (&deepgram.Handler{Key: key, Engine: deepgram.Exact{}}).ServeHTTP)
		r, err := client.New(client.Config{URL: "ws://local/v1/listen", Key: key, Client: local})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		stream, err := r.Open(t.Context(), english)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		defer end(t, stream)
		<-time.After(10 * time.Minute) // the bubble's time
		send(t, stream, testspeech.Words(5))
		if err := stream.Finalize(t.Context()); err != nil {
			t.Fatalf("Finalize: %v", err)
		}
		if got, want := texts(finalsFrom(t, stream)), "w5"; got != want {
			t.Errorf("after ten idle minutes: got %q, want %q", got, want)
		}
	})
}

func TestServerGivesUpOnAClientThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := pipetest.Serve(t, (&deepgram.Handler{Key: key, Engine: deepgram.Exact{}}).ServeHTTP)
		conn := dial(t, local)
		defer conn.CloseNow()
		begin := time.Now()
		_, _, err := conn.Read(t.Context())
		if got := websocket.CloseStatus(err); got != websocket.StatusInternalError {
			t.Errorf("got %v, want a close with %v", err, websocket.StatusInternalError)
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("closed after %v, want 10s", took)
		}
	})
}

func TestServerRefusesWhatItCannotUnderstand(t *testing.T) {
	for _, said := range []string{"{", `"KeepAlive"`, `{"type":"Sing"}`} {
		synctest.Test(t, func(t *testing.T) {
			local := pipetest.Serve(t, (&deepgram.Handler{Key: key, Engine: deepgram.Exact{}}).ServeHTTP)
			conn := dial(t, local)
			defer conn.CloseNow()
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(said)); err != nil {
				t.Fatalf("Write: %v", err)
			}
			_, _, err := conn.Read(t.Context())
			if got := websocket.CloseStatus(err); got != websocket.StatusPolicyViolation {
				t.Errorf("%s: got %v, want a close with %v", said, err, websocket.StatusPolicyViolation)
			}
		})
	}
}

// A message may end within a sample, and an empty one closes the stream, as with Deepgram.
func TestHalfSamplesAndTheOldClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := pipetest.Serve(t, (&deepgram.Handler{Key: key, Engine: deepgram.Exact{}}).ServeHTTP)
		conn := dial(t, local)
		defer conn.CloseNow()
		audio := testspeech.Bytes(testspeech.Words(9))
		for len(audio) > 0 {
			n := min(777, len(audio))
			if err := conn.Write(t.Context(), websocket.MessageBinary, audio[:n]); err != nil {
				t.Fatalf("Write: %v", err)
			}
			audio = audio[n:]
		}
		if err := conn.Write(t.Context(), websocket.MessageBinary, nil); err != nil {
			t.Fatalf("Write: %v", err)
		}
		want := []string{`"transcript":"w9"`, `"type":"Metadata"`}
		for {
			_, data, err := conn.Read(t.Context())
			if err != nil {
				if websocket.CloseStatus(err) != websocket.StatusNormalClosure || len(want) > 0 {
					t.Errorf("got %v, with %q still wanted", err, want)
				}
				return
			}
			if len(want) > 0 && strings.Contains(string(data), want[0]) {
				want = want[1:]
			}
		}
	})
}

func dial(t *testing.T, local *http.Client) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://local/v1/listen?encoding=linear16&sample_rate=16000",
		&websocket.DialOptions{HTTPClient: local, HTTPHeader: http.Header{"Authorization": {"Token " + key}}})
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	return conn
}
