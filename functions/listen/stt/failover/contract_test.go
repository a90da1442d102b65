package failover_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/stttest"
)

func TestLanguagesDecide(t *testing.T) {
	german, all := named("german"), named("all")
	german.Languages = []string{"de"}
	r, err := failover.New(order(t, "german,all;fr:all;tlh:german"), failover.Options{}, german, all)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	tests := []struct {
		language     string
		supported    bool
		german, all_ int // streams opened
	}{
		{"de", true, 1, 0},
		{"en", true, 1, 1},
		{"fr", true, 1, 2},
		{"tlh", false, 1, 2},
	}
	for _, test := range tests {
		if got := r.Supports(test.language); got != test.supported {
			t.Errorf("Supports(%q) = %v, want %v", test.language, got, test.supported)
		}
		stream, err := r.Open(t.Context(), stt.Options{Language: test.language, SampleRate: stttest.Rate})
		if test.supported && err != nil || !test.supported && stt.FailureOf(err) != stt.UnsupportedLanguage {
			t.Errorf("Open(%q): %v", test.language, err)
		}
		if err == nil {
			if err := stream.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if german.Opened() != test.german || all.Opened() != test.all_ {
			t.Errorf("%s: opened %d and %d, want %d and %d", test.language, german.Opened(), all.Opened(), test.german, test.all_)
		}
	}
}

func TestStreamKeepsToTheContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, err := join(t, failover.Options{}, named("first")).Open(t.Context(), options)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		ctx, cancel := timeout(t, time.Second)
		defer cancel()
		if _, err := stream.Recv(ctx); !errors.Is(err, ctx.Err()) || err == nil {
			t.Errorf("Recv: %v, want %v", err, ctx.Err())
		}
		if err := stream.Send(t.Context(), stttest.Word(1)); err != nil {
			t.Errorf("Send: %v", err)
		}
		if err := stream.CloseSend(t.Context()); err != nil {
			t.Errorf("CloseSend: %v", err)
		}
		if err := stream.Send(t.Context(), stttest.Word(2)); err == nil {
			t.Error("Send after CloseSend: no error")
		}
		r, err := stream.Recv(t.Context())
		if err != nil || len(r.Words) != 1 || !r.Flushed {
			t.Errorf("Recv: %+v, %v, want the word", r, err)
		}
		for range 2 {
			if _, err := stream.Recv(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("Recv: %v, want %v", err, io.EOF)
			}
		}
		if err := errors.Join(stream.Close(), stream.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestCloseWhileBusy(t *testing.T) {
	for _, fault := range []stttest.Fault{stttest.None, stttest.Stall, stttest.Mute} {
		synctest.Test(t, func(t *testing.T) {
			c := start(t, t.Context(), join(t, failover.Options{}, named("first", stttest.Plan{Fault: fault}), named("second")))
			c.say(1, 2)
			if err := c.stream.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			c.listening.Wait()
			if !errors.Is(c.err, net.ErrClosed) {
				t.Errorf("Recv: %v, want %v", c.err, net.ErrClosed)
			}
			if err := c.stream.Send(t.Context(), stttest.Word(1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Send: %v, want %v", err, net.ErrClosed)
			}
		})
	}
}

func TestOpeningIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := timeout(t, 500*time.Millisecond)
		defer cancel()
		_, err := join(t, failover.Options{}, named("first", stttest.Plan{Fault: stttest.Hang})).Open(ctx, options)
		if failure := (*stt.Error)(nil); !errors.As(err, &failure) || !errors.Is(err, ctx.Err()) {
			t.Errorf("Open: %v, want %v", err, ctx.Err())
		}
	})
}
