package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
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
	if err != nil {
		return c, transcript.Page{}, err
	}
	last, err := s.last(ctx, uid, &c)
	return c, last, err
}

// last reads the last page of a conversation that was read; empty where it has none.
func (s *Store) last(ctx context.Context, uid string, c *conversation.Conversation) (transcript.Page, error) {
	if c.Pages == 0 {
		return transcript.Page{}, nil
	}
	last := transcript.Page{Number: c.Pages - 1}
	snapshot, err := page(s.conversation(uid, c.ID), last.Number).Get(ctx)
	if err != nil {
		return last, wrap("read last page", err)
	}
	var doc pageDoc
	if err := snapshot.DataTo(&doc); err != nil {
		return last, fault.New(fault.Internal, "decode page", err)
	}
	last.Segments = doc.segments()
	return last, nil
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
	return s.commit(ctx, uid, c, pages)
}

// CommitPhoto is Commit with an image, which it counts. Conflict also: the conversation has the image already; then it
// still is the version that c was read from.
func (s *Store) CommitPhoto(ctx context.Context, uid string, c *conversation.Conversation, p conversation.Photo, pages ...transcript.Page) error {
	counted := *c
	counted.Photos++
	if err := s.commit(ctx, uid, &counted, pages, p); err != nil {
		return err
	}
	*c = counted
	return nil
}

func (s *Store) commit(ctx context.Context, uid string, c *conversation.Conversation, pages []transcript.Page, images ...conversation.Photo) error {
	ref := s.conversation(uid, c.ID)
	batch := s.client.Batch() //nolint:staticcheck // deprecated, and what follows it gives no update times
	batch.Update(ref, toDoc(c).updates(), firestore.LastUpdateTime(c.UpdateTime))
	for _, p := range pages {
		batch.Set(page(ref, p.Number), toPageDoc(p))
	}
	for _, p := range images {
		batch.Create(photos(ref).Doc(p.ID), p)
	}
	results, err := batch.Commit(ctx)
	if err != nil {
		return wrap("commit conversation", gone(err))
	}
	c.UpdateTime = results[0].UpdateTime
	return nil
}

// Newest is the id of the newest conversation that is completed; empty if there is none.
func (s *Store) Newest(ctx context.Context, uid string) (cid string, err error) {
	return s.newest(ctx, uid, conversation.Completed)
}

// NewestLive is the id of the newest conversation that is live, of whatever device; empty if there is none.
func (s *Store) NewestLive(ctx context.Context, uid string) (cid string, err error) {
	return s.newest(ctx, uid, conversation.Live)
}

func (s *Store) newest(ctx context.Context, uid string, status conversation.Status) (cid string, err error) {
	snapshots, err := s.user(uid).Collection("conversations").
		Where("status", "==", status).OrderBy("created_at", firestore.Desc).Limit(1).
		Select().Documents(ctx).GetAll()
	if err != nil || len(snapshots) == 0 {
		return "", wrap("find newest conversation", err)
	}
	return snapshots[0].Ref.ID, nil
}

// Finished waits until a conversation is completed or has failed. NotFound: it is gone.
func (s *Store) Finished(ctx context.Context, uid, cid string) (conversation.Conversation, error) {
	versions := s.conversation(uid, cid).Snapshots(ctx)
	defer versions.Stop()
	for {
		snapshot, err := versions.Next()
		if err != nil {
			return conversation.Conversation{}, wrap("watch conversation", err)
		}
		if !snapshot.Exists() {
			return conversation.Conversation{}, fault.Newf(fault.NotFound, "watch conversation", "it is gone")
		}
		c, err := decode(snapshot)
		if err != nil || c.Status == conversation.Completed || c.Status == conversation.Failed {
			return c, err
		}
	}
}

// Delete removes the conversation with its pages and photos and the deliveries of all its revisions, which know its title,
// if it is still the version that c was read from. Its device keeps how far its audio was acknowledged: the next
// conversation goes on from there.
func (s *Store) Delete(ctx context.Context, uid string, c *conversation.Conversation) error {
	ref := s.conversation(uid, c.ID)
	batch := s.client.Batch() //nolint:staticcheck // see Commit
	batch.Delete(ref, firestore.LastUpdateTime(c.UpdateTime))
	for number := range c.Pages {
		batch.Delete(page(ref, number))
	}
	photos, err := photos(ref).DocumentRefs(ctx).GetAll() // c may not count the last: it was once stored before it was counted
	if err != nil {
		return wrap("find photos", err)
	}
	for _, photo := range photos {
		batch.Delete(photo)
	}
	for revision := range c.Revision { // they count from 1; one that has no delivery makes no difference
		told := event.RevisionID(event.ConversationFinalized, c.ID, revision+1)
		batch.Delete(s.delivery(uid, account.DeliveryID(account.MemoryCreated, told)))
	}
	if c.Given {
		batch.Set(s.deleted(uid, c.ID), map[string]any{"deleted_at": firestore.ServerTimestamp})
	}
	if err := s.handOn(ctx, batch, uid, c); err != nil {
		return wrap("hand on what is acknowledged", err)
	}
	_, err = batch.Commit(ctx)
	return wrap("delete conversation", gone(err))
}

// gone makes a version that is missing the same as one that changed: whoever is refused reads back and sees.
func gone(err error) error {
	if err != nil && fault.Is(wrap("", err), fault.NotFound) {
		return fault.New(fault.Conflict, "", err)
	}
	return err
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
