package session

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/logging"
)

// heard is a result of the recogniser with the times of day at which it was said.
type heard struct {
	final      bool
	flushed    bool          // the answer to a flush
	through    time.Duration // up to where in the audio sent nothing will change any more
	utterances []utterance
}

// read takes the client's frames until the socket closes, which the write loop does at the latest.
func (s *Session) read(ctx context.Context, in *intake) {
	for {
		binary, frame, err := s.socket.Read(ctx)
		if err != nil {
			s.Stop(closedBy(err))
			return
		}
		s.lastFrame.Store(time.Now().UnixNano())
		switch {
		case binary && len(frame) > wire.Keepalive:
			if err := in.packet(ctx, frame); err != nil {
				s.recognizerFailed(ctx, err)
			}
		case !binary:
			s.obey(frame)
		}
	}
}

func closedBy(err error) *Reason {
	closed, ok := errors.AsType[*wire.CloseError](err)
	switch {
	case ok && closed.Code == wire.CloseTooBig:
		return FrameTooLarge
	case ok && closed.Code != wire.CloseAbnormal:
		return ClientClosed
	default:
		return ClientGone
	}
}

// obey passes on a message that asks for something. While the session ends nobody listens any more.
func (s *Session) obey(frame []byte) {
	message, ok := wire.ParseClient(frame)
	if !ok {
		s.ignored.Add(1)
		return
	}
	select {
	case s.messages <- message:
	case <-s.stopping.Done():
	}
}

// receive takes results until the stream ends, and gives them times.
func (s *Session) receive(ctx context.Context, in *intake) {
	for {
		result, err := in.stream.Recv(ctx)
		if errors.Is(err, io.EOF) && s.stopping.Err() != nil {
			return
		}
		if err != nil {
			s.recognizerFailed(ctx, err)
			return
		}
		h := heard{final: result.Final, flushed: result.Flushed, through: result.End, utterances: utterances(result, in)}
		if result.Final {
			in.settled(result.End)
		}
		select {
		case s.results <- h:
		case <-ctx.Done():
			return
		}
	}
}

// utterances are the words of a result, cut where the speaker changes.
func utterances(result stt.Result, in *intake) []utterance {
	var us []utterance
	for i, w := range result.Words {
		from, to := in.locate(w.Start, w.End)
		speaker := max(w.Speaker, 0)
		if i > 0 && us[len(us)-1].speaker == speaker {
			u := &us[len(us)-1]
			u.text, u.end = u.text+" "+w.Text, to
			continue
		}
		us = append(us, utterance{id: uuid.NewString(), text: strings.TrimSpace(w.Text), speaker: speaker, start: from, end: to})
	}
	return us
}

// recognizerFailed ends a session whose words can't be recognised any more. Sending and receiving both find
// out; the first tells.
func (s *Session) recognizerFailed(ctx context.Context, err error) {
	if !s.failed.CompareAndSwap(false, true) {
		return
	}
	logging.Error(ctx, "recognizer_failed", err, slog.String("failure", stt.FailureOf(err).String()))
	if s.stopping.Err() == nil {
		s.tell(wire.Status(wire.STTFailed))
		s.Stop(RecognizerFailed)
	}
}

// write sends what the others have to say, and pings; it closes the socket when there is no more.
func (s *Session) write(ctx context.Context) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	s.send(ctx, wire.Ping)
	for {
		select {
		case frame := <-s.outbound:
			s.send(ctx, frame)
		case <-s.said:
			for len(s.outbound) > 0 {
				s.send(ctx, <-s.outbound)
			}
			reason := s.reason()
			s.socket.Close(reason.Code, reason.Text)
			return
		case <-ping.C:
			if time.Since(time.Unix(0, s.lastFrame.Load())) >= maxIdle {
				s.Stop(ClientIdle)
			}
			s.send(ctx, wire.Ping)
		}
	}
}

// send writes one frame. After one that could not be written the client is gone, and the rest is dropped: it is
// stored, and the client asks for it when it is back.
func (s *Session) send(ctx context.Context, frame []byte) {
	if s.unwritable {
		return
	}
	if err := s.socket.Write(ctx, frame); err != nil {
		s.unwritable = true
		s.Stop(ClientGone)
	}
}
