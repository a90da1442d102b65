package failover_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/stttest"
)

// A recogniser that says no more once the sentence is over is found out though no audio follows, by what it was asked and doesn't
// answer.
func TestSilentInThePause(t *testing.T) {
	tests := []struct {
		spoken        int
		behind, asked time.Duration // silence that is sent, and time that goes by until it is to be final
	}{
		{4, 400 * time.Millisecond, 0}, // some of the words were interim, and the silence wasn't answered
		{25, 0, 0},                     // all were, at the time
		{25, 0, 300 * time.Millisecond},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			first := named("first", stttest.Plan{Fault: stttest.Mute, After: time.Duration(test.spoken) * 320 * time.Millisecond})
			c := start(t, t.Context(), join(t, failover.Options{}, first, named("second")))
			c.say(1, test.spoken)
			c.send(stttest.Silence(test.behind))
			pass(test.asked)
			if err := c.stream.Finalize(t.Context()); err != nil {
				t.Errorf("Finalize: %v", err)
			}
			pass(4 * time.Second)
			synctest.Wait()
			if got, want := strings.Join(c.finals, " "), words(1, test.spoken); got != want {
				t.Errorf("%d words: final 4 s after Finalize: %q, want %q", test.spoken, got, want)
			}
			c.say(test.spoken+1, test.spoken+3)
			c.heard(1, test.spoken+3)
		})
	}
}

// guess hears a word in the first audio, takes it back by saying nothing more, and is right: there was none.
type guess struct{ echo }

func (guess) Name() string { return "guess" }

func (guess) Open(context.Context, stt.Options) (stt.Stream, error) {
	return &guessStream{echoStream{results: make(chan stt.Result, 64), quit: make(chan struct{})}}, nil
}

type guessStream struct{ echoStream }

func (s *guessStream) Send(ctx context.Context, pcm []byte) error {
	if s.pieces > 0 {
		return nil
	}
	return s.echoStream.Send(ctx, pcm)
}

// A word that nobody else hears isn't asked for again and again.
func TestWordThatWasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := named("second")
		r, err := failover.New(order(t, "guess,second"), failover.Options{}, guess{}, second)
		if err != nil {
			t.Fatal(err)
		}
		c := start(t, t.Context(), r)
		c.send(stttest.Silence(500 * time.Millisecond))
		c.rest(time.Minute)
		if got := second.Opened(); got != 1 {
			t.Errorf("in a minute the second was opened %d times, want once", got)
		}
		if err := c.stream.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		c.listening.Wait()
	})
}
