package audio

import "slices"

// pcm8 is unsigned 8 bit PCM: 128 is silence.
type pcm8 struct{}

func (pcm8) decode(dst []int16, packet []byte) ([]int16, error) {
	dst = slices.Grow(dst, len(packet))
	for _, b := range packet {
		dst = append(dst, (int16(b)-128)<<8)
	}
	return dst, nil
}

// pcm16 is little endian 16 bit PCM. A socket neither loses nor reorders bytes, and clients that pass on what a
// microphone pipe gave them cut it anywhere. So a byte left over at the end of a packet is the first half of the
// sample that the next packet begins with; dropped, it would turn all that follows into noise. So would it if it were
// held and the next packet weren't the one that followed: see Decoder.Separate.
type pcm16 struct {
	separate bool
	half     byte
	holding  bool // half is the low byte of the next sample
}

func (p *pcm16) decode(dst []int16, packet []byte) ([]int16, error) {
	dst = slices.Grow(dst, (len(packet)+1)/2)
	if p.holding && len(packet) > 0 {
		dst = append(dst, sample16(p.half, packet[0]))
		packet = packet[1:]
		p.holding = false
	}
	for len(packet) >= 2 {
		dst = append(dst, sample16(packet[0], packet[1]))
		packet = packet[2:]
	}
	if len(packet) == 1 && !p.separate {
		p.half, p.holding = packet[0], true
	}
	return dst, nil
}

func sample16(low, high byte) int16 {
	return int16(uint16(low) | uint16(high)<<8)
}
