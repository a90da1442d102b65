package store

import (
	"context"
	"maps"
	"slices"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/usage"
)

// counterDoc is an hour, a day or a month of a user. Only hours say which conversation had which part.
type counterDoc struct {
	usage.Totals
	ByConversation usage.Counter `firestore:"by_conversation"`
}

// The first letter of a period's document says what it spans.
const (
	hourPrefix  = "h"
	dayPrefix   = "d"
	monthPrefix = "m"
)

func (s *Store) period(uid, key string) *firestore.DocumentRef {
	return s.user(uid).Collection("usage").Doc(key)
}

// RecordUsage takes in the totals of a conversation by hour and adds what is new in them to the hours, days and
// months they belong to, in one transaction. It gives what was new. Totals that are old or known change nothing.
func (s *Store) RecordUsage(ctx context.Context, uid, cid string, hours usage.Hours) (usage.Totals, error) {
	var more usage.Totals
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		keys := slices.Sorted(maps.Keys(hours))
		refs := make([]*firestore.DocumentRef, len(keys))
		for i, key := range keys {
			refs[i] = s.period(uid, hourPrefix+key)
		}
		snapshots, err := tx.GetAll(refs)
		if err != nil {
			return err
		}
		added := usage.Hours{}
		for i, key := range keys {
			if err := record(tx, snapshots[i], cid, key, hours[key], added); err != nil {
				return err
			}
		}
		more = usage.Totals{}
		for period, totals := range added {
			if period[:1] == monthPrefix {
				more = more.Add(totals)
			}
			if err := tx.Set(s.period(uid, period), increments(totals), firestore.MergeAll); err != nil {
				return err
			}
		}
		return nil
	})
	return more, wrap("record usage", err)
}

// record writes one hour, where the report has anything new, and notes what it adds to the day and the month.
func record(tx *firestore.Transaction, stored *firestore.DocumentSnapshot, cid, hour string, t usage.Totals,
	added usage.Hours,
) error {
	day, month, ok := usage.Periods(hour)
	if !ok {
		return fault.Newf(fault.Invalid, "record usage", "%q is not an hour", hour)
	}
	doc := counterDoc{ByConversation: usage.Counter{}}
	if stored.Exists() {
		if err := stored.DataTo(&doc); err != nil {
			return fault.New(fault.Internal, "decode hour", err)
		}
	}
	more := doc.ByConversation.Report(cid, t)
	if more == (usage.Totals{}) {
		return nil
	}
	added[dayPrefix+day] = added[dayPrefix+day].Add(more)
	added[monthPrefix+month] = added[monthPrefix+month].Add(more)
	update := increments(more)
	update["by_conversation"] = map[string]any{cid: doc.ByConversation[cid]}
	return tx.Set(stored.Ref, update, firestore.MergeAll)
}

// increments adds to a period's totals without reading them.
func increments(t usage.Totals) map[string]any {
	return map[string]any{
		"audio_ms":  firestore.Increment(t.AudioMS),
		"speech_ms": firestore.Increment(t.SpeechMS),
		"words":     firestore.Increment(t.Words),
	}
}
