// Package client speaks to a listen endpoint as an app does (functions/listen/wire/README.md).
package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/scripts/stream/source"
)

// Config is where to connect, as whom, and what to say of the audio. Fields that are zero are not said.
type Config struct {
	URL         string // ws, wss, http or https, with the path
	Token       Token
	Device      string // X-Device-Id-Hash
	Codec       string
	SampleRate  int // Hz
	Language    string
	Interim     bool       // ask for words that may still change
	Acknowledge bool       // number the audio, and be told when it is safe: see Session
	Query       url.Values // further parameters
	Traceparent string     // of the trace that the session is to belong to (W3C); empty: one of the server's
}

// Token gives the ID token, and is asked at each connection: one that is good for an hour doesn't last as long as a
// Session does. Who has but one says FixedToken.
type Token func(context.Context) (string, error)

// FixedToken is always the same one; empty: none is sent.
func FixedToken(token string) Token {
	return func(context.Context) (string, error) { return token, nil }
}

// readLimit bounds a message, in bytes: memory_created carries a whole conversation.
const readLimit = 64 << 20

// quiet is how long a server that pings every 10 s may say nothing, or take nothing, before its connection counts as
// broken: a network may swallow everything and never say so.
const quiet = 30 * time.Second

// Client is one connection. One goroutine receives while others send.
type Client struct {
	conn *websocket.Conn
}

// ErrNoService is the error where there is no listen endpoint, and trying again is of little use.
var ErrNoService = errors.New("no listen endpoint")

// Dial connects. That a server refuses it shows only in the first Receive: it accepts, and closes with a code.
func Dial(ctx context.Context, c Config) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	address, err := c.address()
	if err != nil {
		return nil, err
	}
	header, err := c.header(ctx)
	if err != nil {
		return nil, err
	}
	conn, answer, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: header})
	unreached, ok := errors.AsType[*net.OpError](err)
	switch {
	case ok && unreached.Op == "dial": // what is around it repeats the address
		return nil, fmt.Errorf("%w: nobody answers at %s: %w", ErrNoService, c.URL, unreached.Err)
	case err != nil && answer != nil && answer.StatusCode != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("%w: %s answers %s", ErrNoService, c.URL, answer.Status)
	case err != nil:
		return nil, err
	}
	conn.SetReadLimit(readLimit)
	return &Client{conn}, nil
}

func (c Config) header(ctx context.Context) (http.Header, error) {
	header := http.Header{}
	if c.Token != nil {
		token, err := c.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("get a token: %w", err)
		}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
	}
	if c.Device != "" {
		header.Set("X-Device-Id-Hash", c.Device)
	}
	if c.Traceparent != "" {
		header.Set("Traceparent", c.Traceparent)
	}
	return header, nil
}

func (c Config) address() (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	for name, value := range map[string]string{"codec": c.Codec, "language": c.Language} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if c.SampleRate != 0 {
		q.Set("sample_rate", strconv.Itoa(c.SampleRate))
	}
	if c.Interim {
		q.Set("interim", "1")
	}
	if c.Acknowledge {
		q.Set("ack", "1")
	}
	maps.Copy(q, c.Query)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Send sends one packet.
func (c *Client) Send(ctx context.Context, packet []byte) error {
	return c.write(ctx, websocket.MessageBinary, packet)
}

func (c *Client) write(ctx context.Context, kind websocket.MessageType, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	return closed(c.conn.Write(ctx, kind, frame))
}

// Stream sends packets until there are no more, in real time or as fast as they are taken.
func (c *Client) Stream(ctx context.Context, packets iter.Seq2[source.Packet, error], realtime bool) error {
	if realtime {
		packets = Paced(ctx, packets)
	}
	for p, err := range packets {
		if err != nil {
			return err
		}
		if err := c.Send(ctx, p.Data); err != nil {
			return err
		}
	}
	return nil
}

// Paced gives each packet when its audio would have been recorded: by the clock, so that one that is late doesn't
// delay those after it. The end of ctx is its last error.
func Paced(ctx context.Context, packets iter.Seq2[source.Packet, error]) iter.Seq2[source.Packet, error] {
	return func(yield func(source.Packet, error) bool) {
		timer := time.NewTimer(0)
		defer timer.Stop()
		due := time.Now()
		for p, err := range packets {
			due = due.Add(p.Duration)
			timer.Reset(time.Until(due))
			select {
			case <-timer.C:
			case <-ctx.Done():
				yield(source.Packet{}, context.Cause(ctx))
				return
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// Say sends a text frame as it is.
func (c *Client) Say(ctx context.Context, text string) error {
	return c.write(ctx, websocket.MessageText, []byte(text))
}

// Ping waits until the server has taken in all that was sent before. Somebody must be receiving.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	return closed(c.conn.Ping(ctx))
}

// Stop ends the conversation, as a person does who is done speaking.
func (c *Client) Stop(ctx context.Context) error {
	return c.Say(ctx, `{"type":"finalization_reason","reason":"user_stop"}`)
}

// pong is what apps answer a ping with.
var pong = []byte{0x8A, 0x00}

// Receive waits for the next message, and answers the pings before it. When the server has closed, the error is a
// *CloseError.
func (c *Client) Receive(ctx context.Context) (Message, error) {
	for {
		kind, data, err := c.read(ctx)
		switch {
		case err != nil:
			return Message{}, closed(err)
		case kind != websocket.MessageText:
			return Message{}, fmt.Errorf("a binary frame of %d bytes, which no server sends", len(data))
		case string(data) == "ping":
			if err := c.Send(ctx, pong); err != nil {
				return Message{}, err
			}
		default:
			return parse(data)
		}
	}
}

func (c *Client) read(ctx context.Context) (websocket.MessageType, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	return c.conn.Read(ctx)
}

// Close says goodbye, waits for the answer and releases the connection.
func (c *Client) Close() error {
	err := c.conn.Close(websocket.StatusNormalClosure, "")
	if errors.Is(err, net.ErrClosed) {
		return nil // the server was first
	}
	return err
}

// Cut breaks the connection without a word, as a phone in a tunnel does.
func (c *Client) Cut() {
	_ = c.conn.CloseNow() // fails only for one that is broken already
}

// CloseError is the server's close frame.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("closed by the server with %d %s", e.Code, e.Reason)
}

// closed makes a CloseError of an error that stands for a close frame.
func closed(err error) error {
	if frame, ok := errors.AsType[websocket.CloseError](err); ok {
		return &CloseError{int(frame.Code), frame.Reason}
	}
	return err
}
