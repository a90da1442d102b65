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

// tardy is a recogniser that takes some time longer to make words final than to say them.
type tardy struct {
	*stttest.Recognizer
	by time.Duration
}

func (r tardy) Open(ctx context.Context, o stt.Options) (stt.Stream, error) {
	stream, err := r.Recognizer.Open(ctx, o)
	return tardyStream{stream, r.by}, err
}

type tardyStream struct {
	stt.Stream
	by time.Duration
}

func (s tardyStream) Finalize(ctx context.Context) error {
	time.AfterFunc(s.by, func() { _ = s.Stream.Finalize(context.WithoutCancel(ctx)) }) // it gives nil
	return nil
}

// A recogniser has its time to make words final from when it is asked to, and keeps its seat where the standby is no sooner with
// that, however soon it says the same words.
func TestSlowToMakeFinal(t *testing.T) {
	tests := []struct {
		name   string
		by     time.Duration
		second int
	}{
		{"within its time", 900 * time.Millisecond, 0},
		{"sooner than the standby", 1500 * time.Millisecond, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, second := &logs{}, named("second")
				r, err := failover.New(order(t, "first,second"), failover.Options{}, tardy{named("first"), test.by}, tardy{second, test.by})
				if err != nil {
					t.Fatal(err)
				}
				c := start(t, log.context(t), r)
				c.say(1, 25) // all of which were interim
				pass(300 * time.Millisecond)
				c.send(stttest.Silence(100 * time.Millisecond)) // of which nothing is said
				pass(1200 * time.Millisecond)
				if err := c.stream.Send(t.Context(), stttest.Silence(60*time.Millisecond)); err != nil {
					t.Errorf("Send: %v", err)
				}
				if err := c.stream.Finalize(t.Context()); err != nil {
					t.Errorf("Finalize: %v", err)
				}
				pass(4 * time.Second)
				synctest.Wait()
				if got, want := strings.Join(c.finals, " "), words(1, 25); got != want {
					t.Errorf("final 4 s after Finalize: %q, want %q", got, want)
				}
				if got := second.Opened(); got != test.second {
					t.Errorf("the second was opened %d times, want %d", got, test.second)
				}
				if lines := log.lines("recognizer_failed_over"); len(lines) > 0 {
					t.Errorf("logged %q, want no failure", lines)
				}
				c.heard(1, 25)
			})
		})
	}
}

// In the pause the second fails too, whatever it does: then the third is asked, or the second again.
func TestSecondFailsInThePause(t *testing.T) {
	for name, fault := range map[string]stttest.Fault{"mute": stttest.Mute, "dies": stttest.Die} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const spoken = 2 // which are less than a second
				first := named("first", stttest.Plan{Fault: stttest.Mute, After: spoken * 320 * time.Millisecond})
				first.Pace = 80 * time.Millisecond
				second := named("second", stttest.Plan{Fault: fault}, stttest.Plan{})
				recognizers := []*stttest.Recognizer{first, second}
				if fault == stttest.Mute {
					recognizers = append(recognizers, named("third"))
				}
				c := start(t, t.Context(), join(t, failover.Options{}, recognizers...))
				c.say(1, spoken)
				pass(300 * time.Millisecond)
				if err := c.stream.Finalize(t.Context()); err != nil {
					t.Errorf("Finalize: %v", err)
				}
				pass(7 * time.Second)
				synctest.Wait()
				if got, want := strings.Join(c.finals, " "), words(1, spoken); got != want {
					t.Errorf("final 7 s after Finalize: %q, want %q", got, want)
				}
				c.heard(1, spoken)
			})
		})
	}
}
