package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
)

// gapLimit is how long a client may be without new interim words, while somebody speaks and a recogniser fails.
const gapLimit = 2 * time.Second

// The first recogniser fails while somebody speaks, in mid word, or when they have just said their last: another goes on, every
// word is stored once and in order, and whoever reads along waits no longer than gapLimit for the next one.
func TestFailover(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Options{Race: true})
	for name, tt := range map[string]struct {
		fault  int32
		middle bool
	}{
		"dies": {dies, true}, "stops answering": {stops, true}, "returns rubbish": {babbles, true},
		"stops answering at the end": {stops, false},
	} {
		t.Run(name, func(t *testing.T) {
			uid := "failover-" + strings.ReplaceAll(name, " ", "-")
			if err := s.AddUser(t.Context(), uid); err != nil {
				t.Fatal(err)
			}
			exact := &deepgram.Handler{Engine: deepgram.Exact{}, Key: stack.RecognizerKey}
			first, second := &sick{Handler: exact}, &sick{Handler: exact}
			config := client.Config{Codec: source.PCM16, SampleRate: testspeech.Rate, Query: url.Values{"interim": {"1"}}}
			sp := speakTo(t, s, uid, config, serveWords(t, first), serveWords(t, second))

			const words = 40
			pcm := testspeech.Words(numbers(1, words)...)
			healthy := len(pcm)
			if tt.middle {
				healthy = len(testspeech.Words(numbers(1, words/2)...)) - testspeech.WordSamples/2 // in a word
			}
			play := func(pcm []int16) {
				if err := sp.play(pcm); err != nil {
					t.Fatal(err)
				}
			}
			play(pcm[:healthy])
			first.fault.Store(tt.fault)
			play(pcm[healthy:])
			sp.pause(time.Second)
			sp.sees(1, words)
			gap := sp.longestGap()
			t.Logf("when the first recogniser %s, the longest time between new interim words is %v", name, gap.Round(time.Millisecond))
			if gap >= gapLimit {
				t.Errorf("%v without new interim words, want less than %v", gap, gapLimit)
			}
			if first.taken.Load() == 0 || second.taken.Load() == 0 {
				t.Errorf("%d connections to the first recogniser and %d to the second, want both", first.taken.Load(), second.taken.Load())
			}
			sp.stop()
			settled(t, "each word stored once, in order", func(ctx context.Context) (bool, error) {
				got, err := (&fleet{stack: s}).stored(ctx, uid)
				if err == nil && !slices.Equal(got, texts(numbers(1, words))) {
					err = fmt.Errorf("stored %q", got)
				}
				return err == nil, err
			})
		})
	}
}

// speakTo opens a session, in English, at a listen of its own that knows these recognisers, the most wanted first.
func speakTo(t *testing.T, s *stack.Stack, uid string, c client.Config, recognizers ...string) *speaker {
	t.Helper()
	listen := s.Listen.With("DEEPGRAM_URL=" + strings.Join(recognizers, ","))
	process, err := listen.Start(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listen.Stop(); err != nil {
			t.Error(err)
		}
	})
	token, err := s.UserToken(uid, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c.Token = client.FixedToken(token)
	c.URL, c.Device, c.Language = "ws"+strings.TrimPrefix(process.URL, "http")+"/v4/listen", "device", "en"
	return dialAt(t, c)
}

// serveWords gives the address of a recogniser.
func serveWords(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/v1/listen"
}

// The faults of a recogniser.
const (
	dies    int32 = iota + 1 // it is cut off, and lets nobody in
	stops                    // it takes what it is sent, and answers nothing, not even a ping
	babbles                  // what it sends is rubbish
)

// sick is a recogniser's server whose connections have a fault from some time on.
type sick struct {
	http.Handler
	fault, taken atomic.Int32
}

func (s *sick) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.fault.Load() == dies {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.taken.Add(1)
	s.Handler.ServeHTTP(sickWriter{w, s}, r)
}

type sickWriter struct {
	http.ResponseWriter
	sick *sick
}

func (w sickWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ill := sickConn{conn, w.sick}
	return ill, bufio.NewReadWriter(buffers.Reader, bufio.NewWriter(ill)), nil
}

type sickConn struct {
	net.Conn
	sick *sick
}

func (c sickConn) Write(p []byte) (int, error) {
	switch c.sick.fault.Load() {
	case dies:
		return 0, c.Close()
	case stops:
		return len(p), nil
	case babbles:
		return c.Conn.Write(bytes.Repeat([]byte("?"), len(p)))
	}
	return c.Conn.Write(p)
}

// longestGap is the longest time between two messages with new words.
func (s *speaker) longestGap() (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, at := range s.news {
		if i > 0 {
			longest = max(longest, at.Sub(s.news[i-1]))
		}
	}
	return longest
}
