package session

import (
	"encoding/binary"
	"slices"
	"testing"
)

// pcm16 takes samples out of octets.
func pcm16(octets []byte) []int16 {
	var samples []int16
	for pair := range slices.Chunk(octets, 2) {
		samples = append(samples, int16(binary.LittleEndian.Uint16(pair)))
	}
	return samples
}

func TestMixerAddsUp(t *testing.T) {
	m := mixer{ends: make([]int, 2)}
	m.add(0, []int16{1, 2, 3, 30_000, -30_000})
	m.add(1, []int16{10, 20})
	m.add(1, []int16{30, 30_000, -30_000, 7})
	if got := m.cut(4); got != nil {
		t.Errorf("cut %v off, to which more may be added", pcm16(got))
	}
	if got, want := pcm16(m.take(5)), []int16{11, 22, 33, 32_767, -32_768}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: the sums, as far as 16 bits go", got, want)
	}
	m.add(0, []int16{1, 1})
	if got, want := pcm16(m.take(9)), []int16{8, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: each channel goes on where it was", got, want)
	}
}

// A channel from which nothing comes doesn't hold the other up, and is heard beside it when something comes again.
func TestMixerOfASilentChannel(t *testing.T) {
	m := mixer{ends: make([]int, 2)}
	m.add(0, make([]int16, 2*maxLag))
	if got := len(m.cut(maxLag)); got != 2*maxLag {
		t.Fatalf("cut %d octets off, want %d: the other channel is late", got, 2*maxLag)
	}
	m.add(0, make([]int16, 3*maxLag))
	m.add(1, []int16{7})
	got := pcm16(m.take(4 * maxLag))
	if at := slices.Index(got, 7); len(got) != 4*maxLag || at != 3*maxLag {
		t.Errorf("of %d samples the late one is at %d, want %d: no more than a second behind", len(got), at, 3*maxLag)
	}
}
