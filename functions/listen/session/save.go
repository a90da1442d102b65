package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/tracing"
	"earshot.dev/shared/transcript"
)

// errAbandoned is why words were not stored: critical, since the person believes that they were.
var errAbandoned = fault.Escalate(fault.Critical, fault.New(fault.Unavailable, "end session",
	errors.New("the store did not answer until the session's time was over")))

// errAgain is the same where it costs the person nothing: the client sends the audio again.
var errAgain = fault.Newf(fault.Unavailable, "end session", "the store did not answer; the client sends the audio again")

// contendLimit is how long it may take to note that two devices fight.
const contendLimit = 2 * time.Second

// outcome is what became of a save.
type outcome struct {
	stored   conversation.Conversation
	last     transcript.Page      // its last page, where it was read
	attached bool                 // it is the conversation to go on with
	took     bool                 // the commit took effect; else nothing of it did
	ended    bool                 // and with it the conversation
	acked    uint32               // through which frame it acknowledged audio
	at       time.Time            // when that was known
	reread   bool                 // stored and last were read back: somebody else may have written
	gone     bool                 // the conversation was deleted
	replaced bool                 // a newer session of the device has the audio again
	silence  conversation.Silence // that is stored
	photo    *photo               // that is stored, or was before
	refused  bool                 // or that can't be
	err      error                // the time was over before it could be known
}

// attachment asks for the conversation of the session's device, or a new one that begins at the time.
func (s *scribe) attachment(ctx context.Context, at time.Time) conversation.Attachment {
	a := conversation.Attachment{
		Device: cmp.Or(s.device, s.params.Device), SessionID: s.params.ID, Source: s.params.Source, Language: s.params.Language,
		ClientID: s.params.ClientConversationID, SilenceTimeout: s.params.SilenceTimeout, At: at,
		Numbered: s.params.resends() && !s.replaced, Generation: s.generation,
		Acked: s.draft.acked.stored, Traceparent: tracing.Parent(ctx),
	}
	if s.params.Shared && !s.draft.open() { // others may have come under the name meanwhile: it comes like anybody
		a.Generation = 0
		a.Shared = a.Device == s.params.Device // else it has a slot of its own
	}
	return a
}

// attach asks for a conversation for the words that have none, and keeps asking.
func (s *scribe) attach(ctx context.Context, now time.Time) {
	at := now
	if len(s.draft.unsaved) > 0 {
		at = earlier(now, s.draft.unsaved[0].start)
	}
	s.saving = true
	ctx, span := startSpan(ctx, "attach")
	a := s.attachment(ctx, at)
	go func() {
		o, err := persist(ctx, func(ctx context.Context) (outcome, error) {
			stored, last, err := s.store.Attach(ctx, s.params.UID, a)
			if errors.Is(err, conversation.ErrSuperseded) {
				return outcome{replaced: true}, nil
			}
			return outcome{stored: stored, last: last, attached: true}, err
		})
		tracing.End(span, err)
		o.err = err
		s.saved <- o
	}()
}

// acknowledge has it stored that audio between two conversations held no words.
func (s *scribe) acknowledge(ctx context.Context, now time.Time) {
	s.flushed = now
	s.saving = true
	silence := conversation.Silence{
		Device: s.device, SessionID: s.params.ID, DeviceTime: s.deviceTime, Acked: s.draft.acked.next,
	}
	go func() {
		o, err := persist(ctx, func(ctx context.Context) (o outcome, err error) {
			o.silence = silence
			o.silence.DeviceTime, err = s.store.Acknowledge(ctx, s.params.UID, silence)
			if errors.Is(err, conversation.ErrSuperseded) {
				return outcome{replaced: true}, nil
			}
			return o, err
		})
		o.err = err
		s.saved <- o
	}()
}

// save stores what is unsaved, of images the first, and ends the conversation where that is due.
func (s *scribe) save(ctx context.Context, now time.Time) {
	s.ackAfter = min(2*s.ackAfter, meterEvery)
	if len(s.draft.unsaved) > 0 {
		s.ackAfter = ackAtFirst
	}
	c, pages, flush := s.draft.commit()
	if flush == 0 {
		s.draft.leave()
		s.reattach = true
		return
	}
	p := s.photo()
	ends := len(s.endings) > 0 && s.endings[0].photos <= 1 && s.endable(now)
	if ends {
		c.End(now, s.endings[0].reason, event.ConversationEnded)
	}
	if s.over {
		c.Close(s.params.ID)
	}
	if now.Sub(s.metered) >= meterEvery {
		s.metered = now
	}
	report := s.over || c.Status != conversation.Live || now.Sub(s.told) >= tellEvery
	if report {
		s.told = now
	}
	s.flushed = now
	s.saving = true
	reported, news := s.reported.of(c.ID), s.appended.take(pages)
	ctx, span := beginSave(ctx, &c)
	go func() {
		o, err := s.commit(ctx, c, pages, p, flush)
		if p != nil && fault.Is(err, fault.Internal) { // words are not to suffer for it
			logging.Error(ctx, "images_not_stored", err, slog.Int("images", 1))
			o, err = s.commit(ctx, c, pages, nil, flush)
			o.photo, o.refused = p, true
		}
		o.err, o.at = err, time.Now()
		o.ended, o.acked = ends && o.took, c.Acked.Sequence
		if err == nil && o.took {
			s.appended.tell(ctx, &o.stored, news)
			s.announce(ctx, o.stored, reported, report)
		}
		tracing.End(span, err)
		s.saved <- o
	}()
}

