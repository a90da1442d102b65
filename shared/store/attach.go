package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// Attach makes a session the writer of its device's conversation: of the one that the device points to, if it
// can go on, or of a new one. It is one transaction, so that of two sockets that come at once the second finds
// what the first made. Attaching the same session again is harmless.
//
// An older session may still write to a conversation that can't go on, and that from audio which the new session gets
// again. It is fenced out: what it has stored until now counts, and nothing after.
//
// A session that was superseded since its last attachment gets a conversation for its last words, in which it is a
// former one; or, if a newer session gets its audio again, a Conflict that is conversation.ErrSuperseded.
func (s *Store) Attach(ctx context.Context, uid string, a conversation.Attachment,
) (conversation.Conversation, transcript.Page, error) {
	var c conversation.Conversation
	var committed firestore.CommitResponse
	a.At = a.At.UTC().Truncate(time.Microsecond) // as it is stored
	err := s.transact(ctx, func(ctx context.Context, tx *firestore.Transaction) (err error) {
		a := a // each try begins anew
		var device conversation.Device
		var former conversation.Conversation
		if device, c, former, err = s.slot(tx, uid, &a); err != nil {
			return err
		}
		isNew := c.UpdateTime.IsZero()
		superseded := a.Superseded(device)
		switch {
		case superseded && a.Numbered:
			return fault.New(fault.Conflict, "", conversation.ErrSuperseded)
		case superseded && isNew:
			c.Session = conversation.Session{}
			a.HandIn(&c)
		case superseded:
			a.HandIn(&c)
		case !isNew:
			a.Resume(&c, device)
		}
		if isNew {
			err = tx.Create(s.conversation(uid, c.ID), toDoc(&c))
		} else {
			err = tx.Update(s.conversation(uid, c.ID), toDoc(&c).updates())
		}
		if err != nil || superseded && !isNew {
			return err
		}
		if a.Fence(&former) {
			if err := tx.Update(s.conversation(uid, former.ID), toDoc(&former).updates()); err != nil {
				return err
			}
		}
		return tx.Set(s.device(uid, a.Device), a.Point(device, &c))
	}, firestore.WithCommitResponseTo(&committed))
	if err != nil {
		return conversation.Conversation{}, transcript.Page{}, wrap("attach", err)
	}
	results, err := committed.WriteResults()
	if err != nil {
		return c, transcript.Page{}, fault.New(fault.Internal, "attach", err)
	}
	c.UpdateTime = results[0].UpdateTime // of the conversation, which is written first
	if n := len(results); n > 1 {
		c.DeviceTime = results[n-1].UpdateTime
	}
	last, err := s.last(ctx, uid, &c)
	return c, last, err
}

// slot finds the device, or among several that share its name the first that nobody talks into, and the conversation
// that the attachment gets there; one that is new has no UpdateTime, and comes after the former. It sets a.Device to what
// it found.
func (s *Store) slot(tx *firestore.Transaction, uid string, a *conversation.Attachment,
) (device conversation.Device, c, former conversation.Conversation, err error) {
	name := a.Device
	for n := 0; ; n++ {
		a.Device = conversation.Slot(name, n)
		device, err = get[conversation.Device](tx, s.device(uid, a.Device))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return device, c, former, err
		}
		c, former, err = s.candidate(tx, uid, device, *a)
		if err != nil {
			return device, c, former, err
		}
		split := a.Shared && (n > 0 || device.Split)
		if !split || c.UpdateTime.IsZero() || a.Free(&c) || n+1 == conversation.MaxSlots {
			return device, c, former, nil
		}
	}
}

