//go:build lc3

package audio

/*
#cgo pkg-config: lc3
#include <stdlib.h>
#include <lc3.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// The one shape of LC3 that devices send: packets of 30 bytes, which are 10 ms at 16 kHz.
const (
	lc3Microseconds = 10_000
	lc3Packet       = 30 // bytes
	lc3Frame        = SampleRate / 100
)

// lc3Source decodes LC3. The library's state lies in memory of C's, since it points into itself, and is freed when
// the source is garbage.
type lc3Source struct {
	decoder C.lc3_decoder_t
	pcm     [lc3Frame]int16
}

func newLC3Source() (source, error) {
	memory := C.malloc(C.size_t(C.lc3_decoder_size(lc3Microseconds, SampleRate)))
	decoder := C.lc3_setup_decoder(lc3Microseconds, SampleRate, 0, memory)
	if decoder == nil {
		C.free(memory)
		return nil, errors.New("make lc3 decoder: liblc3 refuses 10 ms at 16 kHz")
	}
	l := &lc3Source{decoder: decoder}
	runtime.AddCleanup(l, func(memory unsafe.Pointer) { C.free(memory) }, memory)
	return l, nil
}

// decode takes one packet, or several joined.
func (l *lc3Source) decode(dst []int16, packet []byte) ([]int16, error) {
	if len(packet)%lc3Packet != 0 {
		return dst, fmt.Errorf("decode lc3 packet: %d bytes, not in packets of %d", len(packet), lc3Packet)
	}
	defer runtime.KeepAlive(l) // else its memory might be freed during the last call
	kept := len(dst)
	for ; len(packet) > 0; packet = packet[lc3Packet:] {
		code := C.lc3_decode(l.decoder, unsafe.Pointer(&packet[0]), lc3Packet,
			C.LC3_PCM_FORMAT_S16, unsafe.Pointer(&l.pcm[0]), 1)
		if code != 0 { // 1: the packet is damaged, and the library has made something up
			return dst[:kept], fmt.Errorf("decode lc3 packet: damaged (liblc3's code %d)", int(code))
		}
		dst = append(dst, l.pcm[:]...)
	}
	return dst, nil
}
