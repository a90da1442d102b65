package firestoretest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is the real client on a server of its own.
func client(t testing.TB) *firestore.Client {
	t.Helper()
	s, err := NewServer(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FIRESTORE_EMULATOR_HOST", s.Addr())
	c, err := firestore.NewClient(context.Background(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return c
}

type data = map[string]any

func wantCode(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s: got %v (%v), want %v", what, got, err, want)
	}
}

func TestPreconditions(t *testing.T) {
	c, ctx := client(t), t.Context()
	doc := c.Doc("a/1")
	_, err := doc.Update(ctx, []firestore.Update{{Path: "x", Value: 1}})
	wantCode(t, "update of what isn't there", err, codes.NotFound)
	created, err := doc.Create(ctx, data{"x": 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = doc.Create(ctx, data{"x": 2})
	wantCode(t, "create of what is there", err, codes.AlreadyExists)
	first, err := doc.Update(ctx, []firestore.Update{{Path: "x", Value: 2}}, firestore.LastUpdateTime(created.UpdateTime))
	if err != nil {
		t.Fatal(err)
	}
	if !first.UpdateTime.After(created.UpdateTime) {
		t.Errorf("update time %v is not after %v", first.UpdateTime, created.UpdateTime)
	}
	_, err = doc.Update(ctx, []firestore.Update{{Path: "x", Value: 3}}, firestore.LastUpdateTime(created.UpdateTime))
	wantCode(t, "update of an old version", err, codes.FailedPrecondition)
	_, err = doc.Delete(ctx, firestore.LastUpdateTime(created.UpdateTime))
	wantCode(t, "delete of an old version", err, codes.FailedPrecondition)
	same, err := doc.Update(ctx, []firestore.Update{{Path: "x", Value: 2}})
	if err != nil || !same.UpdateTime.Equal(first.UpdateTime) {
		t.Errorf("a write that changes nothing: %v at %v, want the old time %v", err, same.UpdateTime, first.UpdateTime)
	}
	if _, err := doc.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = doc.Get(ctx)
	wantCode(t, "read of what was deleted", err, codes.NotFound)
}

// A batch is whole or not at all, and its writes see each other.
func TestCommitIsAtomic(t *testing.T) {
	c, ctx := client(t), t.Context()
	_, err := c.Batch().Set(c.Doc("a/1"), data{"x": 1}).Create(c.Doc("a/1"), data{"x": 2}).Commit(ctx) //nolint:staticcheck // what the store uses
	wantCode(t, "a create after a set of the same", err, codes.AlreadyExists)
	_, err = c.Doc("a/1").Get(ctx)
	wantCode(t, "read of what was half written", err, codes.NotFound)
}

func TestNestedUpdatesAndTransforms(t *testing.T) {
	c, ctx := client(t), t.Context()
	doc := c.Doc("a/1")
	if _, err := doc.Set(ctx, data{"m": data{"keep": true, "drop": 1, "a.b": 1}, "n": 1, "l": []any{1, 2, 3}, "big": math.MaxInt64}); err != nil {
		t.Fatal(err)
	}
	_, err := doc.Update(ctx, []firestore.Update{
		{FieldPath: firestore.FieldPath{"m", "a.b"}, Value: 2},
		{Path: "m.drop", Value: firestore.Delete},
		{Path: "m.new.deep", Value: "x"},
		{Path: "n", Value: firestore.Increment(2.5)},
		{Path: "big", Value: firestore.Increment(1)},
		{Path: "l", Value: firestore.ArrayUnion(3, 4)},
		{Path: "at", Value: firestore.ServerTimestamp},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := doc.Update(ctx, []firestore.Update{{Path: "l", Value: firestore.ArrayRemove(1, 2)}}); err != nil {
		t.Fatal(err)
	}
	snapshot, err := doc.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := snapshot.Data()
	if at, ok := got["at"].(time.Time); !ok || at.After(snapshot.UpdateTime) {
		t.Errorf("server time: got %v", got["at"])
	}
	delete(got, "at")
	want := data{"m": data{"keep": true, "a.b": int64(2), "new": data{"deep": "x"}}, "n": 3.5, "big": int64(math.MaxInt64), "l": []any{int64(3), int64(4)}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Many increment by reading and writing: the sum is exact, so no two transactions were based on one version.
func TestTransactionsAreSerializable(t *testing.T) {
	c, ctx := client(t), t.Context()
	doc := c.Doc("a/counter")
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range 10 {
				err := c.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
					n := int64(0)
					snapshot, err := tx.Get(doc)
					if err == nil {
						n = snapshot.Data()["n"].(int64)
					} else if status.Code(err) != codes.NotFound {
						return err
					}
					return tx.Set(doc, data{"n": n + 1})
				}, firestore.MaxAttempts(100))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	snapshot, err := doc.Get(ctx)
	if err != nil || snapshot.Data()["n"] != int64(80) {
		t.Errorf("got %v (%v), want 80", snapshot.Data()["n"], err)
	}
}

// A transaction that looked for documents and found none is in conflict with one who writes such a document.
func TestPhantoms(t *testing.T) {
	c, ctx := client(t), t.Context()
	attempts := 0
	err := c.RunTransaction(ctx, func(ctx context.Context, tx *firestore.Transaction) error {
		attempts++
		found, err := tx.Documents(c.Collection("a").Where("x", "==", 1)).GetAll()
		if err != nil {
			return err
		}
		if attempts == 1 {
			if _, err := c.Doc("a/other").Set(ctx, data{"x": 1}); err != nil {
				return err
			}
		}
		return tx.Set(c.Doc("b/count"), data{"n": len(found)})
	})
	snapshot, readErr := c.Doc("b/count").Get(ctx)
	if err != nil || readErr != nil || attempts != 2 || snapshot.Data()["n"] != int64(1) {
		t.Errorf("after %d attempts: %v (%v, %v), want 1 after 2", attempts, snapshot.Data()["n"], err, readErr)
	}
}

func TestReadOnlyTransactionSeesOneTime(t *testing.T) {
	c, ctx := client(t), t.Context()
	write := func(n int) {
		if _, err := c.Batch().Set(c.Doc("a/1"), data{"n": n}).Set(c.Doc("a/2"), data{"n": n}).Commit(ctx); err != nil { //nolint:staticcheck // atomic
			t.Fatal(err)
		}
	}
	write(1)
	err := c.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		one, err := tx.Get(c.Doc("a/1"))
		if err != nil {
			return err
		}
		write(2)
		two, err := tx.Get(c.Doc("a/2"))
		if err == nil && one.Data()["n"] != two.Data()["n"] {
			t.Errorf("saw %v and %v", one.Data(), two.Data())
		}
		return err
	}, firestore.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
}

func TestQueries(t *testing.T) {
	c, ctx := client(t), t.Context()
	for path, d := range map[string]data{
		"u/1/c/a": {"n": 1, "s": "x", "t": []any{"red"}}, "u/1/c/b": {"n": 2.5, "s": "y"}, "u/2/c/c": {"n": 3, "s": "x", "t": []any{"red", "blue"}},
		"u/2/c/d": {"n": "text"}, "u/2/c/e": {"n": nil}, "u/2/c/f": {"s": "x"}, "u/2/other/g": {"n": 1}, "u/2/c/h": {"n": math.NaN()},
	} {
		if _, err := c.Doc(path).Set(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	group := c.CollectionGroup("c")
	for name, tt := range map[string]struct {
		query firestore.Query
		want  string
	}{
		"all":                  {group.Query, "a b c d e f h"},
		"one collection":       {c.Collection("u/1/c").Query, "a b"},
		"equal across numbers": {group.Where("n", "==", 1.0), "a"},
		"inequality":           {group.Where("n", ">", 1), "b c"},
		"order across types":   {group.OrderBy("n", firestore.Asc), "e h a b c d"},
		"descending":           {group.OrderBy("n", firestore.Desc).Limit(3), "d c b"},
		"last":                 {group.OrderBy("n", firestore.Asc).LimitToLast(2), "c d"},
		"cursors":              {group.OrderBy("n", firestore.Asc).StartAt(1).EndBefore(3), "a b"},
		"offset":               {group.OrderBy("n", firestore.Asc).Offset(4), "c d"},
		"and":                  {group.Where("s", "==", "x").Where("n", ">=", 1), "a c"},
		"in":                   {group.Where("s", "in", []string{"y", "z"}), "b"},
		"not in":               {group.Where("s", "not-in", []string{"y"}), "a c f"},
		"not equal":            {group.Where("n", "!=", 1), "h b c d"},
		"null":                 {group.Where("n", "==", nil), "e"},
		"nan":                  {group.Where("n", "==", math.NaN()), "h"},
		"array contains":       {group.Where("t", "array-contains", "blue"), "c"},
		"array contains any":   {group.Where("t", "array-contains-any", []string{"blue", "red"}), "a c"},
		"or": {group.WhereEntity(firestore.OrFilter{Filters: []firestore.EntityFilter{
			firestore.PropertyFilter{Path: "s", Operator: "==", Value: "y"},
			firestore.PropertyFilter{Path: "n", Operator: "==", Value: 3},
		}}), "b c"},
	} {
		snapshots, err := tt.query.Documents(ctx).GetAll()
		var ids []string
		for _, s := range snapshots {
			ids = append(ids, s.Ref.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != tt.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, tt.want)
		}
	}
	selected, err := group.Where("s", "==", "y").Select("n").Documents(ctx).GetAll()
	if err != nil || len(selected[0].Data()) != 1 {
		t.Errorf("projection: %v, %v", selected, err)
	}
	count, err := group.NewAggregationQuery().WithCount("all").Get(ctx)
	if err != nil || count["all"].(*pb.Value).GetIntegerValue() != 7 {
		t.Errorf("count: %v, %v", count, err)
	}
}

func TestListing(t *testing.T) {
	c, ctx := client(t), t.Context()
	for _, path := range []string{"a/1", "a/2/sub/x", "a/2/tub/x", "b/1", "a/3"} {
		if _, err := c.Doc(path).Set(ctx, data{"x": 1}); err != nil {
			t.Fatal(err)
		}
	}
	refs, err := c.Collection("a").DocumentRefs(ctx).GetAll()
	var ids []string
	for _, r := range refs {
		ids = append(ids, r.ID)
	}
	if err != nil || !slices.Equal(ids, []string{"1", "2", "3"}) {
		t.Errorf("documents: got %q, %v, want those too that only have documents below them", ids, err)
	}
	collections, err := c.Doc("a/2").Collections(ctx).GetAll()
	if err != nil || len(collections) != 2 || collections[0].ID != "sub" {
		t.Errorf("collections: got %v, %v", collections, err)
	}
}

func TestRefused(t *testing.T) {
	c, ctx := client(t), t.Context()
	_, err := c.Doc("a/1").Set(ctx, data{"x": strings.Repeat("x", maxDocument)})
	wantCode(t, "a document over 1 MiB", err, codes.InvalidArgument)
	_, err = c.Collection("a").Doc("__x__").Set(ctx, data{})
	wantCode(t, "a reserved id", err, codes.InvalidArgument)
	_, err = c.Doc("a/1").Set(ctx, data{"m": data{"__x__": 1}})
	wantCode(t, "a reserved field", err, codes.InvalidArgument)
	_, err = c.Doc("a/1").Set(ctx, data{"l": []any{[]any{1}}})
	wantCode(t, "an array in an array", err, codes.InvalidArgument)
}

func FuzzFieldPath(f *testing.F) {
	for _, s := range []string{"a.b", "`a.b`.c", "`\\``", "a..b", "`", "", "1a", "`a`b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := fieldPath(text)
		if err == nil && (len(path) == 0 || slices.Contains(path, "")) {
			t.Errorf("%q gave %q", text, path)
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	c := client(b)
	doc := c.Doc("a/1")
	for i := 0; b.Loop(); i++ {
		if _, err := doc.Set(b.Context(), data{"n": i}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	c := client(b)
	if _, err := c.Doc("a/1").Set(b.Context(), data{"n": 1}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Doc("a/1").Get(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
