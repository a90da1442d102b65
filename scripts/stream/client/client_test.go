package client_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
	"earshot.dev/shared/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial connects a client to a server whose side of the connection is serve.
func dial(t *testing.T, c client.Config, serve func(*http.Request, *websocket.Conn) error) *client.Client {
	t.Helper()
	failed := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err == nil {
			defer conn.CloseNow()
			err = serve(r, conn)
		}
		failed <- err
	}))
	c.URL = server.URL + "/v4/listen?source=phone"
	connection, err := client.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		connection.Cut()
		if err := <-failed; err != nil {
			t.Errorf("the server's side: %v", err)
		}
		server.Close()
	})
	return connection
}

func TestDialSaysWhoAndWhat(t *testing.T) {
	requests := make(chan *http.Request, 1)
	dial(t, client.Config{
		Token: client.FixedToken("abc"), Device: "pendant", Codec: source.OpusFS320, SampleRate: 16000, Language: "en", Interim: true,
		Query: url.Values{"conversation_timeout": {"300"}},
	}, func(r *http.Request, _ *websocket.Conn) error {
		requests <- r
		return nil
	})
	r := <-requests
	want := "codec=opus_fs320&conversation_timeout=300&interim=1&language=en&sample_rate=16000&source=phone"
	if got := r.URL.Query().Encode(); got != want {
		t.Errorf("query %q, want %q", got, want)
	}
	if got, want := r.Header.Get("Authorization"), "Bearer abc"; got != want {
		t.Errorf("Authorization %q, want %q", got, want)
	}
	if got, want := r.Header.Get("X-Device-Id-Hash"), "pendant"; got != want {
		t.Errorf("device %q, want %q", got, want)
	}
}

func TestReceiveAnswersPingsAndTellsMessages(t *testing.T) {
	c := dial(t, client.Config{}, func(r *http.Request, conn *websocket.Conn) error {
		for _, text := range []string{
			"ping", `{"type":"service_status","status":"ready","status_text":null}`, "ping",
			`[{"id":"a","text":"Hello","speaker":"SPEAKER_01","speaker_id":1,"start":0.5,"end":1.5}]`,
			`{"type":"interim","text":"there","start":1,"end":2,"speaker_id":0}`,
		} {
			if err := conn.Write(r.Context(), websocket.MessageText, []byte(text)); err != nil {
				return err
			}
		}
		for range 2 {
			kind, data, err := conn.Read(r.Context())
			if err != nil {
				return err
			}
			if kind != websocket.MessageBinary || !slices.Equal(data, []byte{0x8A, 0}) {
				return errors.New("a ping was answered with something else than 8A 00")
			}
		}
		return nil
	})
	for _, want := range []string{client.ServiceStatus, client.Segments, client.Interim} {
		m, err := c.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != want {
			t.Fatalf("got a message %q, want %q", m.Type, want)
		}
		if want == client.Segments && (len(m.Segments) != 1 || m.Segments[0].Start != 500*time.Millisecond || m.Segments[0].Speaker != 1) {
			t.Errorf("got segments %+v", m.Segments)
		}
	}
}

func TestCloseFramesAreErrorsWithTheirCode(t *testing.T) {
	c := dial(t, client.Config{}, func(_ *http.Request, conn *websocket.Conn) error {
		return conn.Close(4001, "the token is expired")
	})
	_, err := c.Receive(t.Context())
	closed, ok := errors.AsType[*client.CloseError](err)
	if !ok || closed.Code != 4001 || closed.Reason != "the token is expired" {
		t.Errorf("got %v, want the close frame 4001 with its reason", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close after the server's: %v", err)
	}
}

// count is a stream of packets that each last as long.
func count(n int, each time.Duration) iter.Seq2[source.Packet, error] {
	return func(yield func(source.Packet, error) bool) {
		for range n {
			if !yield(source.Packet{Data: []byte{1, 2, 3}, Duration: each}, nil) {
				return
			}
		}
	}
}

func TestStreamSendsAllAndReportsABrokenSource(t *testing.T) {
	got := make(chan int, 1)
	c := dial(t, client.Config{}, func(r *http.Request, conn *websocket.Conn) error {
		n := 0
		for ; ; n++ {
			if kind, _, err := conn.Read(r.Context()); err != nil || kind == websocket.MessageText {
				got <- n
				return err
			}
		}
	})
	if err := c.Stream(t.Context(), count(50, time.Hour), false); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := c.Stream(t.Context(), func(yield func(source.Packet, error) bool) { yield(source.Packet{}, broken) }, false)
	if !errors.Is(err, broken) {
		t.Errorf("got error %v, want %v", err, broken)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != 50 {
		t.Errorf("%d packets arrived, want 50", n)
	}
}

func TestPacerKeepsToTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var sent []time.Duration
		slow := func(packets iter.Seq2[source.Packet, error]) iter.Seq2[source.Packet, error] {
			return func(yield func(source.Packet, error) bool) {
				for p, err := range packets {
					if len(sent) == 2 {
						<-time.After(50 * time.Millisecond) // one packet is late
					}
					if !yield(p, err) {
						return
					}
				}
			}
		}
		for _, err := range client.Paced(t.Context(), slow(count(6, 20*time.Millisecond))) {
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, time.Since(begin)/time.Millisecond)
		}
		if want := []time.Duration{20, 40, 90, 90, 100, 120}; !slices.Equal(sent, want) {
			t.Errorf("sent at %d ms, want %d", sent, want)
		}
	})
}

func TestPacerEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range client.Paced(ctx, count(2, time.Hour)) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
	}
}

func TestTranscriptReplacesById(t *testing.T) {
	segment := func(id, text string) transcript.Segment { return transcript.Segment{ID: id, Text: text} }
	var got client.Transcript
	for _, m := range []client.Message{
		{Type: client.Segments, Segments: []transcript.Segment{segment("a", "one"), segment("b", "two")}},
		{Type: client.Segments, Segments: []transcript.Segment{segment("b", "two three")}},
		{Type: client.Segments, Segments: []transcript.Segment{segment("c", "four"), segment("a", "one and two three")}},
		{Type: client.SegmentsDeleted, SegmentIDs: []string{"b", "x"}},
	} {
		if !got.Apply(m) {
			t.Errorf("a message %q changed nothing", m.Type)
		}
	}
	if got.Apply(client.Message{Type: client.Interim, Text: "five"}) {
		t.Error("words that may still change entered the transcript")
	}
	if got, want := got.Text(), "one and two three four"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
