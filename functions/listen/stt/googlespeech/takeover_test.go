package googlespeech_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/googlespeech"
	"earshot.dev/functions/listen/stt/stttest"
)

// The service goes on for another recogniser that dies, and another for the service that is over its quota.
func TestTakesOverAndHandsOver(t *testing.T) {
	dies := func(after time.Duration) *stttest.Recognizer {
		r := &stttest.Recognizer{Label: "other", Pace: 500 * time.Millisecond, Delay: 150 * time.Millisecond}
		return r.Plan(stttest.Plan{Fault: stttest.Die, After: after})
	}
	tests := []struct {
		name, order string
		other       *stttest.Recognizer
		limit       int // audio messages that the service takes, 0 for all
	}{
		{"takes over", "other,google", dies(4380 * time.Millisecond), 0},
		{"hands over", "google,other", dies(time.Hour), 43},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{}
				if test.limit > 0 {
					s.act = func(_ int, rpc speechpb.Speech_StreamingRecognizeServer) (bool, error) {
						return true, s.recognize(&limited{rpc, test.limit}, time.Now())
					}
				}
				var order failover.Order
				if err := order.UnmarshalText([]byte(test.order)); err != nil {
					t.Fatal(err)
				}
				r, err := failover.New(order, failover.Options{}, test.other, serve(t, s, googlespeech.Config{}))
				if err != nil {
					t.Fatalf("New: %v", err)
				}
				stream, err := r.Open(t.Context(), options)
				if err != nil {
					t.Fatalf("Open: %v", err)
				}
				c := &call{t: t, stream: stream}
				c.listening.Go(c.listen)
				c.say(1, 30, 80*time.Millisecond)
				c.heard(30)
				if !errors.Is(c.ended, io.EOF) || c.longest >= 2*time.Second {
					t.Errorf("%v; nothing was heard for %v", c.ended, c.longest)
				}
				s.kept(t)
			})
		})
	}
}

// limited is a call that is over quota after so many messages of audio.
type limited struct {
	speechpb.Speech_StreamingRecognizeServer
	left int
}

func (l *limited) Recv() (*speechpb.StreamingRecognizeRequest, error) {
	if l.left--; l.left < 0 {
		return nil, status.Error(codes.ResourceExhausted, "Quota exceeded")
	}
	return l.Speech_StreamingRecognizeServer.Recv()
}
