package store

import (
	"context"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// List reads conversations without their segments, newest first: a read for each, and, where the window says how
// many to skip instead of after which to begin, one for each that is skipped.
func (s *Store) List(ctx context.Context, uid string, f conversation.Filter, w conversation.Window,
) ([]conversation.Conversation, error) {
	q := s.filtered(uid, f).OrderBy("created_at", firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc).Limit(w.Limit)
	if w.After != (conversation.Mark{}) {
		q = q.StartAfter(w.After.CreatedAt, w.After.ID)
	} else {
		q = q.Offset(w.Offset)
	}
	snapshots, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, wrap("list conversations", err)
	}
	list := make([]conversation.Conversation, len(snapshots))
	for i, snapshot := range snapshots {
		if list[i], err = decode(snapshot); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Count counts conversations: a read for each thousand.
func (s *Store) Count(ctx context.Context, uid string, f conversation.Filter) (int, error) {
	const alias = "count"
	q := s.filtered(uid, f)
	result, err := q.NewAggregationQuery().WithCount(alias).Get(ctx)
	if err != nil {
		return 0, wrap("count conversations", err)
	}
	count, ok := result[alias].(*firestorepb.Value)
	if !ok {
		return 0, fault.Newf(fault.Internal, "count conversations", "the answer is a %T", result[alias])
	}
	return int(count.GetIntegerValue()), nil
}

// filtered needs an index on created_at with each of status, source and discarded before it, which Firestore merges
// where more than one is asked for (https://firebase.google.com/docs/firestore/query-data/index-overview#merging).
func (s *Store) filtered(uid string, f conversation.Filter) firestore.Query {
	q := s.user(uid).Collection("conversations").Query
	switch len(f.Statuses) {
	case 0:
	case 1:
		q = q.Where("status", "==", f.Statuses[0])
	default:
		q = q.Where("status", "in", f.Statuses)
	}
	switch len(f.Sources) {
	case 0:
	case 1:
		q = q.Where("source", "==", f.Sources[0])
	default:
		q = q.Where("source", "in", f.Sources)
	}
	if f.KeptOnly {
		q = q.Where("discarded", "==", false)
	}
	if !f.From.IsZero() {
		q = q.Where("created_at", ">=", f.From)
	}
	if !f.Through.IsZero() {
		q = q.Where("created_at", "<=", f.Through)
	}
	return q
}

// Device reads what a device of the user is attached to. NotFound: it never was.
func (s *Store) Device(ctx context.Context, uid, device string) (conversation.Device, error) {
	return read[conversation.Device](ctx, s.device(uid, device))
}

// PageSegments reads the segments of a conversation's pages from one on and before another, in order: a read for each page.
func (s *Store) PageSegments(ctx context.Context, uid, cid string, from, before int) ([]transcript.Segment, error) {
	first := page(s.conversation(uid, cid), from).ID
	snapshots, err := s.pages(uid, cid).StartAt(first).Limit(before - from).Documents(ctx).GetAll()
	if err != nil {
		return nil, wrap("read pages", err)
	}
	if len(snapshots) != before-from {
		return nil, fault.Newf(fault.NotFound, "read pages", "of %d pages there are %d", before-from, len(snapshots))
	}
	return segmentsOf(snapshots)
}

func segmentsOf(snapshots []*firestore.DocumentSnapshot) ([]transcript.Segment, error) {
	var segments []transcript.Segment
	for _, snapshot := range snapshots {
		var doc pageDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return nil, fault.New(fault.Internal, "decode page", err)
		}
		segments = append(segments, doc.segments()...)
	}
	return segments, nil
}
