package e2e

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
)

// connection is one of a transcript's. What the server says is kept as the transcript has it.
type connection struct {
	t       *testing.T
	player  *player
	conn    *websocket.Conn
	query   url.Values
	heard   chan string // closed after the close
	last    string      // that was expected
	closing atomic.Bool
	over    chan struct{} // closed when nothing is read any more
	reading sync.Mutex    // held by who wants nothing to be read
	passing bool          // what is expected may come after others
}

// connect opens the next connection.
func (p *player) connect(target string, header []string) {
	p.t.Helper()
	if len(p.listen.Processes()) == 0 {
		if _, err := p.listen.Start(p.t.Context(), 0); err != nil {
			p.t.Fatal(err)
		}
	}
	base, err := p.listen.URL()
	if err != nil {
		p.t.Fatal(err)
	}
	address, err := url.Parse(base + p.real(target))
	if err != nil {
		p.t.Fatalf("%s: %v", p.at, err)
	}
	fields := http.Header{}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		fields.Set(name, p.tokens.Replace(value))
	}
	conn, _, err := websocket.Dial(p.t.Context(), address.String(), &websocket.DialOptions{HTTPHeader: fields, HTTPClient: narrow})
	if err != nil {
		p.t.Fatalf("%s: %v", p.at, err)
	}
	conn.SetReadLimit(1 << 20)
	c := &connection{t: p.t, player: p, conn: conn, query: address.Query(), heard: make(chan string, 1000), over: make(chan struct{})}
	p.connections = append(p.connections, c)
	go c.receive(p.t.Context())
	p.t.Cleanup(c.cut)
}

// narrow has a client's kernel take in little that the client doesn't read: by itself it takes many megabytes.
var narrow = &http.Client{Transport: &http.Transport{
	DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = tcp.SetReadBuffer(1 << 20)
		}
		return conn, err
	},
}}

func (c *connection) receive(ctx context.Context) {
	defer close(c.heard)
	defer close(c.over)
	for {
		c.reading.Lock()
		c.reading.Unlock() //nolint:staticcheck // who holds it has it wait
		_, data, err := c.conn.Read(ctx)
		if frame, ok := errors.AsType[websocket.CloseError](err); ok && !c.closing.Load() {
			c.heard <- strings.TrimSpace(fmt.Sprintf("close %d %s", frame.Code, frame.Reason))
		}
		if err != nil {
			return
		}
		c.heard <- string(data)
	}
}

// expect waits for what the server is to say next. What it may say at any time is passed over: pings, interim words,
// and lower numbers than the one that is to be acknowledged. A higher one will do. So is what it said last: segments are
// shown again where somebody else has written meanwhile, and a client replaces them by their ids.
func (c *connection) expect(want string) {
	c.t.Helper()
	if want == "…" {
		c.passing = true
		return
	}
	limit := time.After(patience)
	var passed []string
	for {
		select {
		case message, ok := <-c.heard:
			if !ok {
				c.t.Fatalf("%s: there is nothing more", c.player.at)
			}
			if c.passing && message[0] != want[0] {
				continue // in megabytes, which take long to be made normal
			}
			got := c.player.normal(message)
			if got == want || sequence(want) > 0 && sequence(got) >= sequence(want) {
				c.last, c.passing = got, false
				return
			}
			if c.passing {
				continue
			}
			if got == c.last {
				continue
			}
			if !incidental(got) {
				c.t.Fatalf("%s\ngot  < %s", c.player.at, got)
			}
			passed = append(passed, got)
		case <-limit:
			c.t.Fatalf("%s\nnot within %v, only %q", c.player.at, patience, passed)
		}
	}
}

// incidental reports whether a server may say so at any time.
func incidental(message string) bool {
	return message == "ping" || strings.HasPrefix(message, `{"type":"interim"`) || strings.HasPrefix(message, `{"type":"audio_ack"`)
}

// nothingMore holds what the server said after the last line to be nothing that should be in the transcript.
func (c *connection) nothingMore() {
	c.t.Helper()
	c.cut()
	for message := range c.heard {
		if got := c.player.normal(message); got != c.last && !incidental(got) {
			c.t.Errorf("%s: and after the end %s", c.player.at, got)
		}
	}
}

func (c *connection) send(frame []byte) {
	c.t.Helper()
	c.write(websocket.MessageBinary, frame)
}

func (c *connection) text(message string) {
	c.t.Helper()
	c.write(websocket.MessageText, []byte(message))
}

func (c *connection) write(kind websocket.MessageType, frame []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, kind, frame); err != nil {
		select {
		case <-c.over: // the server has closed meanwhile, which is heard
		case <-time.After(patience):
			c.t.Fatalf("%s: %v", c.player.at, err)
		}
	}
}

// paced sends packets in real time, each in its frame.
func (c *connection) paced(packets iter.Seq2[source.Packet, error], frame func([]byte) []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for p, err := range client.Paced(ctx, packets) {
		if err != nil {
			c.t.Fatalf("%s: %v", c.player.at, err)
		}
		c.send(frame(p.Data))
	}
}

// close says goodbye, and waits for the answer.
func (c *connection) close() {
	c.t.Helper()
	c.closing.Store(true)
	if err := c.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		c.t.Fatalf("%s: %v", c.player.at, err)
	}
}

func (c *connection) cut() { _ = c.conn.CloseNow() } // fails only for one that is closed

// numbered puts the number of a frame before it.
func numbered(n int, packet []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n)), packet...) //nolint:gosec // a transcript is short
}

// frameOf is a frame of these octets, in hexadecimal, or of so many zeros.
func frameOf(what string) []byte {
	if size, ok := strings.CutSuffix(what, " of zero"); ok {
		return make([]byte, number(size))
	}
	frame, err := hex.DecodeString(what)
	if err != nil {
		panic(err) // a regular expression has found it to be hexadecimal
	}
	return frame
}
