package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/usage"
)

// Days reads what the user used on each day from first through last (2026-11-23): a read for each day on which
// anything was used, and one where there is none.
func (s *Store) Days(ctx context.Context, uid, first, last string) ([]usage.Period, error) {
	return s.periods(ctx, uid, dayPrefix, first, last)
}

// Months reads what the user used in each month from first through last (2026-11).
func (s *Store) Months(ctx context.Context, uid, first, last string) ([]usage.Period, error) {
	return s.periods(ctx, uid, monthPrefix, first, last)
}

func (s *Store) periods(ctx context.Context, uid, prefix, first, last string) ([]usage.Period, error) {
	q := s.user(uid).Collection("usage").OrderBy(firestore.DocumentID, firestore.Asc).StartAt(prefix + first).EndAt(prefix + last)
	snapshots, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, wrap("read usage", err)
	}
	periods := make([]usage.Period, len(snapshots))
	for i, snapshot := range snapshots {
		var doc counterDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return nil, fault.New(fault.Internal, "decode usage", err)
		}
		periods[i] = usage.Period{Key: snapshot.Ref.ID[len(prefix):], Totals: doc.Totals}
	}
	return periods, nil
}
