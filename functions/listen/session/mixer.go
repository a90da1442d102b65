package session

import "math"

// maxLag is by how many samples a channel may be behind the one that is farthest: one from which less has come was
// silent, or is sent in larger pieces.
const maxLag = sampleRate

// mixer makes one channel of several: samples that came at the same place are added up. It is for one goroutine at a time.
type mixer struct {
	samples []int16 // that were not cut off
	ends    []int   // where the audio of each channel ends in them
}

// add puts samples at the end of a channel's.
func (m *mixer) add(channel int, samples []int16) {
	at := max(m.ends[channel], len(m.samples)-maxLag)
	over := min(len(m.samples)-at, len(samples))
	for i, s := range samples[:over] {
		sum := int32(m.samples[at+i]) + int32(s)
		m.samples[at+i] = int16(min(max(sum, math.MinInt16), math.MaxInt16))
	}
	m.samples = append(m.samples, samples[over:]...)
	m.ends[channel] = at + len(samples)
}

// cut takes n samples off the beginning as PCM16, as soon as nothing can be added to them any more; else nil.
func (m *mixer) cut(n int) []byte {
	whole := n
	if len(m.ends) > 1 {
		whole += maxLag
	}
	if len(m.samples) < whole {
		return nil
	}
	return m.take(n)
}

// take takes n samples off the beginning as PCM16, or all that there are.
func (m *mixer) take(n int) []byte {
	n = min(n, len(m.samples))
	pcm := appendPCM(make([]byte, 0, 2*n), m.samples[:n])
	m.samples = append(m.samples[:0], m.samples[n:]...)
	for channel := range m.ends {
		m.ends[channel] = max(0, m.ends[channel]-n)
	}
	return pcm
}

// appendPCM appends samples as PCM16, little endian.
func appendPCM(dst []byte, samples []int16) []byte {
	for _, s := range samples {
		dst = append(dst, byte(s), byte(s>>8))
	}
	return dst
}
