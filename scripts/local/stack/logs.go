package stack

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// logs is one writer for many that write lines. Nothing is said of an error: there is no other place to say it.
type logs struct {
	mu sync.Mutex
	w  io.Writer
}

// prefixWidth keeps the lines of all functions aligned.
const prefixWidth = len("integrations")

func (l *logs) line(name string, text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintf(l.w, "%-*s | %s\n", prefixWidth, name, text) // see logs
}

// say writes a line of our own.
func (l *logs) say(format string, args ...any) { l.line("local", fmt.Appendf(nil, format, args...)) }

// prefixed is a writer that begins each line with a name.
func (l *logs) prefixed(name string) *prefixer { return &prefixer{logs: l, name: name} }

type prefixer struct {
	logs *logs
	name string
	rest []byte // of a line whose end is still to come
}

// Write passes on the lines that are complete. One goroutine at a time calls it.
func (p *prefixer) Write(data []byte) (int, error) {
	p.rest = append(p.rest, data...)
	for {
		line, rest, complete := bytes.Cut(p.rest, []byte("\n"))
		if !complete {
			return len(data), nil
		}
		p.logs.line(p.name, line)
		p.rest = rest
	}
}

// flush passes on a last line that has no end.
func (p *prefixer) flush() {
	if len(p.rest) > 0 {
		p.logs.line(p.name, p.rest)
		p.rest = nil
	}
}
