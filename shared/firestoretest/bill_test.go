package firestoretest

import (
	"context"
	"maps"
	"testing"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// The prices are those of https://firebase.google.com/docs/firestore/pricing#operations.
func TestBill(t *testing.T) {
	s := start(t, Options{})
	c, w, ctx := connect(t, s), wire(t, s), t.Context()
	for i := range 5 {
		put(t, c, map[string]data{"u/" + string(rune('0'+i)): {"n": i}})
	}
	put(t, c, map[string]data{"u/0/c/1": {}})
	query := func(q firestore.Query) func() error {
		return func() error { _, err := q.Documents(ctx).GetAll(); return err }
	}
	u := c.Collection("u")
	for _, tt := range []struct {
		name string
		do   func() error
		want map[Item]Usage
	}{
		{"a read", func() error { _, err := u.Doc("1").Get(ctx); return err }, map[Item]Usage{{"BatchGetDocuments", "u"}: {Reads: 1}}},
		{"a read of nothing", func() error {
			_, err := c.GetAll(ctx, []*firestore.DocumentRef{u.Doc("x"), u.Doc("1"), c.Doc("u/0/c/1")})
			return err
		}, map[Item]Usage{{"BatchGetDocuments", "u"}: {Reads: 2}, {"BatchGetDocuments", "c"}: {Reads: 1}}},
		{"a query", query(u.Where("n", ">", 1)), map[Item]Usage{{"RunQuery", "u"}: {Reads: 3}}},
		{"a query that finds nothing", query(u.Where("n", ">", 9)), map[Item]Usage{{"RunQuery", "u"}: {Reads: 1}}},
		{"an offset", query(u.Offset(3)), map[Item]Usage{{"RunQuery", "u"}: {Reads: 5}}},
		{"a limit", query(u.Limit(2)), map[Item]Usage{{"RunQuery", "u"}: {Reads: 2}}},
		{"a count", func() error { _, err := u.NewAggregationQuery().WithCount("n").Get(ctx); return err },
			map[Item]Usage{{"RunAggregationQuery", "u"}: {Reads: 1}}},
		{"a list", func() error { _, err := u.DocumentRefs(ctx).GetAll(); return err }, map[Item]Usage{{"ListDocuments", "u"}: {Reads: 5}}},
		{"collections", func() error { _, err := u.Doc("0").Collections(ctx).GetAll(); return err },
			map[Item]Usage{{"ListCollectionIds", ""}: {Reads: 1}}},
		{"writes", func() error {
			_, err := c.Batch().Set(u.Doc("1"), data{"n": 1}).Set(c.Doc("u/1/c/1"), data{}).Delete(u.Doc("x")).Commit(ctx) //nolint:staticcheck // one commit
			return err
		}, map[Item]Usage{{"Commit", "u"}: {Writes: 1, Deletes: 1}, {"Commit", "c"}: {Writes: 1}}},
		{"a transaction", func() error {
			return c.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
				if _, err := tx.Get(u.Doc("1")); err != nil {
					return err
				}
				return tx.Delete(u.Doc("4"))
			})
		}, map[Item]Usage{{"BatchGetDocuments", "u"}: {Reads: 1}, {"Commit", "u"}: {Deletes: 1}}},
		{"a refused write", func() error {
			if _, err := u.Doc("1").Create(ctx, data{}); err == nil {
				t.Error("created what is there")
			}
			return nil
		}, map[Item]Usage{}},
		{"a listener", func() error {
			l := listen(t, w, add(listenQuery(&pb.StructuredQuery{From: from("u"), OrderBy: orderBy("n"), Limit: wrapped(2)})))
			l.wants("ADD", "in 0", "in 1", "CURRENT", "NO_CHANGE")
			if _, err := u.Doc("0").Delete(ctx); err != nil { // deletes are free, and what comes after is a read
				return err
			}
			l.wants("deleted 0", "in 2", "NO_CHANGE")
			if _, err := u.Doc("1").Set(ctx, data{"n": 9}); err != nil { // what goes because it was changed is a read
				return err
			}
			l.wants("out 1", "in 3", "NO_CHANGE")
			return nil
		}, map[Item]Usage{{"Listen", "u"}: {Reads: 5}, {"Commit", "u"}: {Writes: 1, Deletes: 1}}},
		{"a listener to nothing", func() error {
			listen(t, w, add(listenQuery(&pb.StructuredQuery{From: from("none")}))).wants("ADD", "CURRENT", "NO_CHANGE")
			return nil
		}, map[Item]Usage{{"Listen", "none"}: {Reads: 1}}},
	} {
		s.ResetBill()
		if err := tt.do(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := s.Bill(); !maps.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	s.ResetBill()
	put(t, c, map[string]data{"u/8": {}, "u/9": {}})
	if got, want := s.Total(), (Usage{Writes: 2}); got != want || s.Calls("Commit") != 2 {
		t.Errorf("in all: got %v and %d commits, want %v and 2", got, s.Calls("Commit"), want)
	}
}
