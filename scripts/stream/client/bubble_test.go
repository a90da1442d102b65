package client_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"earshot.dev/shared/pipetest"
)

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
	listener := pipetest.Listen()
	http.DefaultTransport = &http.Transport{DialContext: listener.Dial}
	server := httptest.NewUnstartedServer(h)
	_ = server.Listener.Close() // nobody has been let in
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server
}
