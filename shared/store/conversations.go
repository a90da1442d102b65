package store

import (
	"context"
	"slices"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// Conversation reads a conversation without its segments.
func (s *Store) Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, error) {
	snapshot, err := s.conversation(uid, cid).Get(ctx)
	if err != nil {
		return conversation.Conversation{}, wrap("read conversation", err)
	}
	return decode(snapshot)
}

// Tail reads a conversation and its last page. If somebody writes in between, the page may be newer than the
// conversation; the next Commit is then refused.
func (s *Store) Tail(ctx context.Context, uid, cid string) (conversation.Conversation, transcript.Page, error) {
	c, err := s.Conversation(ctx, uid, cid)
	if err != nil || c.Pages == 0 {
		return c, transcript.Page{}, err
	}
	last := transcript.Page{Number: c.Pages - 1}
	snapshot, err := page(s.conversation(uid, cid), last.Number).Get(ctx)
	if err != nil {
		return c, last, wrap("read last page", err)
	}
	var doc pageDoc
	if err := snapshot.DataTo(&doc); err != nil {
		return c, last, fault.New(fault.Internal, "decode page", err)
	}
	last.Segments = doc.segments()
	return c, last, nil
}

// Segments reads all segments of a conversation, in the order of their pages.
func (s *Store) Segments(ctx context.Context, uid, cid string) ([]transcript.Segment, error) {
	snapshots, err := s.pages(uid, cid).Documents(ctx).GetAll()
	if err != nil {
		return nil, wrap("read pages", err)
	}
	return segmentsOf(snapshots)
}

func (s *Store) pages(uid, cid string) firestore.Query {
	return s.conversation(uid, cid).Collection("pages").OrderBy(firestore.DocumentID, firestore.Asc)
}

// Commit writes the conversation, and the pages with it, if the stored document is still the version that c
// was read from; both or nothing. It sets c.UpdateTime to the new version. Conflict: somebody wrote in between,
// or the conversation is gone, or this very commit took effect before. Unavailable: nobody knows.
//
// Something in c itself must differ from what is stored, as a flush number or a claim does: a write that changes
// nothing keeps the update time, and would let another commit of the same version pass.
func (s *Store) Commit(ctx context.Context, uid string, c *conversation.Conversation, pages ...transcript.Page) error {
	ref := s.conversation(uid, c.ID)
	batch := s.client.Batch() //nolint:staticcheck // deprecated, and what follows it gives no update times
	batch.Update(ref, toDoc(c).updates(), firestore.LastUpdateTime(c.UpdateTime))
	for _, p := range pages {
		batch.Set(page(ref, p.Number), toPageDoc(p))
	}
	results, err := batch.Commit(ctx)
	if err != nil {
		return wrap("commit conversation", gone(err))
	}
	c.UpdateTime = results[0].UpdateTime
	return nil
}

// Delete removes the conversation and its pages, if it is still the version that c was read from.
func (s *Store) Delete(ctx context.Context, uid string, c *conversation.Conversation) error {
	ref := s.conversation(uid, c.ID)
	batch := s.client.Batch() //nolint:staticcheck // see Commit
	batch.Delete(ref, firestore.LastUpdateTime(c.UpdateTime))
	for number := range c.Pages {
		batch.Delete(page(ref, number))
	}
	_, err := batch.Commit(ctx)
	return wrap("delete conversation", gone(err))
}

// gone makes a version that is missing the same as one that changed: whoever is refused reads back and sees.
func gone(err error) error {
	if err != nil && fault.Is(wrap("", err), fault.NotFound) {
		return fault.New(fault.Conflict, "", err)
	}
	return err
}

// Attach makes a session the writer of its device's conversation: of the one that the device points to, if it
// can go on, or of a new one. It is one transaction, so that of two sockets that come at once the second finds
// what the first made. Attaching the same session again is harmless.
func (s *Store) Attach(ctx context.Context, uid string, a conversation.Attachment,
) (conversation.Conversation, transcript.Page, error) {
	var cid string
	err := s.client.RunTransaction(ctx, func(ctx context.Context, tx *firestore.Transaction) error {
		device, err := get[conversation.Device](tx, s.device(uid, a.Device))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		c, err := s.candidate(tx, uid, device.ConversationID, a)
		if err != nil {
			return err
		}
		cid = c.ID
		if c.UpdateTime.IsZero() {
			c.Session.Generation = device.Generation + 1
			err = tx.Create(s.conversation(uid, c.ID), toDoc(&c))
		} else {
			a.Resume(&c, device.Generation)
			err = tx.Update(s.conversation(uid, c.ID), toDoc(&c).updates())
		}
		if err != nil {
			return err
		}
		return tx.Set(s.device(uid, a.Device), a.Pointer(&c))
	})
	if err != nil {
		return conversation.Conversation{}, transcript.Page{}, wrap("attach", err)
	}
	return s.Tail(ctx, uid, cid)
}

// candidate is the stored conversation that the attachment can resume, or a new one, which has no UpdateTime.
func (s *Store) candidate(tx *firestore.Transaction, uid, pointer string, a conversation.Attachment,
) (conversation.Conversation, error) {
	id := a.ClientID
	for _, known := range slices.Compact([]string{pointer, a.ClientID}) {
		if known == "" {
			continue
		}
		snapshot, err := tx.Get(s.conversation(uid, known))
		if err != nil && !fault.Is(wrap("", err), fault.NotFound) {
			return conversation.Conversation{}, err
		}
		if err != nil {
			continue
		}
		c, err := decode(snapshot)
		if err != nil {
			return c, err
		}
		if c.Resumable(a.At) && c.Device == a.Device {
			return c, nil
		}
		if known == id {
			id = "" // the client's conversation is over: the id can't be used twice
		}
	}
	if id == "" {
		id = uuid.NewString()
	}
	return a.Begin(id, 0), nil
}

func decode(snapshot *firestore.DocumentSnapshot) (conversation.Conversation, error) {
	var doc conversationDoc
	if err := snapshot.DataTo(&doc); err != nil {
		return conversation.Conversation{}, fault.New(fault.Internal, "decode conversation", err)
	}
	return doc.conversation(snapshot.UpdateTime), nil
}

// get reads and decodes a document in a transaction.
func get[T any](tx *firestore.Transaction, ref *firestore.DocumentRef) (T, error) {
	var v T
	snapshot, err := tx.Get(ref)
	if err != nil {
		return v, wrap("read", err)
	}
	if err := snapshot.DataTo(&v); err != nil {
		return v, fault.New(fault.Internal, "decode", err)
	}
	return v, nil
}