// commit writes a version of the conversation until it is known whether it took effect. A commit whose answer
// is lost is sent again as it was. One that is refused may be the echo of an earlier try, its own or the
// client library's, so it is read back: the number of the session's last flush tells. If nobody has written at all, it was
// refused because its image is there already.
func (s *scribe) commit(ctx context.Context, c conversation.Conversation, pages []transcript.Page, p *photo, flush int64) (outcome, error) {
	return persist(ctx, func(ctx context.Context) (outcome, error) {
		err := s.write(ctx, &c, pages, p)
		if err == nil {
			return outcome{stored: c, took: true, photo: p}, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return outcome{}, err
		}
		stored, last, err := s.store.Tail(ctx, s.params.UID, c.ID)
		if fault.Is(err, fault.NotFound) {
			return outcome{gone: true}, nil
		}
		o := outcome{stored: stored, last: last, took: stored.Flushed(s.params.ID) >= flush, reread: true}
		if o.took || stored.UpdateTime.Equal(c.UpdateTime) {
			o.photo = p
		}
		return o, err
	})
}

func (s *scribe) write(ctx context.Context, c *conversation.Conversation, pages []transcript.Page, p *photo) error {
	if p == nil {
		return s.store.Commit(ctx, s.params.UID, c, pages...)
	}
	return s.store.CommitPhoto(ctx, s.params.UID, c, p.Photo, pages...)
}

// persist tries until an operation succeeds, is found to be a fault of ours, or the context ends. Each try has
// its own deadline; the first failure of a row is logged.
func persist(ctx context.Context, try func(ctx context.Context) (outcome, error)) (outcome, error) {
	failed := false
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = 200*time.Millisecond, 5*time.Second
	return backoff.Retry(ctx, func() (outcome, error) {
		tryCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		o, err := try(tryCtx)
		if err != nil && !failed {
			failed = true
			logging.Error(ctx, "store_failed", err)
		}
		if fault.Is(err, fault.Internal) {
			err = backoff.Permanent(err)
		}
		return o, err
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(0))
}

// settle takes in what became of a save.
func (s *scribe) settle(ctx context.Context, o outcome) {
	s.saving = false
	if o.photo != nil {
		s.shed()
		if !o.refused {
			s.tell(wire.PhotoProcessing(o.photo.temp, o.photo.ID))
		}
	}
	switch {
	case o.err != nil:
		s.failed = true
		s.stop(StoreFailed)
		return
	case o.replaced:
		s.yield()
		return
	case o.silence.Acked.Sequence > 0:
		s.draft.acked.stored, s.deviceTime = o.silence.Acked, o.silence.DeviceTime
		s.acks.move(o.silence.Acked.Sequence)
		s.relay.acknowledged(ctx, o.silence.Acked.Sequence)
		return
	case o.attached:
		s.begin(ctx, o.stored, o.last)
		return
	case o.took:
		if s.params.Numbered && o.stored.Acked.Sequence > s.draft.acked.stored.Sequence {
			s.acks.move(o.stored.Acked.Sequence)
		}
		s.relay.acknowledged(ctx, o.acked) // what was read back may be of a newer session, which got the audio again
		s.signalStored(ctx, o.at)
		s.draft.committed(o.stored)
	}
	newer := o.reread && o.stored.Session.ID != s.params.ID
	if newer && o.stored.Session.Numbered && s.params.resends() {
		s.yield()
	}
	if newer && !o.took && s.params.Shared {
		s.metered = time.Time{} // on what was just read: in a minute the newer one will have written again
	}
	if (o.reread || o.gone) && !o.took && len(s.endings) > 0 && s.endings[0].reason.Automatic() {
		s.ended() // somebody may have spoken, or it has ended: proceed looks again
	}
	switch {
	case o.gone:
		s.draft.gone()
	case o.stored.Status != conversation.Live:
		if o.stored.Words+o.stored.Photos > 0 {
			s.follow(o.stored)
		}
		s.draft.leave()
		if o.ended && !s.replaced {
			s.ended()
		}
	case o.reread:
		s.show(s.draft.begin(o.stored, o.last))
	}
}

// yield gives way to a newer session of the device. If that one gets the audio again that is not safe yet, as it does unless
// the conversation says otherwise, its words are left to it: each is stored once. Images and names aren't in the audio, and
// are still handed in. Where several devices may share the name, contend decides.
func (s *scribe) yield() {
	s.yielded = true
	s.draft.acked.next = s.draft.acked.stored // what is safe is told by the newer one
	if s.params.resends() && (!s.draft.open() || s.draft.stored.Session.Numbered) {
		s.replaced = true
		s.draft.drop()
		s.held, s.endings = nil, nil
		s.relay = nil // the newer session tells what it gets again
	}
	if s.params.Shared {
		time.AfterFunc(contendAfter, s.rivals.look)
		return
	}
	s.stop(Superseded)
}

// begin goes on with a conversation and tells the client which it is.
func (s *scribe) begin(ctx context.Context, stored conversation.Conversation, last transcript.Page) {
	s.conversations++
	if s.params.Shared {
		s.yielded, s.aside = false, false
	}
	s.reported.begin(stored.ID, stored.Usage)
	s.generation = max(s.generation, stored.Session.Generation) // one begun only for last words has none
	s.device, s.deviceTime = stored.Device, stored.DeviceTime
	s.relay.into(stored.ID)
	s.tell(wire.ConversationSession(stored.ID, stored.WireStatus()))
	if s.params.Numbered {
		s.acks.begin(stored.Acked.Sequence)
	}
	s.show(s.draft.begin(stored, last))
	s.takeOver(ctx, stored)
}
