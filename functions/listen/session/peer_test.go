package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/wire"
)

// peer is the client's side of a WebSocket, which costs as little as can be.
type peer struct {
	b       *testing.B
	conn    net.Conn
	answers *bufio.Reader
}

// host serves peers.
type host struct {
	b      *testing.B
	server *httptest.Server
	visits sync.WaitGroup
}

func serve(b *testing.B, visit func(context.Context, *websocket.Conn)) *host {
	b.Helper()
	h := &host{b: b}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.visits.Add(1)
		defer h.visits.Done()
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			b.Error(err)
			return
		}
		visit(r.Context(), conn)
		_ = conn.CloseNow() // the other side is gone
	}))
	return h
}

// connect opens a connection.
func (h *host) connect() *peer {
	h.b.Helper()
	b, p := h.b, &peer{b: h.b}
	var err error
	if p.conn, err = new(net.Dialer).DialContext(b.Context(), "tcp", h.server.Listener.Addr().String()); err != nil {
		b.Fatal(err)
	}
	_, err = io.WriteString(p.conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err != nil {
		b.Fatal(err)
	}
	p.answers = bufio.NewReaderSize(p.conn, 512)
	for line := ""; line != "\r\n"; {
		if line, err = p.answers.ReadString('\n'); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// send writes n binary frames, each by itself, as a device does that has one packet at a time.
func (p *peer) send(packets [][]byte, n int) {
	frames := make([][]byte, len(packets))
	for i, packet := range packets {
		frames[i] = masked(packet)
	}
	for i := range n {
		if _, err := p.conn.Write(frames[i%len(frames)]); err != nil {
			p.b.Error(err)
			return
		}
	}
}

// ready waits until a session says that it is.
func (p *peer) ready() {
	p.b.Helper()
	for p.b.Context().Err() == nil {
		size, err := p.answers.ReadByte() // of a text frame without a mask comes after its first byte
		if err != nil {
			p.b.Fatal(err)
		}
		if size != 0x81 {
			continue
		}
		size, err = p.answers.ReadByte()
		if err != nil {
			p.b.Fatal(err)
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(p.answers, message); err != nil {
			p.b.Fatal(err)
		}
		if strings.Contains(string(message), wire.Ready) {
			return
		}
	}
}

// ignore reads what comes and throws it away. A copy would have 8 KB of its own, which are not the session's.
func (p *peer) ignore() {
	for err := error(nil); err == nil; {
		_, err = p.answers.Discard(1)
	}
}

// close ends the connections.
func (h *host) close(peers ...*peer) {
	for _, p := range peers {
		_ = p.conn.Close() // nothing more is expected of it
	}
	h.visits.Wait()
	h.server.Close()
}

// masked is a binary frame of a client (RFC 6455 section 5.2). Its mask is not zero, which would be no work.
func masked(packet []byte) []byte {
	mask := [4]byte{1, 2, 3, 4}
	frame := []byte{0x82, 0x80 | 126}
	if len(packet) < 126 {
		frame[1] = 0x80 | byte(len(packet))
	} else {
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(packet))) //nolint:gosec // an Opus packet is short
	}
	frame = append(frame, mask[:]...)
	for i, octet := range packet {
		frame = append(frame, octet^mask[i%len(mask)])
	}
	return frame
}
