package googlespeech_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/googlespeech"
	"earshot.dev/functions/listen/stt/stttest"
)

var options = stt.Options{Language: "en", SampleRate: stttest.Rate, Interim: true}

// call is a stream that is spoken to and listened to.
type call struct {
	t         *testing.T
	stream    stt.Stream
	listening sync.WaitGroup

	mu      sync.Mutex
	finals  []string
	interim int
	flushed int
	ended   error
	longest time.Duration // between two results with words
}

func start(t *testing.T, r *googlespeech.Recognizer) *call {
	t.Helper()
	stream, err := r.Open(t.Context(), options)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	c := &call{t: t, stream: stream}
	c.listening.Go(c.listen)
	return c
}

func (c *call) listen() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	var through time.Duration
	last := time.Now()
	for {
		r, err := c.stream.Recv(ctx)
		c.mu.Lock()
		if err != nil {
			c.ended = err
			c.mu.Unlock()
			return
		}
		if r.Start < through || r.End < r.Start {
			c.t.Errorf("a result from %v to %v after a final through %v", r.Start, r.End, through)
		}
		if len(r.Words) > 0 {
			c.longest = max(c.longest, time.Since(last))
			last = time.Now()
		}
		if r.Flushed {
			c.flushed++
		}
		if !r.Final {
			c.interim++
		} else {
			through = r.End
			for _, w := range r.Words {
				c.finals = append(c.finals, w.Text)
			}
		}
		c.mu.Unlock()
	}
}

func (c *call) send(pcm []byte) {
	const batch = stttest.Rate / 10 * 2 // bytes: 100 ms
	for len(pcm) > 0 {
		n := min(batch, len(pcm))
		if err := c.stream.Send(c.t.Context(), pcm[:n]); err != nil {
			return // listen has the reason
		}
		pcm = pcm[n:]
		<-time.After(time.Duration(n/2) * time.Second / stttest.Rate)
	}
}

// say says words with a short gap behind each, shorter or longer than what makes them final.
func (c *call) say(from, through int, gap time.Duration) {
	for n := from; n <= through; n++ {
		c.send(append(stttest.Word(n), stttest.Silence(gap)...))
	}
}

func (c *call) finalize() {
	if err := c.stream.Finalize(c.t.Context()); err != nil {
		c.t.Logf("Finalize: %v", err)
	}
}

// heard ends the stream and checks its words.
func (c *call) heard(through int) {
	c.t.Helper()
	if err := c.stream.CloseSend(c.t.Context()); err != nil {
		c.t.Errorf("CloseSend: %v", err)
	}
	c.listening.Wait()
	if err := c.stream.Close(); err != nil {
		c.t.Errorf("Close: %v", err)
	}
	var want []string
	for n := 1; n <= through; n++ {
		want = append(want, stttest.Text(n))
	}
	if diff := cmp.Diff(want, c.finals); diff != "" {
		c.t.Errorf("words (-want +got):\n%s", diff)
	}
	if !errors.Is(c.ended, io.EOF) {
		c.t.Errorf("ended with %v, want %v", c.ended, io.EOF)
	}
}

func (s *service) kept(t *testing.T) {
	t.Helper()
	for _, err := range s.refused {
		t.Errorf("against the service's limits: %v", err)
	}
}
