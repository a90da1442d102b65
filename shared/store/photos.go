package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

func photos(conversation *firestore.DocumentRef) *firestore.CollectionRef {
	return conversation.Collection("photos")
}

// Photos reads the first images of a conversation, as many as limit says at most: a read for each.
func (s *Store) Photos(ctx context.Context, uid, cid string, limit int) ([]conversation.Photo, error) {
	q := s.conversation(uid, cid).Collection("photos").OrderBy("created_at", firestore.Asc).Limit(limit)
	snapshots, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, wrap("read photos", err)
	}
	list := make([]conversation.Photo, len(snapshots))
	for i, snapshot := range snapshots {
		if err := snapshot.DataTo(&list[i]); err != nil {
			return nil, fault.New(fault.Internal, "decode photo", err)
		}
	}
	return list, nil
}
