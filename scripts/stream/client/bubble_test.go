package client_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
)

// pipes is a listener whose connections stay in the process, so that their time is the test's.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// bubble runs a test in time of its own. It may have one server, of serve.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		outside := http.DefaultTransport
		defer func() { http.DefaultTransport = outside }()
		test(t)
	})
}

// serve runs a server in a bubble. It takes the place of all that clients could reach.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	http.DefaultTransport = &http.Transport{DialContext: p.dial}
	server := httptest.NewUnstartedServer(h)
	_ = server.Listener.Close() // nobody has been let in
	server.Listener = p
	server.Start()
	t.Cleanup(server.Close)
	return server
}
