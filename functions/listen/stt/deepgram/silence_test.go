package deepgram_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
)

// silence is a server that may be taken for gone.
type silence struct {
	name string
	play func(*websocket.Conn)
	act  func(*testing.T, stt.Stream)
	gone time.Duration // when Recv fails, about; 0 for not within the minute
	want stt.Failure
}

func (test silence) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		stream := open(t, test.play)
		var acting sync.WaitGroup
		acting.Go(func() { test.act(t, stream) })
		defer acting.Wait()
		defer end(t, stream)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var err error
		for err == nil {
			_, err = stream.Recv(ctx)
		}
		took := time.Since(begin)
		if test.gone == 0 {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %v: %v, want the stream to last", took, err)
			}
			return
		}
		if stt.FailureOf(err) != test.want {
			t.Errorf("got %v, want %v", err, test.want)
		}
		if took < test.gone || took > test.gone+2*time.Second {
			t.Errorf("gone after %v, want %v and at most 2 s more", took, test.gone)
		}
	})
}

var interim = strings.Replace(hello, `"is_final":true`, `"is_final":false`, 1)

// What was said, and was to be final, is to be answered, however little of it there was.
func TestFinalizeUnanswered(t *testing.T) {
	act := func(t *testing.T, s stt.Stream) { sendFor(t, s, 500*time.Millisecond); finalize(t, s) }
	tests := []silence{
		{
			"words, and then Finalize unanswered", func(c *websocket.Conn) {
				once := true
				hear(c, func(websocket.MessageType, []byte) {
					if once {
						say(c, interim)
						once = false
					}
				})
			},
			act,
			deepgram.DefaultSilence, stt.Stopped,
		},
		{
			"words, Finalize, and more words, but none that is final", func(c *websocket.Conn) {
				hear(c, func(kind websocket.MessageType, data []byte) {
					if kind == websocket.MessageBinary || strings.Contains(string(data), "Finalize") {
						say(c, interim)
					}
				})
			},
			act,
			deepgram.DefaultSilence, stt.Stopped,
		},
		{
			"words, Finalize, more words for a while, and then they are final", func(c *websocket.Conn) {
				hear(c, func(kind websocket.MessageType, data []byte) {
					if kind == websocket.MessageText && strings.Contains(string(data), "Finalize") {
						go func() {
							for range 3 {
								<-time.After(deepgram.DefaultSilence - 2*time.Second)
								say(c, interim)
							}
							say(c, hello)
						}()
					} else if kind == websocket.MessageBinary {
						say(c, interim)
					}
				})
			},
			act,
			0, 0,
		},
		{
			"words that became final, and then Finalize unanswered", func(c *websocket.Conn) {
				once := true
				hear(c, func(websocket.MessageType, []byte) {
					if once {
						say(c, interim)
						say(c, hello)
						once = false
					}
				})
			},
			act,
			0, 0,
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func finalize(t *testing.T, s stt.Stream) {
	if err := s.Finalize(t.Context()); err != nil {
		t.Errorf("Finalize: %v", err)
	}
}
