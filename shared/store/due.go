package store

import (
	"context"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/conversation"
)

// announceAfter is how old a pending marker is before the sweep takes it for forgotten: younger ones belong to
// somebody who is publishing right now.
const announceAfter = 30 * time.Second

// Due lists conversations, of all users, that something should have happened to: those whose expires_at has
// passed, and those that were committed and not announced. Each list is at most limit long, oldest first; a
// conversation may be in both.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]conversation.Owned, error) {
	all := s.client.CollectionGroup("conversations")
	expired := all.Where("expires_at", "<=", now).OrderBy("expires_at", firestore.Asc)
	unannounced := all.Where("pending.since", "<=", now.Add(-announceAfter)).OrderBy("pending.since", firestore.Asc)
	var due []conversation.Owned
	for _, query := range []firestore.Query{expired, unannounced} {
		snapshots, err := query.Limit(limit).Documents(ctx).GetAll()
		if err != nil {
			return nil, wrap("query due conversations", err)
		}
		for _, snapshot := range snapshots {
			c, err := decode(snapshot)
			if err != nil {
				return nil, err
			}
			due = append(due, conversation.Owned{UID: snapshot.Ref.Parent.Parent.ID, Conversation: c})
		}
	}
	return due, nil
}
