package chaos

import (
	"net"
	"sync"
	"testing"
)

// line is a network connection that can be cut: it listens, and passes on what comes to a target, which may be another
// for each connection.
type line struct {
	target   func() (string, error)
	listener net.Listener
	passing  sync.WaitGroup

	mu      sync.Mutex
	ends    map[net.Conn]struct{} // of the connections that are open
	flowing map[way]chan struct{} // closed as long as bytes pass
	refused bool
	closed  bool
}

// way is a direction of a line.
type way int

const (
	there way = iota // to the target
	back
)

func newLine(t *testing.T, target func() (string, error)) *line {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{target: target, listener: listener, ends: make(map[net.Conn]struct{})}
	flowing := make(chan struct{})
	close(flowing)
	l.flowing = map[way]chan struct{}{there: flowing, back: flowing}
	l.passing.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

func (l *line) addr() string { return l.listener.Addr().String() }

func (l *line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // it was closed
		}
		l.passing.Go(func() { l.connect(near) })
	}
}

// connect lives one connection.
func (l *line) connect(near net.Conn) {
	defer near.Close() // broken is what it is to be
	target, err := l.target()
	if err != nil {
		return
	}
	far, err := net.Dial("tcp", target) //nolint:noctx // of this machine: it is refused at once, or succeeds
	if err != nil {
		return
	}
	defer far.Close() // broken is what it is to be
	if !l.open(near, far) {
		return
	}
	defer l.forget(near, far)
	var answering sync.WaitGroup
	answering.Go(func() { l.pass(back, near, far) })
	l.pass(there, far, near)
	answering.Wait()
}

func (l *line) open(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range ends {
		if !l.refused && !l.closed {
			l.ends[end] = struct{}{}
		}
	}
	return !l.refused && !l.closed
}

func (l *line) forget(ends ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range ends {
		delete(l.ends, end)
	}
}

// pass copies until one of both is closed, and then closes the other.
func (l *line) pass(w way, to, from net.Conn) {
	defer to.Close()   // broken is what it is to be
	defer from.Close() // broken is what it is to be
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.mu.Lock()
		flowing := l.flowing[w]
		l.mu.Unlock()
		<-flowing
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// cut breaks the connections that are open.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for end := range l.ends {
		end.Close() // broken is what it is to be
	}
}

// refuse has connections from now on closed at once, or no more.
func (l *line) refuse(refused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = refused
}

// stall keeps back all bytes that go these ways, until the function that it gives is called.
func (l *line) stall(ways ...way) (release func()) {
	flowing := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range ways {
		l.flowing[w] = flowing
	}
	return func() { close(flowing) }
}

func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.listener.Close() // broken is what it is to be
	l.cut()
	l.passing.Wait()
}
