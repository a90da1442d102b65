package deepgram

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

const (
	patience    = 10 * time.Second // without any message, as with Deepgram
	queueLength = 256              // messages between the reader and the decoder; then the socket waits
	writeLimit  = 10 * time.Second // for one message to a client that doesn't read
)

// The reasons of close frames begin with the code that Deepgram's documentation knows them by,
// https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors.
const (
	reasonIdle = "NET-0001: neither audio nor a message within the timeout"
	reasonData = "DATA-0000: the message can't be understood"
)

// errEnded ends the other goroutines of a connection with the one that returns it.
var errEnded = errors.New("the connection has ended")

// connection is one client's stream.
type connection struct {
	id    string
	conn  *websocket.Conn
	query query
	rate  int
	queue chan item // from the reader to the decoder

	active chan struct{} // holds one: something was heard or decoded since the watch last looked

	// The reader's.
	half []byte // the first byte of a sample whose second is still to come

	// The decoding loop's.
	decoder Decoder
	samples int // decoded
}

type order uint8

const (
	decode order = iota
	finalize
	closeStream
)

type item struct {
	order order
	pcm   []int16
}

// run returns when the stream has ended and its goroutines have returned.
func (c *connection) run() {
	group, ctx := errgroup.WithContext(context.Background())
	group.Go(func() error { return c.read(ctx) })
	group.Go(func() error { return c.decode(ctx) })
	group.Go(func() error { return c.watch(ctx) })
	// However a client goes, there is nobody left to tell; fail has logged what the engine did.
	_ = group.Wait()
	// It is closed already, unless a handler was cut short.
	_ = c.conn.CloseNow()
}

// read takes the client's messages until the connection ends.
func (c *connection) read(ctx context.Context) error {
	for {
		kind, data, err := c.conn.Read(ctx)
		if err != nil {
			return err
		}
		c.progress()
		next, ok := c.order(kind, data)
		if !ok {
			return c.close(websocket.StatusPolicyViolation, reasonData)
		}
		if next == nil {
			continue
		}
		select {
		case c.queue <- *next:
		case <-ctx.Done():
			return errEnded
		}
	}
}

// watch closes the connection of a client that says nothing. A decoder that is still behind counts as the client's
// voice: a full queue keeps the reader from hearing it.
func (c *connection) watch(ctx context.Context) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-c.active:
			timer.Reset(patience)
		case <-timer.C:
			return c.close(websocket.StatusInternalError, reasonIdle)
		case <-ctx.Done():
			return errEnded
		}
	}
}

func (c *connection) progress() {
	select {
	case c.active <- struct{}{}:
	default:
	}
}

// close says why, if the client still reads, and ends the connection.
func (c *connection) close(code websocket.StatusCode, reason string) error {
	// Whether the client still reads or not, the connection is closed.
	_ = c.conn.Close(code, reason)
	return errEnded
}

// order is what a message asks for: nothing, if all it says is that the client lives.
func (c *connection) order(kind websocket.MessageType, data []byte) (_ *item, ok bool) {
	if kind == websocket.MessageBinary {
		if len(data) == 0 { // how streams were closed before there was CloseStream
			return &item{order: closeStream}, true
		}
		return &item{order: decode, pcm: c.pcm(data)}, true
	}
	var said control
	if err := json.Unmarshal(data, &said); err != nil {
		return nil, false
	}
	switch said.Type {
	case "KeepAlive":
		return nil, true
	case "Finalize":
		return &item{order: finalize}, true
	case "CloseStream":
		return &item{order: closeStream}, true
	default:
		return nil, false
	}
}

// pcm is the samples in data. A message may end within a sample.
func (c *connection) pcm(data []byte) []int16 {
	if len(c.half) > 0 {
		data = append(c.half, data...)
		c.half = nil
	}
	pcm := make([]int16, len(data)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	if len(data)%2 == 1 {
		c.half = []byte{data[len(data)-1]}
	}
	return pcm
}

// decode does what the client ordered, in order, and writes the answers.
func (c *connection) decode(ctx context.Context) error {
	for {
		var next item
		select {
		case next = <-c.queue:
		case <-ctx.Done():
			return errEnded
		}
		if next.order == decode {
			if err := c.hear(ctx, next.pcm); err != nil {
				return err
			}
			continue
		}
		last, err := c.decoder.Flush()
		if err != nil {
			return c.fail(ctx, err)
		}
		if err := c.write(ctx, c.query.message(c.id, last, next.order == finalize)); err != nil {
			return err
		}
		if next.order == closeStream {
			return c.end(ctx)
		}
	}
}

// hear decodes a second at a time, so that a client that sends much at once has answers in between.
func (c *connection) hear(ctx context.Context, pcm []int16) error {
	c.samples += len(pcm)
	for part := range slices.Chunk(pcm, c.rate) {
		c.progress()
		heard, err := c.decoder.Decode(part)
		if err != nil {
			return c.fail(ctx, err)
		}
		for _, h := range heard {
			if !h.Final && !c.query.interim {
				continue
			}
			if err := c.write(ctx, c.query.message(c.id, h, false)); err != nil {
				return err
			}
		}
	}
	return nil
}

// end says goodbye to a client that has closed its stream.
func (c *connection) end(ctx context.Context) error {
	duration := time.Duration(c.samples) * time.Second / time.Duration(c.rate)
	bye := metadata{Type: "Metadata", RequestID: c.id, Created: time.Now().UTC(), Duration: duration.Seconds(), Channels: 1}
	if err := c.write(ctx, bye); err != nil {
		return err
	}
	return c.close(websocket.StatusNormalClosure, "")
}

// fail ends the connection of a decoder that can't go on.
func (c *connection) fail(ctx context.Context, err error) error {
	slog.ErrorContext(ctx, "recogniser_failed", "request_id", c.id, "error", err)
	return c.close(websocket.StatusInternalError, "the engine failed")
}

func (c *connection) write(ctx context.Context, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return c.fail(ctx, err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, data)
}
