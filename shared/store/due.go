package store

import (
	"context"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/conversation"
)

// Due lists conversations, of all users, that something should have happened to: those whose expires_at lies in one
// span, and those that were committed in another and not announced. Each list is oldest first, and as long as its span
// says at most; a conversation may be in both.
func (s *Store) Due(ctx context.Context, expired, unannounced conversation.Span) (late, untold []conversation.Owned, err error) {
	all := s.client.CollectionGroup("conversations")
	byExpiry := all.Where("expires_at", ">=", expired.From).Where("expires_at", "<=", expired.Through).OrderBy("expires_at", firestore.Asc)
	bySince := all.Where("pending.since", ">=", unannounced.From).Where("pending.since", "<=", unannounced.Through).OrderBy("pending.since", firestore.Asc)
	lists, limits := [2][]conversation.Owned{}, [2]int{expired.Limit, unannounced.Limit}
	for i, query := range []firestore.Query{byExpiry, bySince} {
		snapshots, err := query.Limit(limits[i]).Documents(ctx).GetAll()
		if err != nil {
			return nil, nil, wrap("query due conversations", err)
		}
		for _, snapshot := range snapshots {
			lists[i] = append(lists[i], ownedIn(snapshot))
		}
	}
	return lists[0], lists[1], nil
}

// ownedIn decodes a conversation. One that can't be decoded has its place in the lists all the same: it must not keep
// others from being found.
func ownedIn(snapshot *firestore.DocumentSnapshot) conversation.Owned {
	o := conversation.Owned{UID: snapshot.Ref.Parent.Parent.ID}
	if o.Conversation, o.Unreadable = decode(snapshot); o.Unreadable == nil {
		return o
	}
	at := func(field string) (time.Time, bool) {
		value, _ := snapshot.DataAt(field) // where there is none, it is not in that list
		at, ok := value.(time.Time)
		return at, ok
	}
	o.Conversation = conversation.Conversation{ID: snapshot.Ref.ID}
	o.ExpiresAt, _ = at("expires_at")
	if since, ok := at("pending.since"); ok {
		o.Pending = &conversation.Pending{Since: since}
	}
	return o
}
