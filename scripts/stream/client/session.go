package client

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coder/websocket"
)

// The close codes after which trying again is no use: what was asked for can't be had.
const (
	closeUnsupported = 1003
	closePolicy      = 1008
	closeTooLarge    = 1009
	closeTokenOver   = 4001
	closeTokenGone   = 4004
)

// tokenTries is how often a token may be refused as over before one is accepted: a server that can't read its keys says
// the same.
const tokenTries = 5

// takenOver is what a server says, with closeAway, to a connection whose device opened a newer one.
const (
	closeAway = 1001
	takenOver = "a newer session of this device took over"
)

// A session that is taken over so often, each time so soon after the one before, shares its device's name with another client.
// Connections of its own that were given up, and came to the server late, take it over less often.
const (
	duels = 3
	duel  = time.Minute
)

// ErrTaken ends a session that would put out another client, and be put out by it, for ever.
var ErrTaken = errors.New("another client uses this device's name")

// ErrNumbersOver ends a session whose next packet has no number: a device has 2^32-1 for all that it ever sends.
var ErrNumbersOver = errors.New("this device has no number left for its audio: it needs another name")

// maxKept is how much audio is kept that isn't acknowledged, in bytes: an hour of Opus, or four minutes of PCM. Beyond
// it the oldest is given up.
const maxKept = 8 << 20

// maxTexts is how many text frames wait for a connection; beyond it the oldest is given up.
const maxTexts = 64

// Session speaks to a listen endpoint for longer than a connection lasts: it numbers the audio, keeps what isn't
// acknowledged, connects again when it is cut off, to whatever instance, and sends on from there, as
// functions/listen/wire/README.md says. It is the reference for clients that do the same.
type Session struct {
	config Config
	told   func(Message)

	mu       sync.Mutex
	based    bool          // base is known
	base     uint64        // the number of a packet is base plus its index, from 1; one over 32 bits can't be sent
	through  uint64        // the highest number that was acknowledged
	texts    []string      // to be sent, in order
	kept     []item        // in order; not acknowledged, or an end that is not known to have come through
	indexes  uint64        // given to packets so far
	size     int           // bytes kept
	sent     int           // how many of kept went out on this connection
	acks     int           // that came on this connection
	hold     bool          // the server asked to
	current  string        // the conversation's id
	moved    chan struct{} // has an element when something above has changed
	given    int           // packets given up
	connects int
}

// item is a packet, or the end of the conversation after the packet of the same index.
type item struct {
	index  uint64
	packet []byte // with room for its number before it; nil: an end
	end    ending
}

// ending is what is known of an end.
type ending struct {
	sent         bool
	conversation string // that was to end; empty: the next one
	done         bool
}

// numberSize is that of a packet's number, and maxPacket how large one may be, in bytes: a frame has 64 KiB at most.
const (
	numberSize = 4
	maxPacket  = 64<<10 - numberSize
)

// NewSession makes a session. Messages of the server are told one after the other, while Run runs.
func NewSession(c Config, told func(Message)) *Session {
	c.Acknowledge = true
	return &Session{config: c, told: told, moved: make(chan struct{}, 1)}
}

// Send has a packet sent, now or when there is a connection. It never waits. One that is too large for any server is given up.
func (s *Session) Send(packet []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(packet) > maxPacket {
		s.given++
		return
	}
	s.indexes++
	s.kept = append(s.kept, item{index: s.indexes, packet: append(make([]byte, numberSize), packet...)})
	for s.size += len(packet); s.size > maxKept; s.given++ {
		s.drop(1)
	}
	s.wake()
}

// End ends the conversation after what was sent so far.
func (s *Session) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, item{index: s.indexes})
	s.wake()
}

// Say has a text frame sent, now or when there is a connection, and once: nobody acknowledges one, so what a cut takes is lost.
func (s *Session) Say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts = append(s.texts, text); len(s.texts) > maxTexts {
		s.texts = s.texts[1:]
	}
	s.wake()
}

func (s *Session) wake() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// drop forgets the n oldest items.
func (s *Session) drop(n int) {
	for _, it := range s.kept[:n] {
		s.size -= max(0, len(it.packet)-numberSize)
	}
	s.kept = append(s.kept[:0], s.kept[n:]...)
	s.sent = max(0, s.sent-n)
}

// Unacknowledged is how many packets and ends are not known to be safe, Dropped how many packets were given up for want
// of room, and Connections how often the session connected.
func (s *Session) Unacknowledged() int { return s.count(func() int { return len(s.kept) }) }

// Unsent is how many of these did not go out on the connection that there is now.
func (s *Session) Unsent() int { return s.count(func() int { return len(s.kept) - s.sent }) }

// Dropped counts packets; see Unacknowledged.
func (s *Session) Dropped() int { return s.count(func() int { return s.given }) }

// Connections counts those that were made; see Unacknowledged.
func (s *Session) Connections() int { return s.count(func() int { return s.connects }) }

func (s *Session) count(get func() int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return get()
}

