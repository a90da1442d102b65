// Package allocs holds tests to what decoding something from outside may allocate.
package allocs

import (
	"runtime"
	"testing"
)

// tries are made before it is believed that too much was allocated: others allocate meanwhile, but not each time.
const tries = 3

// Most fails the test if f allocates more than so many bytes of Go's heap, in all, whether they are kept or not.
func Most(t testing.TB, limit uint64, f func()) {
	t.Helper()
	var least uint64
	for range tries {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = after.TotalAlloc - before.TotalAlloc
		if least <= limit {
			return
		}
	}
	t.Fatalf("%d bytes were allocated, want %d at most", least, limit)
}
