package deepgram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/stt"
)

// backlog is how many results wait for Recv before the socket isn't read any more.
const backlog = 32

// stream is one connection. Two goroutines belong to it: read, and watch, which keeps the connection alive and ends
// it when the server has gone silent.
type stream struct {
	conn    *websocket.Conn
	rate    int // samples a second
	results chan stt.Result
	quit    chan struct{} // closed by Close
	running sync.WaitGroup
	closing sync.Once

	ended chan struct{} // closed by read when it returns, after it has set err
	err   error         // why there are no more results; valid once ended is closed

	mu      sync.Mutex
	live    liveness
	gone    error // why the server has been given up
	pinging bool  // a ping is under way
	missed  bool  // the last one had no answer
}

func newStream(conn *websocket.Conn, rate int, silence time.Duration) *stream {
	s := &stream{
		conn:    conn,
		rate:    rate,
		results: make(chan stt.Result, backlog),
		quit:    make(chan struct{}),
		ended:   make(chan struct{}),
		live:    liveness{limit: silence, sent: time.Now()},
	}
	s.running.Go(s.read)
	s.running.Go(s.watch)
	return s
}

func (s *stream) Send(ctx context.Context, pcm []byte) error {
	if len(pcm) == 0 {
		return nil // the server would take an empty message for the end
	}
	length := time.Duration(len(pcm)/2) * time.Second / time.Duration(s.rate)
	s.mu.Lock()
	if s.live.closing {
		s.mu.Unlock()
		return errors.New("deepgram: audio after CloseSend")
	}
	s.live.audio(time.Now(), length)
	s.mu.Unlock()
	return s.write(ctx, websocket.MessageBinary, pcm)
}

func (s *stream) Finalize(ctx context.Context) error {
	s.demand(false)
	return s.write(ctx, websocket.MessageText, []byte(finalize))
}

func (s *stream) CloseSend(ctx context.Context) error {
	s.demand(true)
	return s.write(ctx, websocket.MessageText, []byte(closeStream))
}

func (s *stream) demand(closing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.demand(time.Now(), closing)
}

// write sends one message. A broken connection shows twice, here and in Recv, and Recv knows more.
func (s *stream) write(ctx context.Context, kind websocket.MessageType, data []byte) error {
	s.writing(time.Now())
	err := s.conn.Write(ctx, kind, data)
	s.writing(time.Time{})
	if err != nil {
		return stt.Fail(Name, stt.Unavailable, err)
	}
	return nil
}

func (s *stream) writing(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.writing = since
}

func (s *stream) Recv(ctx context.Context) (stt.Result, error) {
	select {
	case r := <-s.results:
		return r, nil
	default:
	}
	select {
	case r := <-s.results:
		return r, nil
	case <-ctx.Done():
		return stt.Result{}, ctx.Err()
	case <-s.ended:
	}
	select { // what came before the end comes first
	case r := <-s.results:
		return r, nil
	default:
		return stt.Result{}, s.err
	}
}

// Close gives nil: there is nothing to be done about a connection that was given up.
func (s *stream) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		// It may have ended before.
		_ = s.conn.CloseNow()
	})
	s.running.Wait()
	return nil
}

// read takes messages until the connection ends, and ends it if the server says what can't be used.
func (s *stream) read() {
	defer close(s.ended)
	farewells := 0
	var message bytes.Buffer
	for {
		message.Reset()
		err := s.next(&message)
		if err != nil {
			s.err = s.reason(err, farewells > 0)
			return
		}
		r, kind, err := parse(message.Bytes())
		if err != nil {
			s.err = err
			// The failure is the message, not what becomes of the connection.
			_ = s.conn.CloseNow()
			return
		}
		switch kind {
		case result:
			s.said(!r.Final && len(r.Words) > 0)
			select {
			case s.results <- r:
			case <-s.quit:
				s.err = net.ErrClosed
				return
			}
		case farewell:
			if s.heard() {
				farewells++
			}
		}
	}
}