// Run connects, and connects again, until ctx ends, or the server says that it is no use: then the error is its
// *CloseError. Where there is no service the first time, it ends with ErrNoService, and it may end with ErrTaken or
// ErrNumbersOver.
func (s *Session) Run(ctx context.Context) error {
	pace := backoff.NewExponentialBackOff() // with jitter: all clients of an instance that ends come back at once
	pace.InitialInterval, pace.MaxInterval = 200*time.Millisecond, 20*time.Second
	var taken time.Time // when the connection before was taken over
	for refused, takeovers := 0, 0; ; {
		err := s.connect(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.Connections() == 0 && errors.Is(err, ErrNoService) || errors.Is(err, ErrNumbersOver) {
			return err
		}
		// The first acknowledgement comes to whoever is let in, even where no recogniser is to be had then; only another one
		// shows that the connection was of use.
		acks := s.count(func() int { return s.acks })
		if acks > 0 {
			refused = 0
		}
		if acks > 1 {
			pace.Reset()
		}
		frame, closed := errors.AsType[*CloseError](err)
		if !closed || frame.Reason != takenOver || time.Since(taken) >= duel {
			takeovers = 0
		}
		switch {
		case !closed:
		case frame.Code == closeAway && frame.Reason == takenOver:
			if takeovers++; takeovers == duels {
				return fmt.Errorf("%w: %w", ErrTaken, err)
			}
			taken = time.Now()
		case frame.Code == closeTokenOver:
			if refused++; refused == tokenTries {
				return err
			}
		case frame.Code == closeUnsupported, frame.Code == closePolicy, frame.Code == closeTooLarge,
			frame.Code == closeTokenGone:
			return err
		}
		select {
		case <-time.After(pace.NextBackOff()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connect lives one connection.
func (s *Session) connect(ctx context.Context) error {
	s.count(func() int { s.acks = 0; return 0 })
	c, err := Dial(ctx, s.config)
	if err != nil {
		return err
	}
	defer c.Cut()
	goodbye := context.AfterFunc(ctx, func() { _ = c.Close() }) // fails only for one that is broken already
	defer goodbye()
	living, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var sending sync.WaitGroup
	defer s.count(func() int { s.sent = 0; return 0 })
	defer sending.Wait()
	defer cancel(nil)
	s.count(func() int { s.connects++; s.hold = false; return 0 })
	started := false
	for {
		m, err := c.Receive(living)
		if err != nil {
			return errors.Join(err, context.Cause(living))
		}
		if s.take(m) && !started {
			started = true
			sending.Go(func() { cancel(s.send(living, c)) })
		}
		s.told(m)
	}
}

// take takes in what a message means for what is kept. It reports whether sending may begin.
func (s *Session) take(m Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake()
	switch m.Type {
	case ConversationSession:
		s.current = m.ConversationID
		for i := range s.kept {
			switch e := &s.kept[i].end; {
			case !e.sent:
			case e.conversation == "":
				e.conversation = s.current
			default:
				e.done = e.done || e.conversation != s.current
			}
		}
		s.settle()
	case Backpressure:
		s.hold = m.State == "slow"
	case ProcessingStarted:
		var memory struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(m.Memory, &memory) == nil && memory.ID == s.current {
			s.current = "" // it has ended
			for i := range s.kept {
				s.kept[i].end.done = s.kept[i].end.done || s.kept[i].end.conversation == memory.ID
			}
			s.settle()
		}
	case AudioAck:
		s.acks++
		s.acknowledged(uint64(m.Sequence))
		return true
	}
	return false
}

func (s *Session) acknowledged(sequence uint64) {
	if !s.based {
		s.based, s.base = true, sequence // the device's numbers go on from what came before this session
	}
	s.through = max(s.through, sequence)
	for i := range s.kept {
		if it := &s.kept[i]; s.base+it.index < s.through {
			it.end.done = it.end.done || it.end.sent // what came after it is safe, and it was before
		}
	}
	s.settle()
}

// settle forgets what is safe. An end is, once the conversation that it was to end is not the current one any more.
func (s *Session) settle() {
	n := 0
	for n < len(s.kept) && s.base+s.kept[n].index <= s.through {
		if it := s.kept[n]; it.packet == nil && (!it.end.sent || !it.end.done) {
			break
		}
		n++
	}
	s.drop(n)
}

// send sends what is kept, in order, from the beginning, as it is what the server doesn't have.
func (s *Session) send(ctx context.Context, c *Client) error {
	s.count(func() int { s.sent = 0; return 0 })
	for {
		kind, frame, err := s.next()
		if err != nil {
			return err
		}
		if frame != nil {
			if err := c.write(ctx, kind, frame); err != nil {
				return err
			}
			continue
		}
		select {
		case <-s.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next is the frame to send now; nil: none.
func (s *Session) next() (websocket.MessageType, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.texts) > 0 {
		text := s.texts[0]
		s.texts = s.texts[1:]
		return websocket.MessageText, []byte(text), nil
	}
	if s.hold || s.sent >= len(s.kept) {
		return 0, nil, nil
	}
	it := &s.kept[s.sent]
	if it.packet != nil {
		number := s.base + it.index
		if number > math.MaxUint32 {
			return 0, nil, ErrNumbersOver
		}
		s.sent++
		binary.BigEndian.PutUint32(it.packet, uint32(number))
		return websocket.MessageBinary, it.packet, nil
	}
	s.sent++
	it.end = ending{sent: true, conversation: s.current}
	return websocket.MessageText, []byte(`{"type":"end"}`), nil
}

// Acknowledged waits until all that was sent is safe.
func (s *Session) Acknowledged(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		n := s.Unacknowledged()
		if n == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d packets are not acknowledged: %w", n, ctx.Err())
		}
	}
}
