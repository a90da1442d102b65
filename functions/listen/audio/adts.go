//go:build aac

package audio

import "errors"

// adtsMost is how many ADTS frames one packet may hold: four seconds at 16 kHz would be 64. It bounds what a packet of
// nothing but tiny frames decodes to.
const adtsMost = 32

var errNoADTS = errors.New("decode aac packet: not whole ADTS frames")

// cutADTS splits the first frame, with its header, off a packet (ISO/IEC 13818-7, section 6.2; the length is that of
// the frame with its header).
func cutADTS(packet []byte) (frame, rest []byte, err error) {
	if len(packet) < 7 || packet[0] != 0xff || packet[1]&0xf6 != 0xf0 {
		return nil, nil, errNoADTS
	}
	length := int(packet[3]&3)<<11 | int(packet[4])<<3 | int(packet[5])>>5
	header := 9
	if protected := packet[1]&1 == 0; !protected {
		header = 7
	}
	if length <= header || length > len(packet) {
		return nil, nil, errNoADTS
	}
	return packet[:length], packet[length:], nil
}
