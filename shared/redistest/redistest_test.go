package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends one inline command and returns the first line of the answer.
func ask(t *testing.T, s *Server, timeout time.Duration, command string) (string, error) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		return "", err
	}
	defer conn.Close() // of no more use
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func expect(t *testing.T, s *Server, command, want string) {
	t.Helper()
	if got, err := ask(t, s, 10*time.Second, command); err != nil || got != want {
		t.Errorf("%s: got %q, %v, want %q", command, got, err, want)
	}
}

func TestKillAndRestart(t *testing.T) {
	s := New(t)
	expect(t, s, "SET a 1", "+OK")
	s.Kill()
	if got, err := ask(t, s, time.Second, "PING"); err == nil {
		t.Errorf("a killed server answered %q", got)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "GET a", "$-1") // nothing is kept
}

func TestPauseAndResume(t *testing.T) {
	s := New(t)
	s.Pause()
	var timeout net.Error
	if got, err := ask(t, s, 100*time.Millisecond, "PING"); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("paused: got %q, %v, want a timeout", got, err)
	}
	s.Resume()
	expect(t, s, "PING", "+PONG")
	s.Pause()
	s.Stop() // also when paused
	s.Stop()
}

func TestArguments(t *testing.T) {
	s := New(t, "--maxmemory", "3mb")
	expect(t, s, "CONFIG GET maxmemory", "*2")
	if s, err := Start("--no-such-option", "1"); err == nil {
		s.Stop()
		t.Error("a server that refuses its configuration was said to run")
	} else if !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("got %q, want what redis-server said", err)
	}
}

func TestPortTaken(t *testing.T) {
	s := New(t)
	if _, err := spawn(s.Addr(), nil); !errors.Is(err, errPortTaken) {
		t.Errorf("got %v, want %v", err, errPortTaken)
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Setenv("PATH", os.TempDir())
	if s, err := Start(); err == nil {
		s.Stop()
		t.Error("started without redis-server on the PATH")
	}
}
