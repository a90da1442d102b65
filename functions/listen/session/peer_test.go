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

	"earshot.dev/functions/listen/wire"
)

// peer is the client's side of a WebSocket, which costs as little as can be.
type peer struct {
	conn    net.Conn
	answers *bufio.Reader
}

// host serves peers.
type host struct {
	b      *testing.B
	server *httptest.Server
	visits sync.WaitGroup
}

func serve(b *testing.B, visit func(http.ResponseWriter, *http.Request)) *host {
	b.Helper()
	h := &host{b: b}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.visits.Add(1)
		defer h.visits.Done()
		visit(w, r)
	}))
	return h
}

// address is where peers connect to.
func (h *host) address() string { return h.server.Listener.Addr().String() }

// connect opens a connection, and waits until there is a session that says it is ready, if there is to be one.
func (h *host) connect(ready bool) *peer {
	h.b.Helper()
	p, err := connect(h.b.Context(), h.address())
	if err == nil && ready {
		err = p.ready()
	}
	if err != nil {
		h.b.Fatal(err)
	}
	return p
}

// connect opens a connection.
func connect(ctx context.Context, address string) (*peer, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err != nil {
		return nil, err
	}
	p := &peer{conn: conn, answers: bufio.NewReaderSize(conn, 512)}
	for line := ""; line != "\r\n"; {
		if line, err = p.answers.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// send writes n of the frames, one after the other and each by itself, as a device does that has one packet at a time.
func (p *peer) send(frames [][]byte, n int) error {
	for i := range n {
		if _, err := p.conn.Write(frames[i%len(frames)]); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until a session says that it is.
func (p *peer) ready() error {
	for {
		size, err := p.answers.ReadByte() // of a text frame without a mask comes after its first byte
		if err != nil {
			return err
		}
		if size != 0x81 {
			continue
		}
		if size, err = p.answers.ReadByte(); err != nil {
			return err
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(p.answers, message); err != nil {
			return err
		}
		if strings.Contains(string(message), wire.Ready) {
			return nil
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

// framed are packets as peers send them.
func framed(packets [][]byte) [][]byte {
	frames := make([][]byte, len(packets))
	for i, packet := range packets {
		frames[i] = masked(packet)
	}
	return frames
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
