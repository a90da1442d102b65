package e2e

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
)

// patience is how long anything may take that should happen soon. Machines that test are slow and busy.
const patience = 30 * time.Second

// begin starts the whole system, with one user.
func begin(t *testing.T, uid string) *stack.Stack {
	t.Helper()
	t.Parallel() // most of the time a test waits for speech
	s := start(t, stack.Options{Race: true})
	if err := s.AddUser(t.Context(), uid); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts the whole system, with a recogniser that is exact.
func start(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	logs := &shown{t: t}
	o.Recognizer = &deepgram.Handler{Engine: deepgram.Exact{}, Key: stack.RecognizerKey}
	o.Logs, o.LogFormat = logs, "json"
	o.SweepEvery = time.Hour // tests call it when it is due
	o.Env = map[string][]string{"listen": append(o.Env["listen"], "MIN_CONVERSATION_TIMEOUT=2s")}
	s, err := stack.Start(t.Context(), o)
	if err != nil {
		t.Error(err)
		logs.check()
		t.FailNow()
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stop the system: %v", err)
		}
		logs.check()
	})
	return s
}

// shown keeps the logs of the functions, shows them if the test fails, and fails it for a race or for speech in them.
type shown struct {
	t  *testing.T
	mu sync.Mutex
	b  strings.Builder
}

func (l *shown) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *shown) check() {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.b.String()
	for _, never := range []string{"DATA RACE", `panic`, "w10 ", "w20 ", " w3 ", "Bearer ", "eyJ"} {
		if strings.Contains(text, never) {
			l.t.Errorf("the logs hold %q", never)
		}
	}
	if l.t.Failed() || os.Getenv("SHOW_LOGS") != "" {
		l.t.Log(text)
	}
}

// speaker is a device that speaks numbered words.
type speaker struct {
	t      *testing.T
	client *client.Client
	done   chan struct{} // closed when nothing more comes

	mu            sync.Mutex
	changed       chan struct{} // closed, and made anew, by each message
	shown         client.Transcript
	conversations []string
	closed        error
	news          []time.Time // when interim words came that went further than those before
	newest        float64     // where they ended
}

// connect opens a session for the user's device, on a process that runs.
func connect(t *testing.T, s *stack.Stack, uid string, query url.Values) *speaker {
	t.Helper()
	token, err := s.UserToken(uid, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return dial(t, s, client.Config{
		Token: client.FixedToken(token), Device: "device", Codec: source.PCM16, SampleRate: testspeech.Rate, Language: "en", Query: query,
	})
}

func dial(t *testing.T, s *stack.Stack, c client.Config) *speaker {
	t.Helper()
	var err error
	if c.URL, err = s.ListenURL(); err != nil {
		t.Fatal(err)
	}
	return dialAt(t, c)
}

// dialAt is dial with a URL that is known.
func dialAt(t *testing.T, c client.Config) *speaker {
	t.Helper()
	conn, err := client.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	sp := &speaker{t: t, client: conn, done: make(chan struct{}), changed: make(chan struct{})}
	go sp.receive(t.Context())
	t.Cleanup(func() {
		conn.Cut()
		<-sp.done
	})
	return sp
}

func (s *speaker) receive(ctx context.Context) {
	defer close(s.done)
	for {
		m, err := s.client.Receive(ctx)
		s.mu.Lock()
		s.shown.Apply(m)
		if m.Type == client.ConversationSession {
			s.conversations = append(s.conversations, m.ConversationID)
		}
		if m.Type == client.Interim && m.End > s.newest {
			s.news, s.newest = append(s.news, time.Now()), m.End
		}
		s.closed = err
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// until waits until a condition on what was received holds.
func (s *speaker) until(what string, holds func() bool) {
	s.t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		ok, changed := holds(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.t.Fatalf("%s: not within %v; shown is %q, closed %v", what, patience, s.shown.Text(), s.closed)
		}
	}
}

// say speaks the words from..through in real time.
func (s *speaker) say(from, through uint32) {
	s.t.Helper()
	if err := s.play(testspeech.Words(numbers(from, through)...)); err != nil {
		s.t.Fatal(err)
	}
}

// pause is silent for a while; a device goes on sending.
func (s *speaker) pause(d time.Duration) {
	s.t.Helper()
	if err := s.play(testspeech.Silence(d)); err != nil {
		s.t.Fatal(err)
	}
}

// play sends samples in real time.
func (s *speaker) play(pcm []int16) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return s.client.Stream(ctx, packets(pcm, shortPacket), true)
}

// shortPacket is how much devices of Omi's send at a time.
const shortPacket = 20 * time.Millisecond

// packets cuts samples to packets that last so long.
func packets(pcm []int16, each time.Duration) iter.Seq2[source.Packet, error] {
	return func(yield func(source.Packet, error) bool) {
		for p := range slices.Chunk(testspeech.Bytes(pcm), int(testspeech.Rate*2*each/time.Second)) {
			if !yield(source.Packet{Data: p, Duration: each}, nil) {
				return
			}
		}
	}
}

// sees waits until exactly these words are shown.
func (s *speaker) sees(from, through uint32) {
	s.t.Helper()
	want := text(from, through)
	s.until(fmt.Sprintf("the words %d to %d", from, through), func() bool { return s.shown.Text() == want })
}

// stop ends the conversation.
func (s *speaker) stop() {
	s.t.Helper()
	if err := s.client.Stop(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// closedWith waits for the server's close frame.
func (s *speaker) closedWith(code int) {
	s.t.Helper()
	s.until(fmt.Sprintf("close with %d", code), func() bool { return s.closed != nil })
	frame, ok := errors.AsType[*client.CloseError](s.closed)
	if !ok || frame.Code != code {
		s.t.Errorf("closed with %v, want code %d", s.closed, code)
	}
}

func numbers(from, through uint32) []uint32 {
	var ns []uint32
	for n := from; n <= through; n++ {
		ns = append(ns, n)
	}
	return ns
}

func text(from, through uint32) string {
	var words []string
	for _, n := range numbers(from, through) {
		words = append(words, testspeech.Text(n))
	}
	return strings.Join(words, " ")
}
