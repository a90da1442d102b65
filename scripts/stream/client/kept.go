package client

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/wire"
)

// maxKept is how much audio is kept that isn't acknowledged, in bytes: an hour of Opus, or four minutes of PCM. Beyond
// it the oldest is given up.
const maxKept = 8 << 20

// maxTexts is how many text frames wait to be sent, beside those that end a conversation; beyond it the oldest is given up.
const maxTexts = 64

// item is a packet, or a text that was said after the packet of the same index.
type item struct {
	index  uint64
	packet []byte // with room for its number before it; nil: a text
	text   string
	ends   bool // the text ends the conversation
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
		s.forget(func(it item) bool { return it.packet != nil })
	}
	s.wake()
}

// End ends the conversation after what was sent so far.
func (s *Session) End() { s.Say(`{"type":"end"}`) }

// Say has a text frame sent, now or when there is a connection, in its place: after the audio that was sent before, which may
// have to wait. One that ends the conversation is sent again as long as it may be that it didn't come through. Any other is
// sent once: nobody acknowledges one, so what a cut takes is lost.
func (s *Session) Say(text string) {
	message, ok := wire.ParseClient([]byte(text))
	ends := ok && message.Ends()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, item{index: s.indexes, text: text, ends: ends})
	if !ends {
		s.texts++
	}
	if s.texts > maxTexts {
		s.forget(item.passing)
	}
	s.wake()
}

// passing reports whether it is a text that is sent once.
func (it item) passing() bool { return it.packet == nil && !it.ends }

// pending reports whether it is an end that was sent, and of which it isn't known that it came through.
func (it item) pending() bool { return it.end.sent && !it.end.done }

// forget takes out the oldest item that is so.
func (s *Session) forget(so func(item) bool) {
	if i := slices.IndexFunc(s.kept, so); i >= 0 {
		s.drop(i, i+1)
	}
}

// drop takes out the items from i on, before j.
func (s *Session) drop(i, j int) {
	for _, it := range s.kept[i:j] {
		s.size -= max(0, len(it.packet)-numberSize)
		if it.passing() {
			s.texts--
		}
	}
	s.kept = slices.Delete(s.kept, i, j)
	s.sent -= max(0, min(s.sent, j)-i)
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

// settle forgets what is safe. A text that wasn't sent isn't; an end is, once the conversation that it was to end is not the
// current one any more.
func (s *Session) settle() {
	n := 0
	for n < len(s.kept) && s.base+s.kept[n].index <= s.through {
		if it := s.kept[n]; it.packet == nil && !it.end.done {
			break
		}
		n++
	}
	s.drop(0, n)
}

// next is the frame to send now; nil: none.
func (s *Session) next() (websocket.MessageType, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent >= len(s.kept) {
		return 0, nil, nil
	}
	it := &s.kept[s.sent]
	switch {
	case it.passing():
		text := []byte(it.text)
		s.drop(s.sent, s.sent+1)
		return websocket.MessageText, text, nil
	case it.ends:
		it.end = ending{sent: true, conversation: s.current}
		if slices.ContainsFunc(s.kept[:s.sent], item.pending) {
			it.end.conversation = "" // that one is over before
		}
		s.sent++
		return websocket.MessageText, []byte(it.text), nil
	case s.hold: // which is of audio, and of what was said after it
		return 0, nil, nil
	}
	number := s.base + it.index
	if number > math.MaxUint32 {
		return 0, nil, ErrNumbersOver
	}
	s.sent++
	binary.BigEndian.PutUint32(it.packet, uint32(number))
	return websocket.MessageBinary, it.packet, nil
}
