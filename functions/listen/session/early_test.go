package session

import (
	"sync"
	"testing"
)

// Frames come in while a session that can't be opened fails. They are dropped, whenever they come.
func TestEarlyFails(t *testing.T) {
	for range 1000 {
		e := early{opened: make(chan struct{})}
		var reading sync.WaitGroup
		reading.Go(func() {
			for range 20 {
				if !e.keep(frame{data: []byte{1}}) {
					t.Error("a frame is to be taken, and there is no session")
				}
			}
		})
		e.fail()
		reading.Wait()
		if len(e.frames) > 0 {
			t.Fatalf("%d frames are kept for nobody", len(e.frames))
		}
	}
}
