package session

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/functions/listen/stt/failover"
)

// beRecognizer has a process of this test be the recogniser's server, so that its memory isn't counted.
const beRecognizer = "BE_RECOGNIZER"

func TestMain(m *testing.M) {
	if os.Getenv(beRecognizer) == "" {
		os.Exit(m.Run())
	}
	server := httptest.NewServer(http.HandlerFunc(recognize))
	_, _ = os.Stdout.WriteString(server.URL + "\n") // who doesn't get it fails
	_, _, _ = bufio.NewReader(os.Stdin).ReadLine()  // until whoever started it is gone
}

// recognize speaks Deepgram's protocol: a word each 100 ms of audio, and all final each 3 s.
func recognize(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	heard, final, pieces := 0.0, 0.0, 0
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		flushed := false
		switch {
		case kind == websocket.MessageBinary:
			heard += float64(len(data)) / 2 / sampleRate
			pieces++
		case strings.Contains(string(data), "Finalize"):
			flushed = true
		default:
			continue
		}
		isFinal := flushed || pieces%30 == 0
		answer := fmt.Appendf(nil, `{"type":"Results","start":%.3f,"duration":%.3f,"is_final":%t,"from_finalize":%t,"channel":
			{"alternatives":[{"transcript":"word","words":[{"word":"word","start":%.3f,"end":%.3f}]}]}}`,
			final, heard-final, isFinal, flushed, final, heard)
		if isFinal {
			final = heard
		}
		if conn.Write(r.Context(), websocket.MessageText, answer) != nil {
			return
		}
	}
}

// production is a recogniser as functions/listen has it, at a server of its own.
func production(b *testing.B) stt.Recognizer {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, os.Args[0]) //nolint:gosec // this test itself
	server.Env = append(os.Environ(), beRecognizer+"=1")
	stdin, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close() // it ends all the same
		cancel()
		_ = server.Wait() // it was killed
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	r, err := deepgram.New(deepgram.Config{URL: strings.TrimSpace(url), Key: "key", Silence: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	var order failover.Order
	if err := order.UnmarshalText([]byte(deepgram.Name)); err != nil {
		b.Fatal(err)
	}
	all, err := failover.New(order, failover.Options{}, r)
	if err != nil {
		b.Fatal(err)
	}
	return all
}
