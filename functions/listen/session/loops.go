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

// heard is a result of a channel's recogniser with the times of day at which it was said.
type heard struct {
	channel    int
	final      bool
	through    time.Duration // up to where in the audio sent nothing will change any more
	utterances []utterance
}

// request is a message of the client that asks for something, and where in the audio it came.
type request struct {
	wire.ClientMessage
	boundary boundary // of a message that ends the conversation
}

// read takes the client's frames until the socket closes, which the write loop does at the latest.
func (s *Session) read(ctx context.Context) {
	defer close(s.unheard)
	for {
		binary, data, err := s.socket.Read()
		f := frame{time.Now(), binary, data, err}
		if err == nil {
			if binary && len(data) > wire.Keepalive {
				s.frames.Add(1)
				s.talked.Store(f.at.UnixNano())
			}
			s.bound(len(data))
		}
		if !s.early.keep(f) {
			s.take(ctx, f)
		}
		if err != nil {
			return
		}
	}
}

// take does what a frame is for.
func (s *Session) take(ctx context.Context, f frame) {
	switch {
	case f.err != nil:
		s.Stop(closedBy(f.err))
	case f.binary && len(f.data) > wire.Keepalive:
		if err := s.listen(ctx, f); err != nil {
			s.recognizerFailed(ctx, err)
		}
	case !f.binary:
		s.obey(ctx, f.data)
	}
}

// bound holds the client to the limits. One that is too fast is read no faster: nothing is lost by it.
func (s *Session) bound(size int) {
	if bytes := s.bytes.Add(int64(size)); s.params.MaxBytes > 0 && bytes > s.params.MaxBytes {
		s.Stop(TooMuch)
	}
	if s.pace == nil {
		return
	}
	if d := s.pace.Reserve().Delay(); d > 0 {
		select {
		case <-time.After(d):
		case <-s.said:
		}
	}
}

// listen takes in a frame of audio.
func (s *Session) listen(ctx context.Context, f frame) error {
	frame, ok := s.framing.Parse(f.data)
	if !ok || s.framing.Numbered && s.ledger.far(frame.Sequence) {
		s.malformed.Add(1)
		return nil
	}
	if s.framing.Numbered {
		from, isNew := s.ledger.receive(frame.Sequence)
		if !isNew {
			return nil
		}
		if from > 0 {
			for _, in := range s.intakes {
				in.gap(int(frame.Sequence - from))
			}
		}
		if from > 0 && s.stopping.Err() == nil {
			s.tell(wire.AudioGap(from, frame.Sequence-1))
		}
	}
	if frame.Channel < 0 || s.params.CustomSTT {
		if frame.Channel < 0 {
			s.astray.Add(1)
		} else {
			s.passOn(ctx, frame)
		}
		if s.framing.Numbered {
			s.ledger.enter(frame.Sequence, 0, 0)
		}
		return nil
	}
	in := s.intakes[frame.Channel]
	in.wait(s.stopping.Done())
	end, ok, err := in.packet(ctx, frame.Packet, f.at)
	if ok {
		s.relay.hear(ctx, frame.Sequence, frame.Channel, in.samples) // before it can be acknowledged
		for _, other := range s.intakes {
			if other != in {
				other.beside(duration(int64(len(in.samples))))
			}
		}
	}
	if ok && s.framing.Numbered {
		s.ledger.enter(frame.Sequence, frame.Channel, end)
	}
	return err
}

// passOn has audio heard that the client recognises by itself.
func (s *Session) passOn(ctx context.Context, f wire.Frame) {
	if s.relay == nil {
		return
	}
	samples, err := s.decoders[f.Channel].Decode(s.samples[:0], f.Packet)
	if err != nil {
		s.malformed.Add(1)
		return
	}
	s.samples = samples
	s.relay.hear(ctx, f.Sequence, f.Channel, samples)
}

func closedBy(err error) *Reason {
	closed, ok := errors.AsType[*wire.CloseError](err)
	switch {
	case ok && closed.Code == wire.CloseTooBig:
		return FrameTooLarge
	case ok && (closed.Code == wire.CloseNormal || closed.Code == wire.CloseNoStatus):
		return ClientClosed // others are not the person's choice: an app that is suspended, a page that is loaded anew
	default:
		return ClientGone
	}
}

