package allocs_test

import (
	"testing"

	"earshot.dev/functions/listen/allocs"
)

var kept []byte

// failed notes that it was told of a failure, and goes on.
type failed struct {
	testing.TB
	told bool
}

func (*failed) Helper() {}

func (f *failed) Fatalf(string, ...any) { f.told = true }

func TestMost(t *testing.T) {
	for size, want := range map[int]bool{100: false, 900_000: false, 1_100_000: true, 50_000_000: true} {
		f := &failed{TB: t}
		allocs.Most(f, 1_000_000, func() { kept = make([]byte, size) })
		if f.told != want {
			t.Errorf("%d bytes, of which a million may be: told %v, want %v", size, f.told, want)
		}
	}
	first := true
	allocs.Most(t, 1_000_000, func() {
		if first { // somebody else, by chance
			kept = make([]byte, 2_000_000)
		}
		first = false
	})
}