// candidate is the stored conversation that the attachment can resume, or a new one, which has no UpdateTime, and the
// device's former one.
func (s *Store) candidate(tx *firestore.Transaction, uid string, d conversation.Device, a conversation.Attachment,
) (c, former conversation.Conversation, err error) {
	id := a.ClientID
	for _, known := range slices.Compact([]string{d.ConversationID, a.ClientID}) {
		if known == "" {
			continue
		}
		snapshot, err := tx.Get(s.conversation(uid, known))
		if err != nil && !fault.Is(wrap("", err), fault.NotFound) {
			return c, former, err
		}
		if err != nil {
			continue
		}
		c, err := decode(snapshot)
		if err != nil {
			return c, former, err
		}
		if c.Resumable(a.At) && c.Device == a.Device {
			return c, former, nil
		}
		if c.Device == a.Device {
			a.Acked = a.Acked.Latest(c.Acked) // the numbers go on from one conversation to the next
			a.Suggested = c.Suggested
		}
		if known == d.ConversationID {
			former = c
		}
		if known == id {
			id = "" // the client's conversation is over: the id can't be used twice
		}
	}
	if id != "" {
		if _, err := tx.Get(s.deleted(uid, id)); err == nil {
			id = ""
		} else if !fault.Is(wrap("", err), fault.NotFound) {
			return c, former, err
		}
	}
	if id == "" {
		id = uuid.NewString()
	}
	return a.Begin(id, d), former, nil
}

// Acknowledge stores that the audio of a device holds no words between two conversations, and gives the time of the
// device's document from then on. The write demands the one it knows, so that one which comes late doesn't take a number
// back; where that is refused, the document tells whether it is an echo. Conflict, and conversation.ErrSuperseded: a newer
// session has the device.
func (s *Store) Acknowledge(ctx context.Context, uid string, silence conversation.Silence) (time.Time, error) {
	const op = "acknowledge"
	ref, a := s.device(uid, silence.Device), silence.Acked
	for range transactTries {
		result, err := ref.Update(ctx, acknowledged(a), firestore.LastUpdateTime(silence.DeviceTime))
		if err == nil {
			return result.UpdateTime, nil
		}
		if err := wrap(op, err); !fault.Is(err, fault.Conflict) {
			return time.Time{}, err
		}
		d, version, err := readVersion[conversation.Device](ctx, ref)
		if err != nil {
			return time.Time{}, fault.Wrap(op, err)
		}
		switch {
		case d.SessionID != silence.SessionID:
			return time.Time{}, fault.New(fault.Conflict, op, conversation.ErrSuperseded)
		case d.AckedSequence >= a.Sequence:
			return version, nil
		}
		silence.DeviceTime = version
	}
	return time.Time{}, fault.Newf(fault.Unavailable, op, "the device is written to all the time")
}

func acknowledged(a conversation.Acked) []firestore.Update {
	return []firestore.Update{
		{Path: "acked_sequence", Value: a.Sequence}, {Path: "acked_at", Value: a.At}, {Path: "acked_beyond", Value: a.Beyond},
	}
}

// handOn adds to a batch that deletes the conversation its device points to, that the device knows what was acknowledged
// with it. If the device is written in between, the batch is refused.
func (s *Store) handOn(
	ctx context.Context, batch *firestore.WriteBatch, uid string, c *conversation.Conversation, //nolint:staticcheck // see Commit
) error {
	if c.Acked.Sequence == 0 {
		return nil
	}
	ref := s.device(uid, c.Device)
	d, version, err := readVersion[conversation.Device](ctx, ref)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	known := conversation.Acked{Sequence: d.AckedSequence, At: d.AckedAt, Beyond: d.AckedBeyond}
	if d.ConversationID == c.ID {
		batch.Update(ref, acknowledged(known.Latest(c.Acked)), firestore.LastUpdateTime(version))
	}
	return nil
}

// Contend notes that a session of a device was superseded while its client was talking (conversation.Device.Contend).
func (s *Store) Contend(ctx context.Context, uid, device string, at time.Time) error {
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		d, err := get[conversation.Device](tx, s.device(uid, device))
		if err != nil {
			return err
		}
		d.Contend(at)
		return tx.Set(s.device(uid, device), d)
	})
	return wrap("note contention", err)
}
