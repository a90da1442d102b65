// Package cached is the store as most see it: a Reader for what is read often, through the cache, and a Store whose
// writes have what they change forgotten before the writer goes on.
//
// So who reads through a Reader sees their own writes, by whatever instance of whatever function, within what
// [cache] promises. What a write is conditional on is not for a Reader: that comes from the Store.
package cached

import (
	"cmp"
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// Store is a [store.Store] whose writes are seen by Readers. Its own reads are the store's.
type Store struct {
	*store.Store
	Read *Reader
}

// New makes a Store, which owns the one that it is made from, and not the client. Without a client nothing is cached.
func New(db *store.Store, rdb *redis.Client) *Store {
	return &Store{db, newReader(db, rdb)}
}

// Close ends what runs in the background and closes the store. The client has to live until then.
func (s *Store) Close() error {
	s.Read.close()
	return s.Store.Close()
}

// Attach is [store.Store.Attach]. With an error it may have made the conversation that the client named all the same.
func (s *Store) Attach(ctx context.Context, uid string, a conversation.Attachment,
) (conversation.Conversation, transcript.Page, error) {
	c, last, err := s.Store.Attach(ctx, uid, a)
	s.Forget(ctx, uid, cmp.Or(c.ID, a.ClientID))
	return c, last, err
}

// Commit is [store.Store.Commit]. Words that join a live conversation are shown to those who read it, and change no
// list, but for their beginning and a title.
func (s *Store) Commit(ctx context.Context, uid string, c *conversation.Conversation, pages ...transcript.Page) error {
	err := s.Store.Commit(ctx, uid, c, pages...)
	s.committed(ctx, uid, c, pages, err)
	return err
}

// CommitPhoto is [store.Store.CommitPhoto].
func (s *Store) CommitPhoto(ctx context.Context, uid string, c *conversation.Conversation, p conversation.Photo, pages ...transcript.Page) error {
	err := s.Store.CommitPhoto(ctx, uid, c, p, pages...)
	s.committed(ctx, uid, c, pages, err)
	return err
}

// committed has Readers show a version of a conversation, or where it may not be stored, ask the store again.
func (s *Store) committed(ctx context.Context, uid string, c *conversation.Conversation, pages []transcript.Page, err error) {
	relisted := c.Relisted
	c.Relisted = c.Relisted && err != nil
	var forgetting sync.WaitGroup // at once: each may wait for Redis
	if err != nil || c.Status != conversation.Live || relisted {
		forgetting.Go(func() { s.Read.lists.Invalidate(ctx, uid) })
	}
	if key := tailKey(uid, c.ID); err == nil && len(pages) > 0 {
		s.Read.tails.Update(ctx, key, tail{*c, pages[len(pages)-1]})
	} else {
		s.Read.tails.Invalidate(ctx, key) // with an error too: it may be the echo of a success
	}
	forgetting.Wait()
}

// Delete is [store.Store.Delete]. What was said doesn't stay in Redis, where nobody would ask for it.
func (s *Store) Delete(ctx context.Context, uid string, c *conversation.Conversation) error {
	err := s.Store.Delete(ctx, uid, c)
	var forgetting sync.WaitGroup // at once: each may wait for Redis
	forgetting.Go(func() { s.Read.closed.Invalidate(ctx, closedKeys(uid, c)...) })
	s.Forget(ctx, uid, c.ID)
	forgetting.Wait()
	return err
}

// Forget has Readers ask the store again for a conversation, and for the lists that it is in or was. Whoever finds a
// change made already, and says that it is, calls this first: who made it may have been gone before it took effect.
// Without a cid only lists are asked for again.
func (s *Store) Forget(ctx context.Context, uid, cid string) {
	var forgetting sync.WaitGroup // at once: each may wait for Redis
	forgetting.Go(func() { s.Read.lists.Invalidate(ctx, uid) })
	if cid != "" {
		s.Read.tails.Invalidate(ctx, tailKey(uid, cid))
	}
	forgetting.Wait()
}

// RecordUsage is [store.Store.RecordUsage].
func (s *Store) RecordUsage(ctx context.Context, uid, cid string, hours usage.Hours) (usage.Totals, error) {
	more, err := s.Store.RecordUsage(ctx, uid, cid, hours)
	s.Read.usage.Invalidate(ctx, uid)
	return more, err
}

// ChangeWebhook is [store.Store.ChangeWebhook].
func (s *Store) ChangeWebhook(ctx context.Context, uid string, t account.WebhookType, edit func(*account.Webhook)) error {
	err := s.Store.ChangeWebhook(ctx, uid, t, edit)
	s.Read.webhooks.Invalidate(ctx, uid)
	return err
}

// PutProfile is [store.Store.PutProfile].
func (s *Store) PutProfile(ctx context.Context, uid string, p account.Profile) error {
	err := s.Store.PutProfile(ctx, uid, p)
	s.Read.profiles.Invalidate(ctx, uid)
	return err
}
