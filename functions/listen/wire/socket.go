package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Socket is one WebSocket. One goroutine reads while another writes.
type Socket struct {
	conn   *websocket.Conn
	under  *http.ResponseController // of the connection below it
	buf    bytes.Buffer             // of the frame last read
	opened time.Time
	heard  atomic.Int64 // when the other side was last heard, in ns after opened
}

// Accept takes the connection over from a request for a WebSocket, which is answered in any case. To the end of the request's
// handler belongs a Drop. Frames over maxFrame bytes close the socket with 1009. Devices and apps name no origin; a token, not a
// cookie, says who it is, so origins aren't checked.
func Accept(w http.ResponseWriter, r *http.Request, maxFrame int64) (*Socket, error) {
	s := &Socket{under: http.NewResponseController(w), opened: time.Now()}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true,
		OnPingReceived: func(context.Context, []byte) (answer bool) {
			s.hear()
			return true
		},
		OnPongReceived: func(context.Context, []byte) { s.hear() },
	})
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	conn.SetReadLimit(maxFrame)
	s.conn = conn
	if err := errors.Join(s.under.SetReadDeadline(time.Time{}), s.under.SetWriteDeadline(time.Time{})); err != nil {
		s.Drop()
		return nil, fmt.Errorf("no deadlines, by which Close ends: %w", err)
	}
	return s, nil
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

// Read waits for the next frame, until the socket closes. The bytes are valid until the next Read. Its error is a *CloseError.
func (s *Socket) Read() (binary bool, frame []byte, err error) {
	kind, reader, err := s.conn.Reader(context.Background()) // one that can end costs as much as all the rest of a Read
	if err == nil {
		s.buf.Reset()
		_, err = s.buf.ReadFrom(reader)
	}
	if err != nil {
		return false, nil, closeError(err)
	}
	s.hear()
	return kind == websocket.MessageBinary, s.buf.Bytes(), nil
}

func (s *Socket) hear() { s.heard.Store(int64(time.Since(s.opened))) }

// Heard is when the last frame of the other side came, or when it came itself. WebSocket's own pings and pongs count, which
// are taken in while somebody waits in Read, and which Read doesn't give. It may be called from any goroutine.
func (s *Socket) Heard() time.Time { return s.opened.Add(time.Duration(s.heard.Load())) }

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

// answerGoodbye is how long a client may take to answer a goodbye.
const answerGoodbye = time.Second

// Close says goodbye, waits for the answer, a second at most, and releases the connection. A peer that is gone can't be
// told, so there is no error. A reason for which there is no room is cut.
func (s *Socket) Close(code int, reason string) {
	// To a browser a reason that isn't UTF-8 is a broken connection, whatever the code (RFC 6455 section 8.1).
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	late := time.AfterFunc(answerGoodbye, s.hangUp)
	defer late.Stop()
	_ = s.conn.Close(websocket.StatusCode(code), reason) // fails only for a peer that is gone
}

// hangUp has whoever reads, writes or closes wait no longer. The library itself waits for 5 s to send, for 5 to be heard, and
// for ever for the rest of a frame; and its CloseNow does nothing while Close waits.
func (s *Socket) hangUp() {
	past := time.Unix(1, 0)
	_ = s.under.SetReadDeadline(past)  // fails only where the connection is closed
	_ = s.under.SetWriteDeadline(past) // likewise
}

// Drop releases the connection without a goodbye, unless Close did.
func (s *Socket) Drop() {
	_ = s.conn.CloseNow() // there is nobody to be told
}