// next reads one message. The read has no context: whoever wants it to end closes the connection.
func (s *stream) next(message *bytes.Buffer) error {
	kind, r, err := s.conn.Reader(context.Background())
	if err != nil {
		return err
	}
	if _, err := message.ReadFrom(r); err != nil {
		return err
	}
	if kind != websocket.MessageText {
		// The failure is the message, not what becomes of the connection.
		_ = s.conn.CloseNow()
		return malformed(errors.New("a message that isn't text"))
	}
	return nil
}

// said notes a result, and whether it has words that may still change.
func (s *stream) said(vague bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.vague = vague
	s.live.heard(time.Now())
}

// heard reports whether the server is closing at our wish.
func (s *stream) heard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.heard(time.Now())
	return s.live.closing
}

// reason is what Recv gives after the last result, for the error that ended the reading. The end is good if we asked
// for it, and the server either closed in order or had said goodbye.
func (s *stream) reason(err error, farewell bool) error {
	select {
	case <-s.quit:
		return net.ErrClosed
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil {
		return s.gone
	}
	if s.live.closing {
		code := websocket.CloseStatus(err)
		if farewell || code == websocket.StatusNormalClosure || code == websocket.StatusNoStatusRcvd {
			return io.EOF
		}
	}
	if failure, ok := errors.AsType[*stt.Error](err); ok {
		return failure
	}
	return broken(err)
}

// ping asks whether there is still somebody at the other end, where nothing else would tell: a connection that leads
// nowhere takes what is sent for minutes. It is given up if there is no answer.
func (s *stream) ping() {
	late := time.AfterFunc(s.live.limit, s.giveUp)
	defer late.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.live.limit) // giveUp comes before
	defer cancel()
	err := s.conn.Ping(ctx) // which gives up by itself where it can't even be sent
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinging, s.missed = false, err != nil
}

// giveUp ends the connection because there is no answer to a ping.
func (s *stream) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.results) == cap(s.results) {
		return // they aren't taken, so pongs aren't read
	}
	s.gone = stt.Fail(Name, stt.HalfOpen, fmt.Errorf("no answer to a ping for %v", s.live.limit))
	// What matters is that read returns.
	_ = s.conn.CloseNow()
}

// watch keeps the connection alive until it ends, or ends it if the server has gone silent.
func (s *stream) watch() {
	ticker := time.NewTicker(max(min(keepAliveAfter, s.live.limit)/4, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.ended:
			return
		}
		now := time.Now()
		s.mu.Lock()
		if len(s.results) == cap(s.results) {
			s.live.heard(now) // the results aren't taken: it is we who don't listen
		}
		if s.gone == nil && s.live.silent(now) {
			s.gone = s.unanswered()
		}
		gone, idle := s.gone, s.live.idle(now)
		if idle {
			s.live.sent = now
		}
		if (idle || s.live.doubtful(now)) && !s.pinging && gone == nil {
			s.pinging = true
			s.running.Go(s.ping)
		}
		s.mu.Unlock()
		if gone != nil {
			// What matters is that read returns.
			_ = s.conn.CloseNow()
			return
		}
		if idle {
			s.keepAlive()
		}
	}
}

// unanswered is why there is no answer to the audio: a ping has none either, or there is somebody who doesn't say any.
func (s *stream) unanswered() error {
	failure := stt.Unanswered(s.live.answered)
	if s.pinging || s.missed {
		failure = stt.HalfOpen
	}
	return stt.Fail(Name, failure, fmt.Errorf("nothing heard for %v", s.live.limit))
}

func (s *stream) keepAlive() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.live.limit) // the ping beside it gives up before
	defer cancel()
	// A write that fails or stalls ends the connection, and Recv tells.
	_ = s.conn.Write(ctx, websocket.MessageText, []byte(keepAlive))
}
