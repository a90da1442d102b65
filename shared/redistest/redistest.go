// Package redistest runs a redis-server of its own for a test or for the local system, and lets it fail in the ways
// that Redis fails: killed, paused, restarted empty. It keeps nothing on disk and never touches a Redis that was
// there before.
package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 10 * time.Second
	stopTimeout  = 5 * time.Second // from SIGTERM to SIGKILL
	portTries    = 5
)

var errPortTaken = errors.New("the port was taken in between")

// Server is a running redis-server. Its methods may be called from any goroutine.
type Server struct {
	addr string
	args []string

	mu  sync.Mutex
	run *process // of the latest start
}

// Start starts a redis-server on a free port of the loopback address and returns when it takes commands. The
// arguments are added to the command line, as in Start("--maxmemory", "8mb"). It needs redis-server on the PATH.
func Start(args ...string) (*Server, error) {
	for try := 1; ; try++ {
		addr, err := freeAddr()
		if err != nil {
			return nil, fmt.Errorf("redistest: find a free port: %w", err)
		}
		s := &Server{addr: addr, args: args}
		switch err = s.Restart(); {
		case err == nil:
			return s, nil
		case !errors.Is(err, errPortTaken) || try == portTries:
			return nil, err
		}
	}
}

// New is Start for a test, which fails if there is no server, and stops it at its end.
func New(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s, err := Start(args...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// Addr is where the server listens, host:port. It stays the same across restarts.
func (s *Server) Addr() string { return s.addr }

// Restart starts the server again on its address, empty. It kills the one that still runs, if there is one.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil {
		s.run.signal(syscall.SIGKILL)
		<-s.run.exited
	}
	run, err := spawn(s.addr, s.args)
	if err != nil {
		return fmt.Errorf("redistest: start redis-server: %w", err)
	}
	s.run = run
	return nil
}

// Stop ends the server in order, and returns when it is gone. Stopping it twice is harmless.
func (s *Server) Stop() {
	run := s.current()
	run.signal(syscall.SIGTERM)
	run.signal(syscall.SIGCONT) // a paused process doesn't see the first signal
	select {
	case <-run.exited:
	case <-time.After(stopTimeout):
		s.Kill()
	}
}

// Kill ends the server at once, as a crash would: connections break, and new ones are refused.
func (s *Server) Kill() {
	run := s.current()
	run.signal(syscall.SIGKILL)
	<-run.exited
}

// Pause stops the process from running: connections stay open and are accepted, and nothing is answered.
func (s *Server) Pause() { s.current().signal(syscall.SIGSTOP) }

// Resume lets a paused server go on, beginning with what was sent to it meanwhile.
func (s *Server) Resume() { s.current().signal(syscall.SIGCONT) }

func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// process is one run of redis-server.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// spawn starts redis-server and waits until it says that it takes connections. Asking the port instead could be
// answered by somebody else's server.
func spawn(addr string, args []string) (*process, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	args = append([]string{
		"--bind", host, "--port", port, "--dir", os.TempDir(),
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "",
	}, args...)
	p := &process{cmd: exec.Command("redis-server", args...), exited: make(chan struct{})} //nolint:noctx // it outlives the call that starts it
	p.cmd.SysProcAttr = attributes()
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.cmd.Stdout // where it says what it dislikes about its configuration
	started, ready := make(chan error, 1), make(chan error, 1)
	go p.live(output, started, ready)
	if err := <-started; err != nil {
		return nil, err
	}
	select {
	case err = <-ready:
	case <-time.After(startTimeout):
		err = fmt.Errorf("not ready after %s", startTimeout)
	}
	if err != nil {
		p.signal(syscall.SIGKILL)
		<-p.exited
		return nil, err
	}
	return p, nil
}

// live starts the process and stays with it to its end. It keeps its thread, since what ties the child's life to
// ours (see attributes) is tied to the thread that started the child.
func (p *process) live(output io.Reader, started, ready chan<- error) {
	runtime.LockOSThread()
	defer close(p.exited)
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	ready <- awaitReady(output)
	_, _ = io.Copy(io.Discard, output) // the rest of its log; Wait reports how it ended
	_ = p.cmd.Wait()                   // most runs end by a signal of ours, which is an error here
}

// awaitReady reads the server's log up to the line that says it is ready.
func awaitReady(log io.Reader) error {
	var said strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		line := lines.Text()
		if strings.Contains(line, "Ready to accept connections") {
			return nil
		}
		said.WriteString("\n" + line)
	}
	if strings.Contains(said.String(), "Address already in use") {
		return errPortTaken
	}
	return fmt.Errorf("it ended, saying:%s", said.String())
}

func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.exited:
	default:
		_ = p.cmd.Process.Signal(sig) // it fails only if the process has ended in between
	}
}

// freeAddr finds a port that nobody listens on just now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it doesn't block
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
