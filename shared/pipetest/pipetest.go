// Package pipetest serves HTTP for tests by pipes: the connections stay in the process, so that their time can be a test's
// (testing/synctest), and hold nothing that isn't read.
package pipetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Listener is one end of the pipes. Its methods may be called from any goroutine.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Listen gives a listener; nothing but its own Dial reaches it.
func Listen() *Listener { return &Listener{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept waits for the next connection, or for Close: then its error is net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close lets nobody in any more. It may be called again.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is one that names nothing.
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// Dial connects, whatever the address, as http.Transport's DialContext. After Close its error is net.ErrClosed.
func (l *Listener) Dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Serve runs the handler until the test is over, and gives a client that reaches it at any address.
func Serve(t *testing.T, h http.HandlerFunc) *http.Client {
	t.Helper()
	listener, server := Listen(), &http.Server{Handler: h}
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	transport := &http.Transport{DialContext: listener.Dial}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("server.Close: %v", err)
		}
		transport.CloseIdleConnections()
		running.Wait()
	})
	return &http.Client{Transport: transport}
}
