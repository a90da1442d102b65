package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

// peer is the client's side of a WebSocket, which costs as little as can be.
type peer struct {
	b       *testing.B
	conn    net.Conn
	answers *bufio.Reader
	over    chan struct{} // closed when the server's side is
	stop    func()
}

func serve(b *testing.B, visit func(context.Context, *websocket.Conn)) *peer {
	b.Helper()
	p := &peer{b: b, over: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(p.over)
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			b.Error(err)
			return
		}
		visit(r.Context(), conn)
		_ = conn.CloseNow() // the other side is gone
	}))
	p.stop = server.Close
	var err error
	if p.conn, err = new(net.Dialer).DialContext(b.Context(), "tcp", server.Listener.Addr().String()); err != nil {
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

func (p *peer) close() {
	_ = p.conn.Close() // nothing more is expected of it
	<-p.over
	p.stop()
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
