package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
func raw(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "audio.raw")
	if err := os.WriteFile(name, make([]byte, 6400), 0o600); err != nil {
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

func TestStreamSendsAllAndEndsTheConversation(t *testing.T) {
	sent, ended := 0, false
	url := listen(t, func(r *http.Request, conn *websocket.Conn) error {
		if err := hello(r, conn); err != nil {
			return err
		}
		for !ended {
			kind, data, err := conn.Read(r.Context())
			if err != nil {
				return err
			}
			if kind == websocket.MessageBinary {
				sent += len(data) - numberSize
				continue
			}
			ended = string(data) == `{"type":"end"}`
		}
		if err := say(r, conn, `{"type":"memory_created"}`); err != nil {
			return err
		}
		_, _, err := conn.Read(r.Context()) // the client's goodbye
		if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			return err
		}
		return nil
	})
	o := options{File: raw(t), URL: url, Token: "t", Rate: 16000, End: true, Realtime: true, Linger: time.Hour}
	began := time.Now()
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("200 ms of audio were sent in %v", took)
	}
	if sent != 6400 || !ended {
		t.Errorf("sent %d bytes, ended %v; want 6400 and the end", sent, ended)
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
	if err := run(t.Context(), options{File: raw(t), URL: url, Token: "t", Rate: 16000, Linger: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalIsTheError(t *testing.T) {
	url := listen(t, func(_ *http.Request, conn *websocket.Conn) error {
		return conn.Close(1008, "unknown user")
	})
	err := run(t.Context(), options{File: raw(t), URL: url, Token: "t", Rate: 16000, Realtime: true, Linger: time.Hour})
	closed, ok := errors.AsType[*client.CloseError](err)
	if !ok || closed.Code != 1008 {
		t.Errorf("got error %v, want the close frame 1008", err)
	}
}
