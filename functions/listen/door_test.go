package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/logging"
)

// Numbered frames hold whole samples, others go on where the one before was cut.
func TestOddFrames(t *testing.T) {
	for query, want := range map[string][]int16{
		"codec=pcm16&sample_rate=16000":       {0x0201, 0x0503},
		"codec=pcm16&sample_rate=16000&ack=1": {0x0201, 0x0605},
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		decoders, err := openDecoders(wire.ParseQuery(values, 0))
		if err != nil {
			t.Fatal(err)
		}
		var got []int16
		for _, frame := range [][]byte{{1, 2, 3}, {5, 6}} {
			if got, err = decoders[0].Decode(got, frame); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", query, got, want)
		}
	}
}

// Who has no id of its own may be one of several, unless it numbers its audio.
func TestDevice(t *testing.T) {
	for _, tt := range []struct {
		id, query, want string
		shared          bool
	}{
		{"abc", "", "abc", false},
		{"abc", "ack=1", "abc", false},
		{"", "source=phone", "phone", true},
		{"", "source=phone&ack=1", "phone", false},
		{"a/b", "", "omi", true},
		{"..", "", "omi", true},
		{"__x__", "", "omi", true}, // Firestore has such names for itself
		{"__x", "", "__x", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v4/listen?"+tt.query, http.NoBody)
		r.Header.Set("X-Device-Id-Hash", tt.id)
		if got, shared := device(r, wire.ParseQuery(r.URL.Query(), 0)); got != tt.want || shared != tt.shared {
			t.Errorf("%q, %q: got %q, shared %t; want %q, %t", tt.id, tt.query, got, shared, tt.want, tt.shared)
		}
	}
}

// What an app says of itself is in the lines of its session, if it is short and printable.
func TestAppIsLogged(t *testing.T) {
	const long = "65 characters, which is one more than there is room for in a line"
	tests := []struct {
		platform, version string
		want              []string
	}{
		{"ios", "1.0.77+512", []string{`app_platform=ios`, `app_version=1.0.77+512`}},
		{"", "1.0", []string{"app_version=1.0"}},
		{long[1:], long, []string{`app_platform="` + long[1:] + `"`}},
		{"gr\u00fcn", "1\t2", nil},
	}
	for _, test := range tests {
		line := refusedLine(t, http.Header{"X-App-Platform": {test.platform}, "X-App-Version": {test.version}})
		if got := strings.Count(line, "app_"); !strings.Contains(line, "session_refused") || got != len(test.want) {
			t.Errorf("%q: %d fields, want %d: %s", test, got, len(test.want), line)
		}
		for _, part := range test.want {
			if !strings.Contains(line, part) {
				t.Errorf("%q: logged %s, want %s", test, line, part)
			}
		}
	}
}

// A visit that panics leaves no connection open: net/http doesn't close one that is a WebSocket.
func TestPanicCutsTheConnection(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc((&door{limits: limits{FrameBytes: 1024}}).app)) // it has no users
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer token"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want that it is cut", err)
	}
}

// refusedLine is what is logged of a client that brings no token.
func refusedLine(t *testing.T, header http.Header) string {
	t.Helper()
	var log strings.Builder // written before the server closes the socket
	server := httptest.NewUnstartedServer(http.HandlerFunc((&door{limits: limits{FrameBytes: 1024}}).app))
	server.Config.BaseContext = func(net.Listener) context.Context {
		return logging.NewContext(context.WithoutCancel(t.Context()), slog.New(slog.NewTextHandler(&log, nil)))
	}
	server.Start()
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Fatalf("got %v, want a close with 1008", err)
	}
	return log.String()
}
