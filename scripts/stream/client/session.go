package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
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
	kept     []item        // in order; not acknowledged, an end that is not known to have come through, or text that wasn't sent
	texts    int           // of kept, that end nothing
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

// NewSession makes a session. Messages of the server are told one after the other, while Run runs.
func NewSession(c Config, told func(Message)) *Session {
	c.Acknowledge = true
	return &Session{config: c, told: told, moved: make(chan struct{}, 1)}
}

func (s *Session) wake() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// Unacknowledged is how many packets and ends are not known to be safe, and texts wait to be sent; Dropped is how many packets
// were given up for want of room, and Connections how often the session connected.
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
