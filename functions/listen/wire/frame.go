package wire

import "encoding/binary"

// Keepalive is the size up to which a binary frame holds no audio: apps answer pings with such frames.
const Keepalive = 2

// MaxChannels is how many channels a client can send: the user's microphone, and the other side.
const MaxChannels = 2

// Framing is how a client wraps its audio packets (README.md).
type Framing struct {
	Numbered bool // a sequence number of 4 bytes comes first, big endian
	Channels int  // with more than one, the channel's byte comes next
}

// Frame is a binary frame taken apart. Packet is part of the frame that was read.
type Frame struct {
	Sequence uint32 // 0: not numbered
	Channel  int    // counts from 0; -1: there is no such channel
	Packet   []byte
}

// Parse takes a frame apart. It reports false for one that is too short, or has the number 0, which nobody sends.
func (f Framing) Parse(data []byte) (frame Frame, ok bool) {
	if f.Numbered {
		if len(data) < 4 {
			return Frame{}, false
		}
		frame.Sequence = binary.BigEndian.Uint32(data)
		if frame.Sequence == 0 {
			return Frame{}, false
		}
		data = data[4:]
	}
	if f.Channels > 1 {
		if len(data) == 0 {
			return Frame{}, false
		}
		frame.Channel = int(data[0]) - 1
		if frame.Channel >= f.Channels {
			frame.Channel = -1
		}
		data = data[1:]
	}
	frame.Packet = data
	return frame, true
}
