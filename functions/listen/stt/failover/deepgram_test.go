package failover_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/stttest"
)

// The tests of this file go over real sockets, to servers of Deepgram's protocol.

// server hears words exactly, and cuts the connection when it has heard as much as its life, if it has one.
func server(t testing.TB, life time.Duration) (url string, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections.Add(1)
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		defer conn.CloseNow()
		serve(conn, life)
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http"), connections
}

func serve(conn *websocket.Conn, life time.Duration) {
	ctx := context.Background()
	var ear stttest.Ear
	var heard time.Duration
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			heard += time.Duration(len(data)/2) * time.Second / stttest.Rate
			if life > 0 && heard >= life {
				return
			}
			r, ok := ear.Hear(data)
			if !ok {
				r = ear.Interim()
			}
			err = answer(ctx, conn, r)
		} else if !strings.Contains(string(data), "KeepAlive") {
			err = answer(ctx, conn, ear.Flush())
		}
		if err != nil {
			return
		}
		if strings.Contains(string(data), "CloseStream") {
			_ = conn.Close(websocket.StatusNormalClosure, "") // the client's side is what is tested
			return
		}
	}
}

func answer(ctx context.Context, conn *websocket.Conn, r stt.Result) error {
	type word struct {
		Word  string  `json:"word"`
		Start float64 `json:"start"`
		End   float64 `json:"end"`
	}
	words := []word{}
	for _, w := range r.Words {
		words = append(words, word{w.Text, w.Start.Seconds(), w.End.Seconds()})
	}
	data, err := json.Marshal(map[string]any{
		"type": "Results", "start": r.Start.Seconds(), "duration": (r.End - r.Start).Seconds(), "is_final": r.Final,
		"from_finalize": r.Flushed, "channel": map[string]any{"alternatives": []any{map[string]any{"words": words}}},
	})
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, data)
}

// client is a recogniser at a server, with connections of its own.
func client(t testing.TB, url string) stt.Recognizer {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	r, err := deepgram.New(deepgram.Config{URL: url, Key: "secret", Client: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatalf("deepgram.New: %v", err)
	}
	return r
}

func TestServersOfOneProtocol(t *testing.T) {
	first, firsts := server(t, 3500*time.Millisecond) // in mid word
	second, seconds := server(t, 0)
	r, err := failover.New(order(t, "deepgram"), failover.Options{}, client(t, first), client(t, second))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	c := start(t, t.Context(), r)
	// Not in real time: what is lost then is lost all the more.
	for n := range 40 {
		if err := c.stream.Send(t.Context(), append(stttest.Word(n+1), stttest.Silence(80*time.Millisecond)...)); err != nil {
			t.Fatalf("Send: %v", err)
		}
	}
	c.heard(1, 40)
	if firsts.Load() != 1 || seconds.Load() != 1 {
		t.Errorf("%d and %d connections, want one each", firsts.Load(), seconds.Load())
	}
}

// BenchmarkDeepgram is 100 ms of audio sent and its result received, over loopback.
func BenchmarkDeepgram(b *testing.B) {
	url, _ := server(b, 0)
	bare := client(b, url)
	joined, err := failover.New(order(b, "deepgram"), failover.Options{}, bare)
	if err != nil {
		b.Fatal(err)
	}
	pcm := append(stttest.Word(1), stttest.Silence(60*time.Millisecond)...)[:stttest.Rate/5]
	for _, bench := range []struct {
		name string
		r    stt.Recognizer
	}{{"bare", bare}, {"failover", joined}} {
		b.Run(bench.name, func(b *testing.B) {
			stream, err := bench.r.Open(b.Context(), options)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := stream.Send(b.Context(), pcm); err != nil {
					b.Fatal(err)
				}
				if _, err := stream.Recv(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			if err := stream.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
