package lock

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Redis answers, and too late for Hold and for its caller, who waits for neither. No lock is left that nobody holds.
func TestSlow(t *testing.T) {
	near, server := start(t)
	if err := near.Hold(t.Context(), "warm", Options{}, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err) // from here on Redis knows the script
	}
	far := locker(t, slow(t, server.Addr(), callTimeout*6/5))
	gaveUp := errors.New("gave up")
	for name, hold := range map[string]func() error{
		"run without": func() error {
			return far.Hold(t.Context(), "run without", Options{}, func(context.Context) error { return gaveUp })
		},
		"not run": func() error {
			ctx, cancel := context.WithTimeoutCause(t.Context(), callTimeout/2, gaveUp)
			defer cancel()
			return far.Hold(ctx, "not run", Options{}, func(context.Context) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := far.client.Ping(t.Context()).Err(); err != nil { // a connection is there, or nothing would be sent
				t.Fatal(err)
			}
			began := time.Now()
			if err := hold(); !errors.Is(err, gaveUp) {
				t.Errorf("got %v, want %v", err, gaveUp)
			}
			if took := time.Since(began); took > 4*callTimeout { // room for a slow machine
				t.Errorf("the caller waited for %v, want %v at most", took, callTimeout)
			}
			eventually(t, "Redis gave the lock", func() bool { return stored(t, near, name) != "" })
			eventually(t, "the lock is gone", func() bool { return stored(t, near, name) == "" })
		})
	}
}

// slow gives the address of a line on which all that is sent is so long on its way, in each direction.
func slow(t *testing.T, addr string, delay time.Duration) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	carry := func(to, from net.Conn) {
		defer to.Close() // broken is what it is to be
		for buffer := make([]byte, 4096); ; {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			<-time.After(delay)
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr) //nolint:noctx // of this machine: it is refused at once, or succeeds
			if err != nil {
				t.Error(err)
				return
			}
			running.Go(func() { carry(far, near) })
			running.Go(func() { carry(near, far) })
		}
	})
	t.Cleanup(func() {
		listener.Close() // broken is what it is to be
		running.Wait()
	})
	return listener.Addr().String()
}
