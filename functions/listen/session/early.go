package session

import (
	"bytes"
	"sync"
	"time"
)

// frame is what was read from the socket, and when: what waits was said no later.
type frame struct {
	at     time.Time
	binary bool
	data   []byte
	err    error // instead of data, at the end
}

// maxEarly is how many bytes are kept for a session that isn't open yet, frameSize more for each frame than it has: 30 s
// of PCM16. The rest waits in the socket.
const (
	maxEarly  = 1 << 20
	frameSize = 64
)

// early is what comes before the session is open. Clients speak as soon as they are connected.
type early struct {
	mu     sync.Mutex
	frames []frame
	size   int
	over   bool
	failed bool
	opened chan struct{} // closed when it is over
}

// keep keeps a frame, and reports false if it is to be taken at once.
func (e *early) keep(f frame) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return e.failed
	}
	f.data = bytes.Clone(f.data)
	e.frames = append(e.frames, f)
	if e.size += frameSize + len(f.data); e.size > maxEarly {
		e.mu.Unlock()
		<-e.opened
		e.mu.Lock()
	}
	return true
}

// ended reports whether the end of the socket is among what is kept.
func (e *early) ended() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.frames) > 0 && e.frames[len(e.frames)-1].err != nil
}

// release gives all that was kept, before anything that comes later.
func (e *early) release(take func(frame)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	close(e.opened)
	for _, f := range e.frames {
		take(f)
	}
	e.frames = nil
}

// fail drops what was kept, and what comes later: the session was not opened.
func (e *early) fail() {
	e.mu.Lock()
	e.failed = true
	e.mu.Unlock()
	e.release(func(frame) {})
}
