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
		if device, c, err = s.slot(tx, uid, &a); err != nil {
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
	last, err := s.last(ctx, uid, &c)
	return c, last, err
}

// slot finds the device, or among several that share its name the first that nobody talks into, and the conversation
// that the attachment gets there; one that is new has no UpdateTime. It sets a.Device to what it found.
func (s *Store) slot(tx *firestore.Transaction, uid string, a *conversation.Attachment,
) (conversation.Device, conversation.Conversation, error) {
	name := a.Device
	for n := 0; ; n++ {
		a.Device = conversation.Slot(name, n)
		device, err := get[conversation.Device](tx, s.device(uid, a.Device))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return device, conversation.Conversation{}, err
		}
		c, err := s.candidate(tx, uid, device, *a)
		if err != nil {
			return device, c, err
		}
		split := a.Shared && (n > 0 || device.Split)
		if !split || c.UpdateTime.IsZero() || a.Free(&c) || n+1 == conversation.MaxSlots {
			return device, c, nil
		}
	}
}

// candidate is the stored conversation that the attachment can resume, or a new one, which has no UpdateTime.
func (s *Store) candidate(tx *firestore.Transaction, uid string, d conversation.Device, a conversation.Attachment,
) (conversation.Conversation, error) {
	id := a.ClientID
	for _, known := range slices.Compact([]string{d.ConversationID, a.ClientID}) {
		if known == "" {
			continue
		}
		snapshot, err := tx.Get(s.conversation(uid, known))
		if err != nil && !fault.Is(wrap("", err), fault.NotFound) {
			return conversation.Conversation{}, err
		}
		if err != nil {
			if d.Gave(id) {
				id = ""
			}
			continue
		}
		c, err := decode(snapshot)
		if err != nil {
			return c, err
		}
		if c.Resumable(a.At) && c.Device == a.Device {
			return c, nil
		}
		if c.Device == a.Device {
			a.Acked = a.Acked.Latest(c.Acked) // the numbers go on from one conversation to the next
		}
		if known == id {
			id = "" // the client's conversation is over: the id can't be used twice
		}
	}
	if id == "" {
		id = uuid.NewString()
	}
	return a.Begin(id, d), nil
}

// Acknowledge stores that the audio of a device holds no words between two conversations. It needs no fence: whoever
// says so has heard it, and too small a number only has some audio sent again.
func (s *Store) Acknowledge(ctx context.Context, uid, device string, a conversation.Acked) error {
	_, err := s.device(uid, device).Update(ctx, acknowledged(a))
	return wrap("acknowledge", err)
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
	snapshot, err := ref.Get(ctx)
	if fault.Is(wrap("", err), fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var d conversation.Device
	if err := snapshot.DataTo(&d); err != nil {
		return fault.New(fault.Internal, "decode device", err)
	}
	known := conversation.Acked{Sequence: d.AckedSequence, At: d.AckedAt, Beyond: d.AckedBeyond}
	if d.ConversationID == c.ID {
		batch.Update(ref, acknowledged(known.Latest(c.Acked)), firestore.LastUpdateTime(snapshot.UpdateTime))
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
