package source

import "io"

// live is input that ends when stop is closed, even if nothing comes; what came before is still given.
type live struct {
	chunks chan chunk
	stop   <-chan struct{}
	over   chan struct{} // closed when no more chunks are taken
	rest   []byte        // of the last chunk
	err    error         // after it
}

type chunk struct {
	data []byte
	err  error
}

// chunkSize is at most what is sent after the stop of input that comes faster than it is spoken, in bytes.
const chunkSize = 8 << 10

// newLive begins to read. Nobody waits for it to end: a read of a microphone that is silent can't be broken off.
func newLive(input io.Reader, stop <-chan struct{}) *live {
	l := &live{chunks: make(chan chunk), stop: stop, over: make(chan struct{})}
	go func() {
		for {
			data := make([]byte, chunkSize)
			n, err := input.Read(data)
			select {
			case l.chunks <- chunk{data[:n], err}:
			case <-l.over:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *live) Read(p []byte) (int, error) {
	for len(l.rest) == 0 && l.err == nil {
		select {
		case c := <-l.chunks:
			l.rest, l.err = c.data, c.err
		case <-l.stop:
			l.last()
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// last takes the chunk that waits, if there is one.
func (l *live) last() {
	select {
	case c := <-l.chunks:
		l.rest = c.data
	default:
	}
	l.err = io.EOF
	close(l.over)
}
