package cable_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot.dev/scripts/local/cable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that says what it hears.
func echo(t *testing.T) func() (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }() // of no more use
				_, _ = io.Copy(conn, conn)          // until it is cut
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close() // the test is over
		<-done
	})
	return func() (string, error) { return listener.Addr().String(), nil }
}

func lay(t *testing.T, to func() (string, error), f cable.Faults) *cable.Cable {
	t.Helper()
	c, err := cable.Lay(t.Context(), to, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func dial(t *testing.T, c *cable.Cable) net.Conn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test is over
	return conn
}

// speak sends bytes, each one the next, until the line is cut or all have come back, and gives how many did.
func speak(t *testing.T, conn net.Conn, limit int) int {
	t.Helper()
	for n := range limit {
		if _, err := conn.Write([]byte{byte(n)}); err != nil {
			return n
		}
		back := make([]byte, 1)
		if _, err := io.ReadFull(conn, back); err != nil {
			return n
		}
		if back[0] != byte(n) {
			t.Fatalf("byte %d came back as %d", byte(n), back[0])
		}
	}
	return limit
}

func TestGoodNetwork(t *testing.T) {
	c := lay(t, echo(t), cable.Faults{})
	if got := speak(t, dial(t, c), 1000); got != 1000 {
		t.Errorf("%d of 1000 bytes came back", got)
	}
	if got := c.Figures(); got.Connections != 1 || got.Cuts+got.Stalls != 0 {
		t.Errorf("%v", got)
	}
}

// Stalls and delays lose and disorder nothing; a cut ends the connection; and after Calm there is neither.
func TestBadNetwork(t *testing.T) {
	c := lay(t, echo(t), cable.Faults{
		Seed: 1, Cut: 50 * time.Millisecond, Stall: 10 * time.Millisecond, Hang: 5 * time.Millisecond, Delay: time.Millisecond,
	})
	for range 5 {
		if got := speak(t, dial(t, c), 1<<20); got == 1<<20 {
			t.Error("a connection was never cut")
		}
	}
	if got := c.Figures(); got.Cuts < 5 || got.Stalls == 0 {
		t.Errorf("%v, want 5 cuts and some stalls", got)
	}
	c.Calm()
	conn := dial(t, c)
	if got := speak(t, conn, 5000); got != 5000 {
		t.Errorf("after Calm: %d of 5000 bytes came back", got)
	}
}

// Nobody there: the client's connection ends.
func TestNobody(t *testing.T) {
	c := lay(t, func() (string, error) { return "", context.Canceled }, cable.Faults{})
	if n, err := dial(t, c).Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from nobody", n)
	}
}
