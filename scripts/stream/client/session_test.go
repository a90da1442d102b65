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

	"earshot.dev/functions/listen/session"
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
	acknowledged := run(t, s)
	s.Send([]byte("silence"))
	s.End()
	s.Send([]byte("silence"))
	s.Send([]byte("a word"))
	acknowledged(20 * time.Second)
	if n := ends.Load(); n != 1 {
		t.Errorf("the end was sent %d times, want once", n)
	}
}

// run lives a session; what it gives waits until all is acknowledged, and ends it.
func run(t *testing.T, s *client.Session) (acknowledged func(within time.Duration)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- s.Run(ctx) }()
	return func(within time.Duration) {
		t.Helper()
		waiting, enough := context.WithTimeout(ctx, within)
		defer enough()
		if err := s.Acknowledged(waiting); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-running; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// Whenever it is cut, each packet arrives once, in order, and so does each end, at its place.
func TestSessionOutlivesConnections(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { outlive(t, seed) })
		})
	}
}

func outlive(t *testing.T, seed uint64) {
	t.Helper()
	e := &endpoint{random: rand.New(rand.NewPCG(seed, 1)), first: uint32(seed) * 1000, cuts: 8} //nolint:gosec // small
	e.acked = e.first
	var answered sync.Once
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answered.Do(func() { panic(http.ErrAbortHandler) }) // cut before the client knows that anybody is there
		conn, err := websocket.Accept(w, r, nil)
		if err == nil {
			err = e.serve(r.Context(), conn)
			_ = conn.CloseNow() // it may be closed
		}
		if err != nil && r.Context().Err() == nil {
			t.Errorf("seed %d: the server's side: %v", seed, err)
		}
	})
	s := client.NewSession(client.Config{URL: server.URL}, func(client.Message) {})
	acknowledged := run(t, s)
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
	acknowledged(10 * time.Second)
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
	for code, want := range map[int]int{1003: 1, 1008: 1, 4001: 5, 4004: 1} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config, shown := visits(t, slices.Repeat([][]any{{code}}, 5)...)
				closedWith(t, config, code)
				if len(*shown) != want {
					t.Errorf("gave up after %d connections, want %d", len(*shown), want)
				}
			})
		})
	}
}

// visits is a server that does with each connection what is next: "ack" acknowledges nothing, a number or a reason closes
// with it, a duration is lived through with pings. It keeps the tokens that it was shown, and closes the last
// connection with 1008. It needs a bubble.
func visits(t *testing.T, each ...[]any) (config client.Config, shown *[]string) {
	t.Helper()
	shown = new([]string)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := len(*shown)
		*shown = append(*shown, r.Header.Get("Authorization"))
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		for _, do := range append(slices.Clone(each), []any{1008})[n] {
			switch do := do.(type) {
			case int:
				_ = conn.Close(websocket.StatusCode(do), "") // the client sees it or the test fails
			case *session.Reason:
				_ = conn.Close(websocket.StatusCode(do.Code), do.Text) // as above
			case time.Duration:
				for end := time.Now().Add(do); time.Now().Before(end); <-time.After(10 * time.Second) {
					err := conn.Write(r.Context(), websocket.MessageText, []byte("ping"))
					if _, _, failed := conn.Read(r.Context()); err != nil || failed != nil {
						t.Error(err, failed)
						return
					}
				}
			default:
				if err := conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"audio_ack","sequence":0}`)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	return client.Config{URL: server.URL}, shown
}

// closedWith runs the session until it gives up, with this code.
func closedWith(t *testing.T, c client.Config, code int) {
	t.Helper()
	err := client.NewSession(c, func(client.Message) {}).Run(t.Context())
	if closed, ok := errors.AsType[*client.CloseError](err); !ok || closed.Code != code {
		t.Errorf("Run gave %v, want a close with %d", err, code)
	}
}

// A token is asked for at each connection, so one that is over is followed by a new one. One that can't be had now can be later.
func TestSessionOutlivesItsToken(t *testing.T) { bubble(t, outliveToken) }

func outliveToken(t *testing.T) {
	config, shown := visits(t, []any{"ack", 4001}, []any{"ack", 1001})
	asked := 0
	config.Token = func(context.Context) (string, error) {
		if asked++; asked == 2 {
			return "", errors.New("no network")
		}
		return fmt.Sprint("token", asked), nil
	}
	closedWith(t, config, 1008)
	if want := []string{"Bearer token1", "Bearer token3", "Bearer token4"}; !slices.Equal(*shown, want) {
		t.Errorf("the server was shown %q, want %q", *shown, want)
	}
}

// Refusals of a token that lie before a connection that was let in aren't counted with those after it.
func TestRefusalsAreForgottenOnceLetIn(t *testing.T) { bubble(t, forget) }

func forget(t *testing.T) {
	over := []any{4001}
	config, shown := visits(t, over, over, over, over, []any{"ack", 1001}, over)
	closedWith(t, config, 1008)
	if len(*shown) != 7 {
		t.Errorf("%d connections, want 7", len(*shown))
	}
	config, shown = visits(t, over, over, []any{}, over, over, over) // cut without a word: not let in
	closedWith(t, config, 4001)
	if len(*shown) != 6 {
		t.Errorf("%d connections, want 6", len(*shown))
	}
}

// A connection that was of use is followed by the next at once, one that was only let in isn't.
func TestPaceOfConnections(t *testing.T) {
	for name, test := range map[string]struct {
		visit  []any
		atOnce bool // the eighth comes after 0.1 to 0.3 s, and not after 1.1 to 3.4
	}{
		"of use": {[]any{"ack", "ack", 1011}, true},
		"let in": {[]any{"ack", 1011}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config, _ := visits(t, slices.Repeat([][]any{test.visit}, 7)...)
				var last, pause time.Duration
				begin := time.Now()
				config.Token = func(context.Context) (string, error) {
					pause, last = time.Since(begin)-last, time.Since(begin)
					return "", nil
				}
				closedWith(t, config, 1008)
				if atOnce := pause < time.Second; atOnce != test.atOnce {
					t.Errorf("connected again after %v", pause)
				}
			})
		})
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

// A packet that no server takes is given up, and keeps none back.
func TestTooLargeIsGivenUp(t *testing.T) {
	s := client.NewSession(client.Config{}, func(client.Message) {})
	const most = 64<<10 - 4 // with its number a frame
	s.Send(make([]byte, most+1))
	s.Send(make([]byte, most))
	if s.Dropped() != 1 || s.Unacknowledged() != 1 {
		t.Errorf("%d packets are given up and %d kept, want one of each", s.Dropped(), s.Unacknowledged())
	}
}
