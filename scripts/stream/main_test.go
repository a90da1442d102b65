package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/scripts/stream/client"
)

// listen is an endpoint whose side of each connection is serve.
func listen(t *testing.T, serve func(*http.Request, *websocket.Conn) error) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err == nil {
			defer conn.CloseNow()
			err = serve(r, conn)
		}
		if err != nil {
			t.Errorf("the server's side: %v", err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// raw is a file of PCM16 at 16 kHz that lasts 200 ms.
func raw(t *testing.T) string { return silence(t, 6400) }

// silence is a file of so many bytes of PCM16.
func silence(t *testing.T, size int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "audio.raw")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// hello is what a server says before audio may come.
func hello(r *http.Request, conn *websocket.Conn) error {
	return errors.Join(
		say(r, conn, `{"type":"conversation_session","conversation_id":"c","status":"in_progress"}`),
		say(r, conn, `{"type":"audio_ack","sequence":0}`))
}

func say(r *http.Request, conn *websocket.Conn, text string) error {
	return conn.Write(r.Context(), websocket.MessageText, []byte(text))
}

const numberSize = 4

// A taker takes a stream to its end, which is the conversation's too.
type taker struct {
	sent  int // bytes
	ended bool
}

func (e *taker) serve(r *http.Request, conn *websocket.Conn) error {
	if err := hello(r, conn); err != nil {
		return err
	}
	for !e.ended {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return err
		}
		if e.ended = kind == websocket.MessageText && string(data) == `{"type":"end"}`; e.ended {
			break
		}
		e.sent += len(data) - numberSize
		err = say(r, conn, fmt.Sprintf(`{"type":"audio_ack","sequence":%d}`, binary.BigEndian.Uint32(data)))
		if err != nil {
			return err
		}
	}
	err := errors.Join(
		say(r, conn, `[{"id":"s","text":"Hello."}]`),
		say(r, conn, `{"type":"memory_processing_started","memory":{"id":"c"}}`),
		say(r, conn, `{"type":"memory_created","memory":{"id":"c"}}`))
	if err != nil {
		return err
	}
	_, _, err = conn.Read(r.Context()) // the client's goodbye
	if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		return err
	}
	return nil
}

func TestStreamSendsAllAndEndsTheConversation(t *testing.T) {
	e := &taker{}
	o := options{File: raw(t), URL: listen(t, e.serve), Token: "t", Rate: 16000, End: true, Realtime: true, Linger: time.Minute}
	began := time.Now()
	said, err := stream(t, t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("200 ms of audio were sent in %v", took)
	}
	if want := 6400 + int(lull.Seconds()*2*16000); e.sent != want || !e.ended {
		t.Errorf("sent %d bytes, ended %v; want %d, of which the last are silence, and the end", e.sent, e.ended, want)
	}
	if want := "  0:00  Hello.\n"; said != want {
		t.Errorf("shown %q, want %q", said, want)
	}
}

// stream runs and gives what was shown.
func stream(t *testing.T, ctx context.Context, o options) (string, error) { //nolint:revive // t comes first here
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	failed := run(ctx, o, out)
	said, err := os.ReadFile(out.Name())
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return string(said), failed
}

// Ctrl-C ends the audio, not the stream: what was said is recognised, and the conversation ends.
func TestStreamThatIsInterruptedEndsInOrder(t *testing.T) {
	e := &taker{}
	enough := make(chan struct{})
	time.AfterFunc(100*time.Millisecond, func() { close(enough) })
	o := options{File: silence(t, 3_200_000), URL: listen(t, e.serve), Token: "t", Rate: 16000, End: true, Realtime: true, Linger: time.Minute, enough: enough}
	if said, err := stream(t, t.Context(), o); err != nil || !strings.Contains(said, "Hello.") {
		t.Errorf("shown %q, error %v; want the last words", said, err)
	}
	if e.sent == 0 || e.sent > 320_000 || !e.ended {
		t.Errorf("sent %d bytes, ended %v; want what came until the interruption, and the end", e.sent, e.ended)
	}
}

func TestStreamThatIsCutSaysSo(t *testing.T) {
	ctx, cut := context.WithCancel(t.Context())
	url := listen(t, func(r *http.Request, conn *websocket.Conn) error {
		err := hello(r, conn)
		cut()
		for err == nil {
			_, _, err = conn.Read(r.Context())
		}
		return nil
	})
	o := options{File: silence(t, 3_200_000), URL: url, Token: "t", Rate: 16000, Realtime: true, Linger: time.Hour}
	if _, err := stream(t, ctx, o); err == nil || err.Error() != "interrupted" {
		t.Errorf("got error %v, want interrupted", err)
	}
}

func TestWhereNobodyListensIsSaid(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	o := options{File: raw(t), URL: server.URL + "/v4/listen", Token: "t", Rate: 16000}
	if _, err := stream(t, t.Context(), o); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got error %v, want one with 404", err)
	}
	server.Close()
	if _, err := stream(t, t.Context(), o); err == nil || !strings.Contains(err.Error(), "nobody answers at "+o.URL) {
		t.Errorf("got error %v, want one that says that nobody answers", err)
	}
}

func TestArgumentsThatMakeNoSense(t *testing.T) {
	good := options{URL: "ws://localhost:8080/v4/listen", Token: "t", Rate: 16000}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*options){
		"--url":   func(o *options) { o.URL = "localhost:8080/v4/listen" },
		"such as": func(o *options) { o.URL = "ws://localhost:8080/" },
		"token":   func(o *options) { o.Token = " " },
		"--codec": func(o *options) { o.Codec = "mp3" },
		"--rate":  func(o *options) { o.Rate = -1 },
	} {
		o := good
		spoil(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

func TestStreamWaitsUntilAllIsSafeAndLeavesTheConversationOpen(t *testing.T) {
	url := listen(t, func(r *http.Request, conn *websocket.Conn) error {
		if err := hello(r, conn); err != nil {
			return err
		}
		for {
			kind, data, err := conn.Read(r.Context())
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				return nil
			}
			if err != nil {
				return err
			}
			if kind == websocket.MessageText {
				return errors.New("the client said " + string(data))
			}
			if err := say(r, conn, fmt.Sprintf(`{"type":"audio_ack","sequence":%d}`, binary.BigEndian.Uint32(data))); err != nil {
				return err
			}
		}
	})
	said, err := stream(t, t.Context(), options{File: raw(t), URL: url, Token: "t", Rate: 16000, Linger: 50 * time.Millisecond})
	if err != nil || said != "no words were recognised\n" {
		t.Errorf("shown %q, error %v; want that no words were recognised", said, err)
	}
}

func TestRefusalIsTheError(t *testing.T) {
	url := listen(t, func(_ *http.Request, conn *websocket.Conn) error {
		return conn.Close(1008, "unknown user")
	})
	_, err := stream(t, t.Context(), options{File: raw(t), URL: url, Token: "t", Rate: 16000, Realtime: true, Linger: time.Hour})
	closed, ok := errors.AsType[*client.CloseError](err)
	if !ok || closed.Code != 1008 {
		t.Errorf("got error %v, want the close frame 1008", err)
	}
}
