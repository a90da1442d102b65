package googlespeech

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/replay"
)

// The limits of a call, https://cloud.google.com/speech-to-text/v2/quotas: five minutes, 25 kB of audio in a message.
const (
	rollAfter  = 4 * time.Minute                // the next final ends the call
	rollLatest = 4*time.Minute + 45*time.Second // nothing is waited for any more
	piece      = 12800                          // bytes of audio in a message: 400 ms at 16 kHz
)

// idle is how long a call is kept open without audio. The service gives up after some 10 s.
const idle = 5 * time.Second

// The reasons to give up a call.
var (
	errRolled = errors.New("another call goes on")
	errSilent = errors.New("silent")
)

// call is one call of the service. The goroutine that made it takes its results; a second one feeds it.
type call struct {
	rpc      speechpb.Speech_StreamingRecognizeClient
	head     *replay.Head
	begun    time.Time
	giveUp   context.CancelCauseFunc
	watchdog *time.Timer // gives up: runs while the service has something to do

	final time.Duration // the end of its last final; owned by who takes the results

	// Guarded by stream.mu.
	answered   time.Time     // when the service last answered
	heard      time.Duration // how much audio was sent until then
	halfClosed bool
	flushed    bool // half-closed since all is to become final
	resting    bool // no audio for a while
}

// call makes one call, for what isn't final. It returns nil when the next one may be made.
func (s *stream) call() error {
	ctx, giveUp := context.WithCancelCause(s.life)
	defer giveUp(nil)
	now := time.Now()
	c := &call{begun: now, answered: now, giveUp: giveUp}
	c.watchdog = time.AfterFunc(s.silence, func() { giveUp(errSilent) })
	defer c.watchdog.Stop()
	roll := time.AfterFunc(rollLatest, func() { giveUp(errRolled) })
	defer roll.Stop()
	rpc, err := s.client.StreamingRecognize(ctx)
	if err != nil {
		return s.reason(ctx, c, err)
	}
	c.rpc = rpc
	s.mu.Lock()
	c.head = s.tape.NewHead()
	s.mu.Unlock()
	fed := make(chan error, 1)
	go func() {
		err := s.feed(ctx, c)
		if failure := (*stt.Error)(nil); errors.As(err, &failure) {
			giveUp(failure)
		}
		fed <- err
	}()
	err = s.hear(c)
	err = s.reason(ctx, c, err)
	giveUp(errRolled)
	s.wake()
	<-fed // whatever was wrong, hear has met it too
	return err
}

// hear takes the call's results until it ends. Its error is never nil.
func (s *stream) hear(c *call) error {
	for {
		response, err := c.rpc.Recv()
		if err != nil {
			return err
		}
		s.mu.Lock()
		c.answered, c.heard = time.Now(), c.head.Played()
		if c.halfClosed {
			c.watchdog.Reset(s.silence)
		}
		s.mu.Unlock()
		results, err := parse(response, c.final)
		if err != nil {
			return err
		}
		for _, r := range results {
			s.settle(c.head, r)
			if r.Final {
				c.final = r.End
				if time.Since(c.begun) >= rollAfter {
					return errRolled
				}
			}
		}
	}
}

// reason is what the error means that ended a call: nil if the next one may go on.
func (s *stream) reason(ctx context.Context, c *call, err error) error {
	cause := context.Cause(ctx)
	failure := (*stt.Error)(nil)
	switch {
	case errors.Is(err, io.EOF) && s.closeInOrder(c):
		return nil
	case errors.Is(err, io.EOF):
		return stt.Fail(Name, stt.Unavailable, errors.New("the call ended without being asked to"))
	case errors.Is(err, errRolled), errors.Is(cause, errRolled):
		return nil
	case errors.As(err, &failure):
		return failure
	case errors.Is(cause, errSilent):
		return stt.Fail(Name, stt.Unanswered(s.answered(c)), fmt.Errorf("nothing done for %v", s.silence))
	case errors.As(cause, &failure):
		return failure
	case overdue(err) && time.Since(c.begun) >= rollAfter:
		return nil
	}
	return broken(err)
}

// answered reports whether the service has given a result in this call.
func (s *stream) answered(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.heard > 0
}

// closeInOrder takes the end of a call that was half-closed: all that it was sent is final.
func (s *stream) closeInOrder(c *call) bool {
	s.mu.Lock()
	halfClosed, flushed, played := c.halfClosed, c.flushed, c.head.Played()
	s.mu.Unlock()
	if halfClosed {
		s.settle(c.head, stt.Result{Start: c.final, End: played, Final: true, Flushed: flushed})
	}
	return halfClosed
}

// feed sends the first message and then the audio, until there is a reason to half-close, or the call ends.
func (s *stream) feed(ctx context.Context, c *call) error {
	if err := c.rpc.Send(s.first); err != nil {
		return err
	}
	buf := make([]byte, piece)
	for {
		step, audio := s.next(ctx, c, buf)
		switch step {
		case replay.Send:
			c.watchdog.Reset(s.silence)
			message := &speechpb.StreamingRecognizeRequest{
				StreamingRequest: &speechpb.StreamingRecognizeRequest_Audio{Audio: audio},
			}
			if err := c.rpc.Send(message); err != nil {
				return err // Recv knows why
			}
		case replay.Behind:
			return stt.Fail(Name, stt.Silent, fmt.Errorf("takes no audio: it is %v behind", keep))
		case replay.Wait:
			return nil // it is over
		default:
			c.watchdog.Reset(s.silence)
			return c.rpc.CloseSend()
		}
	}
}

// next is the next thing to send: audio, or that there is no more in this call.
func (s *stream) next(ctx context.Context, c *call, buf []byte) (replay.Step, []byte) {
	resting := time.AfterFunc(idle, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.resting = true
		s.grown.Broadcast()
	})
	defer resting.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	c.resting = false
	for ctx.Err() == nil {
		if c.head.Played()-c.heard > s.silence && time.Since(c.answered) > s.silence {
			c.halfClosed = true // it may have heard no word, or have gone: its end will tell
			return replay.CloseSend, nil
		}
		step, audio := c.head.Next(buf)
		switch step {
		case replay.Finalize, replay.CloseSend:
			c.halfClosed, c.flushed = true, true
		case replay.Wait:
			if c.resting {
				c.halfClosed = true
				return replay.CloseSend, nil
			}
			c.watchdog.Stop() // there is nothing to do
			s.grown.Wait()
			continue
		}
		return step, audio
	}
	return replay.Wait, nil
}
