package session

import (
	"bufio"
	"context"
	"fmt"
	"io"
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

// The other sides of a session that a process of this test can be, by the environment, so that what they cost isn't counted.
const (
	role         = "EARSHOT_BENCH_ROLE"
	asRecognizer = "recognizer" // the recogniser's server
	asDevices    = "devices"    // see devices
)

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case asRecognizer:
		server := httptest.NewServer(http.HandlerFunc(recognize))
		_, _ = os.Stdout.WriteString(server.URL + "\n") // who doesn't get it fails
		_, _, _ = bufio.NewReader(os.Stdin).ReadLine()  // until whoever started it is gone
	case asDevices:
		if err := devices(os.Getenv(hostAddress)); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err) // there is nobody else to tell
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// other is a process of this test that plays a role.
type other struct {
	b      *testing.B
	stdin  io.Writer
	stdout *bufio.Reader
}

// play begins a role, with more of its environment.
func play(b *testing.B, as string, env ...string) *other {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, os.Args[0]) //nolint:gosec // this test itself
	process.Env = append(append(os.Environ(), role+"="+as), env...)
	process.Stderr = os.Stderr
	stdin, err := process.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := process.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = process.Wait() // it was killed
	})
	return &other{b, stdin, bufio.NewReader(stdout)}
}

// hear waits for a line.
func (o *other) hear() string {
	o.b.Helper()
	line, err := o.stdout.ReadString('\n')
	if err != nil {
		o.b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// tell has it go on.
func (o *other) tell() {
	o.b.Helper()
	if _, err := io.WriteString(o.stdin, "\n"); err != nil {
		o.b.Fatal(err)
	}
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
	r, err := deepgram.New(deepgram.Config{URL: play(b, asRecognizer).hear(), Key: "key", Silence: time.Minute})
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
