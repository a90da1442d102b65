package failover_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/stttest"
	"earshot.dev/shared/logging"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // failures are what is tested
	goleak.VerifyTestMain(m)
}

var options = stt.Options{Language: "en", SampleRate: stttest.Rate, Interim: true}

// named is a recogniser as quick as good ones are.
func named(label string, plans ...stttest.Plan) *stttest.Recognizer {
	r := &stttest.Recognizer{
		Label: label, Pace: 500 * time.Millisecond, Delay: 150 * time.Millisecond, OpenDelay: 100 * time.Millisecond,
	}
	return r.Plan(plans...)
}

// join makes one recogniser of several, in their order.
func join(t testing.TB, o failover.Options, recognizers ...*stttest.Recognizer) *failover.Recognizer {
	t.Helper()
	var names []string
	var all []stt.Recognizer
	for _, r := range recognizers {
		names = append(names, r.Label)
		all = append(all, r)
	}
	r, err := failover.New(order(t, strings.Join(names, ",")), o, all...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

func order(t testing.TB, text string) failover.Order {
	t.Helper()
	var o failover.Order
	if err := o.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("order %q: %v", text, err)
	}
	return o
}

// logs keeps lines.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) lines(part string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return found
}

// context is one whose log can be read.
func (l *logs) context(t testing.TB) context.Context {
	return logging.NewContext(t.Context(), slog.New(slog.NewTextHandler(l, nil)))
}

// call is a stream that is spoken to and listened to as a session does.
type call struct {
	t         testing.TB
	stream    stt.Stream
	listening sync.WaitGroup

	// Valid once listening is over.
	finals  []string
	err     error
	longest time.Duration // between two results, while somebody spoke
	last    time.Time
}

func start(t testing.TB, ctx context.Context, r stt.Recognizer) *call {
	t.Helper()
	begin := time.Now()
	stream, err := r.Open(ctx, options)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	c := &call{t: t, stream: stream, last: begin}
	c.listening.Go(func() { c.listen(ctx) })
	return c
}

// listen takes results to the end, and checks that they are of one stream.
func (c *call) listen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	var through time.Duration
	for {
		r, err := c.stream.Recv(ctx)
		if err != nil {
			c.err = err
			return
		}
		c.longest = max(c.longest, time.Since(c.last))
		c.last = time.Now()
		if r.Start < through || r.End < r.Start {
			c.t.Errorf("a result from %v to %v after a final through %v", r.Start, r.End, through)
		}
		at := through
		for _, w := range r.Words {
			if w.Start < at-60*time.Millisecond || w.End < w.Start {
				c.t.Errorf("the word %s from %v to %v, after %v", w.Text, w.Start, w.End, at)
			}
			at = w.End
			if r.Final {
				c.finals = append(c.finals, w.Text)
			}
		}
		if r.Final {
			through = r.End
		}
	}
}

// send sends audio in real time, 100 ms at a time.
func (c *call) send(pcm []byte) {
	const batch = stttest.Rate / 10 * 2 // bytes: 100 ms
	for len(pcm) > 0 {
		n := min(batch, len(pcm))
		if err := c.stream.Send(c.t.Context(), pcm[:n]); err != nil {
			return // listen has the reason
		}
		pcm = pcm[n:]
		pass(100 * time.Millisecond)
	}
}

// pass lets time go by, which is virtual: every test that uses it runs in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// say says words, with a short gap behind each.
func (c *call) say(from, through int) {
	var pcm []byte
	for n := from; n <= through; n++ {
		pcm = append(pcm, stttest.Word(n)...)
		pcm = append(pcm, stttest.Silence(80*time.Millisecond)...)
	}
	c.send(pcm)
}

// rest ends a stretch of speech. Nothing is sent while nobody speaks.
func (c *call) rest(d time.Duration) {
	c.send(stttest.Silence(400 * time.Millisecond))
	if err := c.stream.Finalize(c.t.Context()); err != nil && !errors.Is(err, io.EOF) {
		return // listen has the reason
	}
	pass(d)
}

// hangUp ends the call in order and gives the words.
func (c *call) hangUp() string {
	c.t.Helper()
	if err := c.stream.CloseSend(c.t.Context()); err != nil {
		c.t.Logf("CloseSend: %v", err)
	}
	c.listening.Wait()
	if err := c.stream.Close(); err != nil {
		c.t.Errorf("Close: %v", err)
	}
	return strings.Join(c.finals, " ")
}

// words is the text of words.
func words(from, through int) string {
	var all []string
	for n := from; n <= through; n++ {
		all = append(all, stttest.Text(n))
	}
	return strings.Join(all, " ")
}

// heard checks that the call ended well with these words.
func (c *call) heard(from, through int) {
	c.t.Helper()
	got := c.hangUp()
	if want := words(from, through); got != want {
		c.t.Errorf("got  %s\nwant %s", got, want)
	}
	if !errors.Is(c.err, io.EOF) {
		c.t.Errorf("the stream ended with %v, want %v", c.err, io.EOF)
	}
}