// obey passes on a message that asks for something, until nobody listens any more.
func (s *Session) obey(ctx context.Context, frame []byte) {
	message, ok := wire.ParseClient(frame)
	if !ok {
		s.ignored.Add(1)
		return
	}
	r := request{ClientMessage: message}
	if message.Ends() {
		var late bool
		if r.boundary, late = s.flush(ctx); late {
			s.ignored.Add(1) // it comes again, behind the audio that comes again
			return
		}
	}
	select {
	case s.requests <- r:
	case <-s.said:
	}
}

// flush asks the recogniser for the words of all audio that has come so far. It is late once no more is taken in.
func (s *Session) flush(ctx context.Context) (b boundary, late bool) {
	b = boundary{at: time.Now(), through: make([]time.Duration, len(s.intakes))}
	for i, in := range s.intakes {
		through, until, over := in.flush(ctx)
		late = late || over
		b.through[i] = through
		if i == 0 || until.After(b.at) {
			b.at = until
		}
	}
	return b, late
}

// receive takes a channel's results until the stream ends, and gives them times.
func (s *Session) receive(ctx context.Context, channel int) {
	in := s.intakes[channel]
	for {
		result, err := in.stream.Recv(ctx)
		ended := errors.Is(err, io.EOF) && s.stopping.Err() != nil
		if err != nil && !ended {
			s.recognizerFailed(ctx, err)
			return
		}
		h := heard{channel: channel, final: result.Final || ended}
		result, h.through = in.take(result, ended)
		for _, u := range utterances(result, in, h.final) {
			u.channel = channel
			if s.framing.Channels > 1 {
				u.speaker, u.isUser = channel, channel == 0
			}
			h.utterances = append(h.utterances, u)
		}
		select {
		case s.results <- h:
		case <-ctx.Done():
			return
		}
		if ended {
			return
		}
	}
}

// utterances are the words of a result, cut where the speaker changes.
func utterances(result stt.Result, in *intake, final bool) []utterance {
	var us []utterance
	for i, w := range result.Words {
		from, to := in.locate(w.Start, w.End, final)
		speaker := max(w.Speaker, 0)
		if i > 0 && us[len(us)-1].speaker == speaker {
			u := &us[len(us)-1]
			u.text, u.end = u.text+" "+w.Text, to
			continue
		}
		us = append(us, utterance{
			id: uuid.NewString(), text: strings.TrimSpace(w.Text), speaker: speaker, start: from, end: to,
			first: span{w.Start, w.End},
		})
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
	idle := time.NewTimer(s.params.Idle)
	defer idle.Stop()
	s.send(ctx, wire.Ping)
	for {
		select {
		case frame := <-s.outbound:
			s.queued.Add(-int64(len(frame)))
			s.send(ctx, frame)
		case <-s.said:
			for len(s.outbound) > 0 {
				s.send(ctx, <-s.outbound)
			}
			reason := s.reason()
			s.socket.Close(reason.Code, reason.Text)
			return
		case <-ping.C:
			s.send(ctx, wire.Ping)
		case <-idle.C:
			left := s.params.Idle - time.Since(s.socket.Heard())
			if left <= 0 {
				s.Stop(ClientIdle)
				left = s.params.Idle
			}
			idle.Reset(left)
		}
	}
}

// send writes one frame. After one that could not be written the client is gone, and the rest is dropped: it is
// stored, and the client asks for it when it is back. Nothing is sent when the time is over, which would break the connection
// before the client is told why it ends.
func (s *Session) send(ctx context.Context, frame []byte) {
	if s.unwritable || ctx.Err() != nil {
		return
	}
	if err := s.socket.Write(ctx, frame); err != nil {
		s.unwritable = true
		select { // who reads knows better why, if that is over too
		case <-s.unheard:
		case <-time.After(time.Second):
		}
		if !s.early.ended() {
			s.Stop(ClientGone)
		}
	}
}
