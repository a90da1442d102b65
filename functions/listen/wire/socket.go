package wire

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"
)

// Socket is one WebSocket. One goroutine reads while another writes.
type Socket struct {
	conn *websocket.Conn
	buf  bytes.Buffer // of the frame last read
}

// NewSocket takes over an accepted connection; frames over maxFrame bytes close it with 1009.
func NewSocket(conn *websocket.Conn, maxFrame int64) *Socket {
	conn.SetReadLimit(maxFrame)
	return &Socket{conn: conn}
}

// CloseError is how the other side, or the socket itself, closed: Code is that of the close frame, or 1006 where
// none came (RFC 6455 section 7.1.5).
type CloseError struct {
	Code int
	Err  error
}

func (e *CloseError) Error() string { return e.Err.Error() }

func (e *CloseError) Unwrap() error { return e.Err }

// The close codes that are told apart.
const (
	CloseNormal    = 1000
	CloseGoingAway = 1001
	CloseNoStatus  = 1005
	CloseAbnormal  = 1006
	CloseTooBig    = 1009
)

// Read waits for the next frame. The bytes are valid until the next Read. Its error is a *CloseError.
func (s *Socket) Read(ctx context.Context) (binary bool, frame []byte, err error) {
	kind, reader, err := s.conn.Reader(ctx)
	if err == nil {
		s.buf.Reset()
		_, err = s.buf.ReadFrom(reader)
	}
	if err != nil {
		return false, nil, closeError(err)
	}
	return kind == websocket.MessageBinary, s.buf.Bytes(), nil
}

func closeError(err error) *CloseError {
	switch code := websocket.CloseStatus(err); {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return &CloseError{CloseTooBig, err}
	case code >= 0:
		return &CloseError{int(code), err}
	default:
		return &CloseError{CloseAbnormal, err}
	}
}

// writeTimeout is how long a client may take to read one message.
const writeTimeout = 10 * time.Second

// Write sends a text frame.
func (s *Socket) Write(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, frame)
}

// maxReason is the room that a close frame has for the reason, in bytes (RFC 6455 section 5.5).
const maxReason = 123

// Close says goodbye, waits up to 5 s for the answer, or until the context of a Read ends, and releases the connection. A peer
// that is gone can't be told, so there is no error.
func (s *Socket) Close(code int, reason string) {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	_ = s.conn.Close(websocket.StatusCode(code), reason) // fails only for a peer that is gone
}
