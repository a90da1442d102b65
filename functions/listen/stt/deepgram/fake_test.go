package deepgram_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/shared/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var options = stt.Options{Language: "en", SampleRate: 16000, Interim: true}

// second is a second of audio at the options' rate.
var second = make([]byte, 32000)

// open is a stream to a server whose side of the connection is played by the function.
func open(t *testing.T, play func(*websocket.Conn)) stt.Stream {
	t.Helper()
	var playing sync.WaitGroup
	client := pipetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		playing.Add(1)
		defer playing.Done()
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		conn.SetReadLimit(1 << 20)
		defer conn.CloseNow()
		play(conn)
	})
	r, err := deepgram.New(deepgram.Config{URL: "ws://local/v1/listen", Key: "secret", Client: client})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	stream, err := r.Open(t.Context(), options)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		end(t, stream)
		playing.Wait()
	})
	return stream
}

func end(t *testing.T, stream stt.Stream) {
	t.Helper()
	if err := stream.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// say writes a text message, and forgives a client that has gone.
func say(conn *websocket.Conn, message string) {
	_ = conn.Write(context.Background(), websocket.MessageText, []byte(message)) // the client's side is what is tested
}

// hear reads messages until the client goes, and gives each to the function, if there is one.
func hear(conn *websocket.Conn, each func(websocket.MessageType, []byte)) {
	for {
		kind, data, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		if each != nil {
			each(kind, data)
		}
	}
}

const hello = `{"type":"Results","start":0,"duration":0.5,"is_final":true,"channel":{"alternatives":[{"transcript":"hello",
	"words":[{"word":"hello","punctuated_word":"Hello.","start":0.1,"end":0.45,"speaker":1}]}]}}`
