package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/scripts/stream/client"
)

// endpoint is a server of numbered audio that loses what it has not made durable whenever it cuts the line.
type endpoint struct {
	mu      sync.Mutex
	random  *rand.Rand
	durable []string // packets, from number first+1 on; "|" is an end
	first   uint32   // what the device had sent before
	acked   uint32
	ended   int // conversations
	cuts    int // left to make
	gaps    int
}

func (e *endpoint) serve(ctx context.Context, conn *websocket.Conn) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	say := func(format string, values ...any) error {
		return conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, values...))
	}
	err := errors.Join(
		say(`{"type":"conversation_session","conversation_id":"c%d","status":"in_progress"}`, e.ended),
		say(`{"type":"audio_ack","sequence":%d}`, e.acked))
	if err != nil {
		return err
	}
	received, heard, news := e.acked, []string(nil), false
	commit := func() error {
		e.durable, heard = append(e.durable, heard...), nil
		e.acked = received
		return say(`{"type":"audio_ack","sequence":%d}`, e.acked)
	}
	for {
		if e.cuts > 0 && e.random.IntN(20) == 0 {
			e.cuts--
			return conn.CloseNow()
		}
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return nil // the client has gone
		}
		if kind == websocket.MessageText {
			if err := commit(); err != nil {
				return err
			}
			e.durable = append(e.durable, "|")
			e.ended++
			news = true
			if e.cuts > 0 {
				e.cuts--
				return conn.CloseNow() // it has ended, and the client isn't told
			}
			if err := say(`{"type":"memory_processing_started","memory":{"id":"c%d"}}`, e.ended-1); err != nil {
				return err
			}
			continue
		}
		if news {
			news = false
			if err := say(`{"type":"conversation_session","conversation_id":"c%d","status":"in_progress"}`, e.ended); err != nil {
				return err
			}
		}
		number := binary.BigEndian.Uint32(data)
		if number <= received {
			continue
		}
		if number != received+1 {
			e.gaps++
		}
		received = number
		heard = append(heard, string(data[4:]))
		if e.random.IntN(5) == 0 {
			if err := commit(); err != nil {
				return err
			}
		}
	}
}

// An end that came while no conversation was open ends none that begins later: it isn't sent again after a cut.
func TestEndOfNothing(t *testing.T) {
	var connections, ends atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		ctx := r.Context()
		say := func(text string) { _ = conn.Write(ctx, websocket.MessageText, []byte(text)) } // the reading tells
		first := connections.Add(1) == 1
		if first {
			say(`{"type":"conversation_session","conversation_id":"c1","status":"in_progress"}`)
			say(`{"type":"memory_processing_started","memory":{"id":"c1"}}`)
			say(`{"type":"audio_ack","sequence":0}`)
		} else {
			say(`{"type":"conversation_session","conversation_id":"c2","status":"in_progress"}`)
			say(`{"type":"audio_ack","sequence":3}`)
		}
		for {
			kind, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			if kind == websocket.MessageText {
				ends.Add(1)
				continue
			}
			if len(data) > 4 && binary.BigEndian.Uint32(data) == 3 {
				say(`{"type":"conversation_session","conversation_id":"c2","status":"in_progress"}`)
				say(`{"type":"audio_ack","sequence":2}`)
				return
			}
		}
	}))
	defer server.Close()
	s := client.NewSession(client.Config{URL: server.URL, Codec: "pcm16", SampleRate: 16000}, func(client.Message) {})
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- s.Run(ctx) }()
	s.Send([]byte("silence"))
	s.End()
	s.Send([]byte("silence"))
	s.Send([]byte("a word"))
	waiting, enough := context.WithTimeout(ctx, 20*time.Second)
	defer enough()
	if err := s.Acknowledged(waiting); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-running; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := ends.Load(); n != 1 {
		t.Errorf("the end was sent %d times, want once", n)
	}
}

// Whenever it is cut, each packet arrives once, in order, and so does each end, at its place.
func TestSessionOutlivesConnections(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			outlive(t, seed)
		})
	}
}

func outlive(t *testing.T, seed uint64) {
	t.Helper()
	e := &endpoint{random: rand.New(rand.NewPCG(seed, 1)), first: uint32(seed) * 1000, cuts: 8} //nolint:gosec // small
	e.acked = e.first
	var answered sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answered.Do(func() { panic(http.ErrAbortHandler) }) // cut before the client knows that anybody is there
		conn, err := websocket.Accept(w, r, nil)
		if err == nil {
			err = e.serve(r.Context(), conn)
			_ = conn.CloseNow() // it may be closed
		}
		if err != nil && r.Context().Err() == nil {
			t.Errorf("seed %d: the server's side: %v", seed, err)
		}
	}))
	s := client.NewSession(client.Config{URL: server.URL}, func(client.Message) {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var want []string
	for i := range 300 {
		if i == 100 || i == 200 {
			s.End()
			want = append(want, "|")
		}
		s.Send(fmt.Appendf(nil, "p%d", i))
		want = append(want, fmt.Sprint("p", i))
	}
	s.End() // which makes the rest durable
	want = append(want, "|")
	waiting, stop := context.WithTimeout(ctx, 10*time.Second)
	if err := s.Acknowledged(waiting); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	stop()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("seed %d: Run gave %v", seed, err)
	}
	server.Close()
	e.mu.Lock()
	e.durable = slices.CompactFunc(e.durable, func(a, b string) bool { return a == "|" && b == "|" }) // to end nothing is harmless
	if got := fmt.Sprint(e.durable); got != fmt.Sprint(want) || e.gaps > 0 || e.cuts > 0 {
		t.Errorf("seed %d: %d gaps, %d cuts left, got %v", seed, e.gaps, e.cuts, got)
	}
	e.mu.Unlock()
}

// A token that is over may be one whose key could not be read just then, and is tried again.
func TestSessionGivesUpWhereItIsRefused(t *testing.T) {
	for code, want := range map[websocket.StatusCode]int{1003: 1, 1008: 1, 4001: 5, 4004: 1} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := websocket.Accept(w, r, nil); err == nil {
				_ = conn.Close(code, "no") // the client sees it or the test fails
			}
		}))
		session := client.NewSession(client.Config{URL: server.URL}, func(client.Message) {})
		err := session.Run(t.Context())
		if closed, ok := errors.AsType[*client.CloseError](err); !ok || closed.Code != int(code) || session.Connections() != want {
			t.Errorf("refused with %d: got %v after %d connections, want %d", code, err, session.Connections(), want)
		}
		server.Close()
	}
}

// Who is asked to hold holds, and goes on when told.
func TestSessionHolds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		say := func(text string) {
			if err := conn.Write(r.Context(), websocket.MessageText, []byte(text)); err != nil {
				t.Error(err)
			}
		}
		say(`{"type":"backpressure","state":"slow"}`)
		say(`{"type":"audio_ack","sequence":0}`)
		held, cancel := context.WithTimeout(r.Context(), 200*time.Millisecond)
		defer cancel()
		if n, err := read(held, conn); err == nil {
			t.Errorf("got %d bytes although the client was to hold", n)
		}
	}))
	defer server.Close()
	s := client.NewSession(client.Config{URL: server.URL}, func(client.Message) {})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	s.Send([]byte("packet"))
	if err := s.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if s.Unacknowledged() != 1 || s.Unsent() != 1 {
		t.Errorf("%d packets are kept, %d of them unsent; want 1", s.Unacknowledged(), s.Unsent())
	}
}

func read(ctx context.Context, conn *websocket.Conn) (int, error) {
	_, data, err := conn.Read(ctx)
	return len(data), err
}
