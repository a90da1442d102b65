package store

import (
	"context"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/conversation"
)

// Due lists conversations, of all users, that something should have happened to: those whose
// expires_at was past at one time, and those that were committed before another, and not announced. Each list is at most limit long, oldest first; a
// conversation may be in both.
func (s *Store) Due(ctx context.Context, expired, unannounced time.Time, limit int) ([]conversation.Owned, error) {
	all := s.client.CollectionGroup("conversations")
	late := all.Where("expires_at", "<=", expired).OrderBy("expires_at", firestore.Asc)
	untold := all.Where("pending.since", "<=", unannounced).OrderBy("pending.since", firestore.Asc)
	var due []conversation.Owned
	for _, query := range []firestore.Query{late, untold} {
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
