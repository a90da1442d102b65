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

// Hours reads what the user used in each hour from first through last (2026-11-23T10), and which conversations did.
func (s *Store) Hours(ctx context.Context, uid, first, last string) ([]usage.CountedHour, error) {
	return s.counters(ctx, uid, hourPrefix, first, last)
}

func (s *Store) periods(ctx context.Context, uid, prefix, first, last string) ([]usage.Period, error) {
	counters, err := s.counters(ctx, uid, prefix, first, last)
	if err != nil {
		return nil, err
	}
	periods := make([]usage.Period, len(counters))
	for i, c := range counters {
		periods[i] = c.Period
	}
	return periods, nil
}

func (s *Store) counters(ctx context.Context, uid, prefix, first, last string) ([]usage.CountedHour, error) {
	q := s.user(uid).Collection("usage").OrderBy(firestore.DocumentID, firestore.Asc).StartAt(prefix + first).EndAt(prefix + last)
	snapshots, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, wrap("read usage", err)
	}
	counters := make([]usage.CountedHour, len(snapshots))
	for i, snapshot := range snapshots {
		var doc counterDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return nil, fault.New(fault.Internal, "decode usage", err)
		}
		counters[i] = usage.CountedHour{
			Period:         usage.Period{Key: snapshot.Ref.ID[len(prefix):], Totals: doc.Totals},
			ByConversation: doc.ByConversation,
		}
	}
	return counters, nil
}
