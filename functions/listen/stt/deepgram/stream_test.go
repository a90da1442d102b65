package deepgram_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
)

// sendFor sends audio in real time, 20 ms at a time, until the time is over or the stream breaks.
func sendFor(t *testing.T, stream stt.Stream, d time.Duration) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < d; {
		if err := stream.Send(t.Context(), second[:640]); err != nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestResultsComeAsTheyAre(t *testing.T) {
	stream := open(t, func(conn *websocket.Conn) {
		say(conn, `{"type":"SpeechStarted","channel":[0],"timestamp":0.1}`)
		say(conn, hello)
		say(conn, `{"type":"UtteranceEnd","channel":[0,1],"last_word_end":2.39}`)
		say(conn, `{"type":"Invented","channel":"anything"}`)
		say(conn, `{"type":"Results","start":0.5,"duration":1.25,"is_final":true,"from_finalize":true,"channel":{"alternatives":[]}}`)
		hear(conn, nil)
	})
	want := []stt.Result{
		{
			Words: []stt.Word{{Text: "Hello.", Start: 100 * time.Millisecond, End: 450 * time.Millisecond, Speaker: 1}},
			End:   500 * time.Millisecond, Final: true,
		},
		{Start: 500 * time.Millisecond, End: 1750 * time.Millisecond, Final: true, Flushed: true},
	}
	for i := range want {
		got, err := stream.Recv(t.Context())
		if err != nil {
			t.Fatalf("Recv: %v", err)
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("result %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestRubbishEndsTheStream(t *testing.T) {
	tests := []struct {
		name    string
		kind    websocket.MessageType
		message string
		want    stt.Failure
	}{
		{"no JSON", websocket.MessageText, `hello`, stt.Malformed},
		{"half of it", websocket.MessageText, hello[:80], stt.Malformed},
		{"no object", websocket.MessageText, `[]`, stt.Malformed},
		{"no type", websocket.MessageText, `{}`, stt.Malformed},
		{"binary", websocket.MessageBinary, hello, stt.Malformed},
		{"no channel", websocket.MessageText, `{"type":"Results"}`, stt.Malformed},
		{"channel of another kind", websocket.MessageText, `{"type":"Results","channel":[0,1]}`, stt.Malformed},
		{"time before the start", websocket.MessageText, `{"type":"Results","start":-1,"channel":{}}`, stt.Malformed},
		{"time beyond all", websocket.MessageText, `{"type":"Results","start":1e300,"channel":{}}`, stt.Malformed},
		{"too long", websocket.MessageText, `{"type":"` + strings.Repeat("x", 600<<10) + `"}`, stt.Malformed},
		{"its own failure", websocket.MessageText, `{"type":"Error","variant":"V","description":"D"}`, stt.Unavailable},
	}
	for _, test := range tests {
		stream := open(t, func(conn *websocket.Conn) {
			var hearing sync.WaitGroup
			hearing.Go(func() { hear(conn, nil) })
			_ = conn.Write(context.Background(), test.kind, []byte(test.message)) // the client is what is tested, and may go
			hearing.Wait()
		})
		if r, err := stream.Recv(t.Context()); err == nil || stt.FailureOf(err) != test.want {
			t.Errorf("%s: got %+v, %v, want %v", test.name, r, err, test.want)
		}
	}
}

func TestServerDiesInMidWord(t *testing.T) {
	stream := open(t, func(conn *websocket.Conn) {
		say(conn, hello)
	})
	if _, err := stream.Recv(t.Context()); err != nil {
		t.Fatalf("Recv: %v", err)
	}
	if _, err := stream.Recv(t.Context()); err == nil || stt.FailureOf(err) != stt.Unavailable {
		t.Errorf("Recv: %v, want unavailable", err)
	}
	if err := stream.Send(t.Context(), second); err == nil || stt.FailureOf(err) != stt.Unavailable {
		t.Errorf("Send: %v, want unavailable", err)
	}
}

func TestTheEnd(t *testing.T) {
	const metadata = `{"type":"Metadata","duration":0.5}`
	tests := []struct {
		name    string
		summary bool
		code    websocket.StatusCode // 0 for a connection that is cut
		good    bool
	}{
		{"in order", true, websocket.StatusNormalClosure, true},
		{"without a summary", false, websocket.StatusNormalClosure, true},
		{"cut after the summary", true, 0, true},
		{"cut before the summary", false, 0, false},
		{"failed at the last", false, websocket.StatusInternalError, false},
	}
	for _, test := range tests {
		stream := open(t, func(conn *websocket.Conn) {
			say(conn, metadata) // before CloseStream it ends nothing
			say(conn, hello)
			for !closed(conn) {
			}
			say(conn, hello)
			if test.summary {
				say(conn, metadata)
			}
			if test.code != 0 {
				_ = conn.Close(test.code, "") // the client's side is what is tested
			}
		})
		recvWord(t, stream)
		if err := stream.Send(t.Context(), second); err != nil {
			t.Fatalf("%s: Send: %v", test.name, err)
		}
		if err := stream.CloseSend(t.Context()); err != nil {
			t.Fatalf("%s: CloseSend: %v", test.name, err)
		}
		recvWord(t, stream)
		_, err := stream.Recv(t.Context())
		failure, failed := errors.AsType[*stt.Error](err)
		if test.good && !errors.Is(err, io.EOF) {
			t.Errorf("%s: got %v, want %v", test.name, err, io.EOF)
		}
		if !test.good && (!failed || failure.Failure != stt.Unavailable) {
			t.Errorf("%s: got %v, want unavailable", test.name, err)
		}
		if err := stream.Send(t.Context(), second); err == nil {
			t.Errorf("%s: Send after CloseSend: no error", test.name)
		}
	}
}

// closed reads one message and reports whether it is the last.
func closed(conn *websocket.Conn) bool {
	kind, data, err := conn.Read(context.Background())
	return err != nil || kind == websocket.MessageText && string(data) == `{"type":"CloseStream"}`
}

func recvWord(t *testing.T, stream stt.Stream) {
	t.Helper()
	if r, err := stream.Recv(t.Context()); err != nil || len(r.Words) != 1 {
		t.Fatalf("got %+v, %v, want a word", r, err)
	}
}

func TestIdleStreamSaysThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := make(chan struct{}, 100)
		stream := open(t, func(conn *websocket.Conn) {
			hear(conn, func(kind websocket.MessageType, data []byte) {
				if kind == websocket.MessageText && string(data) == `{"type":"KeepAlive"}` {
					said <- struct{}{}
				}
			})
		})
		<-time.After(21 * time.Second)
		quiet := len(said)
		sendFor(t, stream, 8*time.Second)
		whileSending := len(said) - quiet
		if err := stream.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if quiet != 5 {
			t.Errorf("%d KeepAlive in 21 idle seconds, want one each 4 s", quiet)
		}
		if whileSending != 0 {
			t.Errorf("%d KeepAlive while audio flowed, want none", whileSending)
		}
	})
}

func TestEmptyAudioIsNotSent(t *testing.T) {
	stream := open(t, func(conn *websocket.Conn) {
		hear(conn, func(kind websocket.MessageType, data []byte) {
			if len(data) == 0 {
				t.Error("an empty message, which Deepgram takes for the end")
			}
			say(conn, hello)
		})
	})
	if err := stream.Send(t.Context(), nil); err != nil {
		t.Errorf("Send(nil): %v", err)
	}
	if err := stream.Send(t.Context(), second); err != nil {
		t.Errorf("Send: %v", err)
	}
	if _, err := stream.Recv(t.Context()); err != nil {
		t.Errorf("Recv: %v", err)
	}
}

func TestSilence(t *testing.T) {
	tests := []silence{
		{
			"never answers", func(c *websocket.Conn) { hear(c, nil) },
			func(t *testing.T, s stt.Stream) { sendFor(t, s, time.Minute) },
			deepgram.DefaultSilence, stt.Silent,
		},
		{
			"answers, and then no more", func(c *websocket.Conn) {
				say(c, hello)
				hear(c, nil)
			},
			func(t *testing.T, s stt.Stream) { sendFor(t, s, time.Minute) },
			deepgram.DefaultSilence, stt.Stopped,
		},
		{
			"doesn't even read", func(*websocket.Conn) { <-time.After(time.Minute) },
			func(t *testing.T, s stt.Stream) { sendFor(t, s, time.Minute) },
			deepgram.DefaultSilence, stt.HalfOpen,
		},
		{
			"says only what nobody knows", func(c *websocket.Conn) {
				hear(c, func(websocket.MessageType, []byte) { say(c, `{"type":"Weather"}`) })
			},
			func(t *testing.T, s stt.Stream) { sendFor(t, s, time.Minute) },
			deepgram.DefaultSilence, stt.Silent,
		},
		{
			"answers now and then", func(c *websocket.Conn) {
				heard := 0
				hear(c, func(websocket.MessageType, []byte) {
					if heard++; heard%400 == 0 {
						say(c, hello)
					}
				})
			},
			func(t *testing.T, s stt.Stream) { sendFor(t, s, time.Minute) },
			0, 0,
		},
		{
			"little audio, no word in it", func(c *websocket.Conn) { hear(c, nil) },
			func(t *testing.T, s stt.Stream) { sendFor(t, s, 500*time.Millisecond); finalize(t, s) },
			0, 0,
		},
		{
			"Finalize unanswered", func(c *websocket.Conn) { hear(c, nil) },
			func(t *testing.T, s stt.Stream) { sendFor(t, s, 2*time.Second); finalize(t, s) },
			2*time.Second + deepgram.DefaultSilence, stt.Silent,
		},
		{
			"CloseSend unanswered", func(c *websocket.Conn) { hear(c, nil) },
			func(t *testing.T, s stt.Stream) {
				if err := s.CloseSend(t.Context()); err != nil {
					t.Errorf("CloseSend: %v", err)
				}
			},
			deepgram.DefaultSilence, stt.Silent,
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func TestResultsNotTakenAreNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := open(t, func(conn *websocket.Conn) {
			hear(conn, func(kind websocket.MessageType, _ []byte) {
				if kind == websocket.MessageBinary {
					say(conn, hello)
				}
			})
		})
		var sending sync.WaitGroup
		sending.Go(func() { sendFor(t, stream, time.Minute) })
		defer sending.Wait()
		defer end(t, stream)
		<-time.After(30 * time.Second)
		for range 100 {
			if _, err := stream.Recv(t.Context()); err != nil {
				t.Fatalf("Recv: %v", err)
			}
		}
	})
}

func TestRecvGivenUpLeavesTheStreamWhole(t *testing.T) {
	stream := open(t, func(conn *websocket.Conn) {
		hear(conn, func(websocket.MessageType, []byte) { say(conn, hello) })
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := stream.Recv(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Recv: %v, want %v", err, context.Canceled)
	}
	if err := stream.Send(t.Context(), second); err != nil {
		t.Fatalf("Send: %v", err)
	}
	if _, err := stream.Recv(t.Context()); err != nil {
		t.Errorf("Recv: %v", err)
	}
}

func TestCloseWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := open(t, func(conn *websocket.Conn) {
			for range 100 { // more than is kept for Recv
				say(conn, hello)
			}
		})
		sent := make(chan error)
		go func() { sent <- stream.Send(t.Context(), second) }()
		synctest.Wait()
		if err := stream.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-sent; err == nil {
			t.Error("Send to a server that doesn't read: no error after Close")
		}
		var err error
		for err == nil {
			_, err = stream.Recv(t.Context())
		}
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Recv after Close: %v, want %v", err, net.ErrClosed)
		}
		if err := stream.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}
