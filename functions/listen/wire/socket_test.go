package wire

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/shared/pipetest"
)

// A client is waited for a second at most that doesn't answer the goodbye, doesn't even take it, or is in the middle of a
// frame that never ends; and whoever reads from it meanwhile is told.
func TestCloseWaitsForNobody(t *testing.T) {
	const endless = "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04" // the header of a frame of 8 EiB
	for name, tt := range map[string]struct {
		says         string
		takes, reads bool // the client takes what is sent, and somebody reads from the socket
	}{
		"no answer":                    {takes: true, reads: true},
		"no answer, nobody reads":      {takes: true},
		"not taken":                    {reads: true},
		"within a frame":               {says: endless, takes: true},
		"within a frame that was read": {says: endless, takes: true, reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, unread := make(chan time.Duration, 1), make(chan error, 1)
				client := host(t, func(socket *Socket) {
					if tt.reads {
						go func() {
							_, _, err := socket.Read()
							unread <- err
						}()
						synctest.Wait()
					}
					began := time.Now()
					socket.Close(CloseNormal, "goodbye")
					took <- time.Since(began)
				})
				stream := upgrade(t, client)
				if tt.takes {
					go func() { _, _ = io.Copy(io.Discard, stream) }() // until the server closes it
				}
				go func() { _, _ = io.WriteString(stream, tt.says) }() // likewise
				if d := <-took; d != time.Second {
					t.Errorf("it took %v, want a second", d)
				}
				if !tt.reads {
					return
				}
				if closed, ok := errors.AsType[*CloseError](<-unread); !ok || closed.Code != CloseAbnormal {
					t.Errorf("Read gave %v, want an abnormal close", closed)
				}
			})
		})
	}
}

// A reason too long for a close frame is cut where a character ends: a browser takes no other.
func TestReasonIsCut(t *testing.T) {
	const room = 123
	for name, tt := range map[string]struct{ reason, want string }{
		"fits":               {strings.Repeat("x", room-2) + "\u00fc", strings.Repeat("x", room-2) + "\u00fc"},
		"too long":           {strings.Repeat("x", room+1), strings.Repeat("x", room)},
		"within a character": {strings.Repeat("x", room-1) + "\u00fc", strings.Repeat("x", room-1)},
		"no UTF-8":           {"no \xff", "no "},
	} {
		t.Run(name, func(t *testing.T) {
			client := host(t, func(socket *Socket) { socket.Close(1008, tt.reason) })
			conn, _, err := websocket.Dial(t.Context(), "http://x", &websocket.DialOptions{HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			_, _, err = conn.Read(t.Context())
			if got, ok := errors.AsType[websocket.CloseError](err); !ok || got.Reason != tt.want {
				t.Errorf("got %v, want the reason %q", err, tt.want)
			}
		})
	}
}

// All that comes is a sign of life, also what Read doesn't give: WebSocket's own pings, and the answers to them.
func TestHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepted := make(chan *Socket)
		client := host(t, func(socket *Socket) {
			accepted <- socket
			for err := error(nil); err == nil; {
				_, _, err = socket.Read()
			}
		})
		dialled := make(chan *websocket.Conn, 1)
		go func() {
			conn, _, err := websocket.Dial(t.Context(), "http://x", &websocket.DialOptions{HTTPClient: client})
			if err != nil {
				t.Error(err)
			}
			dialled <- conn
		}()
		socket, conn := <-accepted, <-dialled
		defer conn.CloseNow()
		ctx := conn.CloseRead(t.Context()) // which answers pings, and takes answers
		for _, sign := range []struct {
			name string
			come func() error
		}{
			{"itself", func() error { return nil }},
			{"frame", func() error { return conn.Write(ctx, websocket.MessageBinary, []byte("frame")) }},
			{"ping", func() error { return conn.Ping(ctx) }},
			{"pong", func() error { return socket.conn.Ping(ctx) }},
		} {
			if err := sign.come(); err != nil {
				t.Fatal(sign.name, err)
			}
			for _, d := range []time.Duration{0, 30 * time.Second} {
				<-time.After(d)
				synctest.Wait()
				if got := time.Since(socket.Heard()); got != d {
					t.Errorf("%s: heard %v ago, want %v", sign.name, got, d)
				}
			}
		}
	})
}

// host has each client's socket visited.
func host(t *testing.T, visit func(*Socket)) *http.Client {
	t.Helper()
	return pipetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		socket, err := Accept(w, r, 1<<10)
		if err != nil {
			t.Error(err)
			return
		}
		defer socket.Drop()
		visit(socket)
	})
}

// upgrade opens a WebSocket and gives the stream below it.
func upgrade(t *testing.T, client *http.Client) io.ReadWriter {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() }) // the server has closed it
	return response.Body.(io.ReadWriter)
}
