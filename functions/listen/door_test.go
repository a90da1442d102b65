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
	"earshot.dev/shared/account"
	"earshot.dev/shared/fault"
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
		{"", "device=tab", "tab", false}, // of a browser
		{"abc", "device=tab", "abc", false},
		{"a/b", "device=tab", "tab", false},
		{"", "device=a/b", "omi", true},
		{"", "device=omi~2", "omi", true}, // it is another's slot
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v4/listen?"+tt.query, http.NoBody)
		r.Header.Set("X-Device-Id-Hash", tt.id)
		if got, shared := device(r, wire.ParseQuery(r.URL.Query(), 0)); got != tt.want || shared != tt.shared {
			t.Errorf("%q, %q: got %q, shared %t; want %q, %t", tt.id, tt.query, got, shared, tt.want, tt.shared)
		}
	}
}

// Who recognises by itself needs no recogniser for its language, but a language: it is stored with the words.
func TestLanguage(t *testing.T) {
	for _, tt := range []struct{ query, profile, want string }{
		{"", "", "en"},
		{"", "de", "de"},
		{"language=de-CH", "fr", "de-CH"},
		{"language=auto", "fr", "multi"},
		{"language=en_US", "", "en_US"},
		{"language=sl-rozaj-biske-1994", "", "sl-rozaj-biske-1994"},
		{"language=" + strings.Repeat("a", 35), "", strings.Repeat("a", 35)},
		{"language=" + strings.Repeat("a", 36), "", ""},
		{"language=%ff", "", ""},
		{"language=d%C3%BC", "", ""},
		{"language=en%00", "", ""},
		{"language=en%0A", "", ""},
		{"language=-en", "", ""},
		{"language=en--US", "", ""},
		{"language=en%20US", "", ""},
	} {
		const target = "/v4/listen?codec=pcm16&sample_rate=16000&custom_stt=enabled&"
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target+tt.query, http.NoBody)
		v := visitor{profile: account.Profile{Language: tt.profile}}
		got, err := language(wire.ParseQuery(r.URL.Query(), 0), v.profile)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%q, %q: got %q, %v; want %q", tt.query, tt.profile, got, err, tt.want)
		}
		if tt.want != "" {
			continue
		}
		if _, _, err := (&door{}).admit(t.Context(), v, r); fault.KindOf(err).CloseCode() != 1008 {
			t.Errorf("%q: %v, want that it is refused with 1008", tt.query, err)
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
