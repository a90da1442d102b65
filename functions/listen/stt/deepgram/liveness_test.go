package deepgram_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/shared/pipetest"
)

// hole is a connection on which all is lost from some moment on, in both directions, and nobody is told.
type hole struct {
	net.Conn
	open atomic.Bool
}

func (h *hole) Write(p []byte) (int, error) {
	if h.open.Load() {
		return len(p), nil
	}
	return h.Conn.Write(p)
}

func TestHalfOpenWhileNobodySpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost hole
		client := pipetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Errorf("Accept: %v", err)
				return
			}
			defer conn.CloseNow()
			hear(conn, nil)
		})
		transport := client.Transport.(*http.Transport)
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			lost.Conn = conn
			return &lost, err
		}
		r, err := deepgram.New(deepgram.Config{URL: "ws://local/v1/listen", Client: client})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		stream, err := r.Open(t.Context(), options)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		defer end(t, stream)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if _, err := stream.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Recv: %v, want a stream that lasts while pings are answered", err)
		}
		lost.open.Store(true)
		begin := time.Now()
		if _, err := stream.Recv(t.Context()); err == nil || stt.FailureOf(err) != stt.HalfOpen {
			t.Errorf("Recv: %v, want half open", err)
		}
		if took := time.Since(begin); took > deepgram.DefaultSilence+5*time.Second {
			t.Errorf("it took %v to find out", took)
		}
	})
}
