package firestoretest

import (
	"context"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Many increment by reading and writing: the sum is exact, so no two transactions were based on one version.
func TestTransactionsUnderContention(t *testing.T) {
	const workers, rounds = 8, 10
	c, ctx := client(t), t.Context()
	doc := c.Doc("a/counter")
	var group errgroup.Group
	for range workers {
		group.Go(func() error {
			for range rounds {
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
	wantSame(t, "the counter", get(t, c, "a/counter"), data{"n": int64(workers * rounds)})
}

// Another writer comes in between a transaction's reads and its commit: it is aborted if it would have read something
// else, and only then.
func TestTransactionAborts(t *testing.T) {
	c, ctx := client(t), t.Context()
	users := c.Collection("users")
	put(t, c, map[string]data{"users/a": {"n": 1}})
	query := users.Where("n", ">", 0)
	getDoc := func(id string) func(*firestore.Transaction) error {
		return func(tx *firestore.Transaction) error {
			_, err := tx.GetAll([]*firestore.DocumentRef{users.Doc(id)})
			return err
		}
	}
	find := func(tx *firestore.Transaction) error { _, err := tx.Documents(query).GetAll(); return err }
	list := func(tx *firestore.Transaction) error { _, err := tx.DocumentRefs(users).GetAll(); return err }
	first := func(tx *firestore.Transaction) error {
		_, err := tx.Documents(users.OrderBy("n", firestore.Asc).Limit(1)).GetAll()
		return err
	}
	write := func(path string, d data) func() error {
		return func() error { _, err := c.Doc(path).Set(ctx, d); return err }
	}
	for _, tt := range []struct {
		name   string
		read   func(*firestore.Transaction) error
		meddle func() error
		want   codes.Code
	}{
		{"a document changed", getDoc("a"), write("users/a", data{"n": 2}), codes.Aborted},
		{"a document rewritten as it was", getDoc("a"), write("users/a", data{"n": 2}), codes.OK},
		{"a missing document made", getDoc("b"), write("users/b", data{"n": 0}), codes.Aborted},
		{"another document", getDoc("a"), write("users/b", data{"n": -1}), codes.OK},
		{"the query finds one more", find, write("users/c", data{"n": 1}), codes.Aborted},
		{"the query finds another version", find, write("users/c", data{"n": 2}), codes.Aborted},
		{"the query finds one less", find, func() error { _, err := users.Doc("c").Delete(ctx); return err }, codes.Aborted},
		{"the query finds the same", find, write("users/d", data{"n": 0}), codes.OK},
		{"the limit keeps it out", first, write("users/d", data{"n": 9}), codes.OK},
		{"the limit lets it in", first, write("users/d", data{"n": -9}), codes.Aborted},
		{"a list with missing documents grows", list, write("users/e/pages/1", data{}), codes.Aborted},
		{"a list with missing documents is the same", list, write("users/e/pages/2", data{}), codes.OK},
	} {
		err := c.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
			if err := tt.read(tx); err != nil {
				return err
			}
			if err := tt.meddle(); err != nil {
				return err
			}
			return tx.Set(c.Doc("other/a"), data{"case": tt.name})
		}, firestore.MaxAttempts(1))
		wantCode(t, tt.name, err, tt.want)
	}
}

// The client tries again when it was aborted, and then succeeds.
func TestClientTriesAgain(t *testing.T) {
	c := client(t)
	attempts := 0
	err := c.RunTransaction(t.Context(), func(ctx context.Context, tx *firestore.Transaction) error {
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
	if err != nil || attempts != 2 {
		t.Fatalf("%d attempts (%v), want 2", attempts, err)
	}
	wantSame(t, "the count", get(t, c, "b/count"), data{"n": int64(1)})
}

func TestReadOnlyTransactionSeesOneTime(t *testing.T) {
	c, ctx := client(t), t.Context()
	put(t, c, map[string]data{"a/1": {"n": 1}, "a/2": {"n": 1}})
	err := c.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		if _, err := tx.Get(c.Doc("a/1")); err != nil {
			return err
		}
		put(t, c, map[string]data{"a/2": {"n": 2}, "a/3": {"n": 2}})
		all, err := tx.Documents(c.Collection("a")).GetAll()
		if err == nil && (ids(all) != "1 2" || all[1].Data()["n"] != int64(1)) {
			t.Errorf("the transaction saw %s, the second with %v; want 1 2 as they were", ids(all), all[1].Data())
		}
		return err
	}, firestore.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
}

func TestTransactionsEnd(t *testing.T) {
	now := time.Now()
	w, ctx := wire(t, start(t, Options{Now: func() time.Time { return now }})), t.Context()
	begin := func(o *pb.TransactionOptions) []byte {
		t.Helper()
		begun, err := w.BeginTransaction(ctx, &pb.BeginTransactionRequest{Database: testDatabase, Options: o})
		if err != nil {
			t.Fatal(err)
		}
		return begun.GetTransaction()
	}
	commit := func(id []byte, writes ...*pb.Write) error {
		_, err := w.Commit(ctx, &pb.CommitRequest{Database: testDatabase, Transaction: id, Writes: writes})
		return err
	}
	wantCode(t, "an unknown transaction", commit([]byte("x")), codes.InvalidArgument)
	done := begin(nil)
	wantCode(t, "commit", commit(done, replace("a/1", nil)), codes.OK)
	wantCode(t, "commit again", commit(done, replace("a/1", nil)), codes.InvalidArgument)
	rollback := func(id []byte) error {
		_, err := w.Rollback(ctx, &pb.RollbackRequest{Database: testDatabase, Transaction: id})
		return err
	}
	wantCode(t, "rollback of an unknown transaction", rollback([]byte("x")), codes.InvalidArgument)
	wantCode(t, "rollback after commit", rollback(done), codes.InvalidArgument)
	rolled := begin(nil)
	wantCode(t, "rollback", rollback(rolled), codes.OK)
	wantCode(t, "rollback again", rollback(rolled), codes.InvalidArgument)
	wantCode(t, "commit after rollback", commit(rolled), codes.InvalidArgument)
	reads := begin(readOnly(nil))
	wantCode(t, "a write in a read only transaction", commit(reads, replace("a/1", nil)), codes.InvalidArgument)
	read := func(id []byte) error {
		_, err := w.ListDocuments(ctx, &pb.ListDocumentsRequest{
			Parent: testDocuments, CollectionId: "a", ConsistencySelector: &pb.ListDocumentsRequest_Transaction{Transaction: id},
		})
		return err
	}
	now = now.Add(10 * time.Minute) // so that there is a past to read
	past := timestamppb.New(now.Add(-transactionLimit - time.Minute).Truncate(time.Microsecond))
	for name, o := range map[string]*pb.TransactionOptions{
		"one that writes": nil,
		"one that reads":  readOnly(nil),
		"one that reads what was longer ago than a transaction lasts": readOnly(past),
	} {
		idle := begin(o)
		now = now.Add(idleLimit + time.Second)
		wantCode(t, name+": read after idling", read(idle), codes.InvalidArgument)
		wantCode(t, name+": commit after idling", commit(idle), codes.InvalidArgument)
		busy := begin(o)
		for end := now.Add(transactionLimit); now.Before(end); now = now.Add(idleLimit / 2) {
			wantCode(t, name+": read", read(busy), codes.OK)
		}
		now = now.Add(time.Second)
		wantCode(t, name+": read after its time", read(busy), codes.InvalidArgument)
		wantCode(t, name+": rollback after its time", rollback(busy), codes.InvalidArgument)
		wantCode(t, name+": commit after its time", commit(busy), codes.InvalidArgument)
	}
}

func readOnly(at *timestamppb.Timestamp) *pb.TransactionOptions {
	reads := &pb.TransactionOptions_ReadOnly{}
	if at != nil {
		reads.ConsistencySelector = &pb.TransactionOptions_ReadOnly_ReadTime{ReadTime: at}
	}
	return &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadOnly_{ReadOnly: reads}}
}

func TestReadTimes(t *testing.T) {
	now := time.Now()
	s := start(t, Options{Now: func() time.Time { return now }})
	w, c, ctx := wire(t, s), connect(t, s), t.Context()
	first, err := c.Doc("a/1").Set(ctx, data{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	put(t, c, map[string]data{"a/1": {"n": 2}, "a/2": {"n": 2}})
	past := first.UpdateTime
	read := func(at time.Time) (*pb.Document, error) {
		return w.GetDocument(ctx, &pb.GetDocumentRequest{
			Name: testDocuments + "/a/1", ConsistencySelector: &pb.GetDocumentRequest_ReadTime{ReadTime: timestamppb.New(at)},
		})
	}
	if d, err := read(past); err != nil || d.GetFields()["n"].GetIntegerValue() != 1 {
		t.Errorf("read at the first write: got %v (%v), want n 1", d, err)
	}
	_, err = read(past.Add(-time.Microsecond))
	wantCode(t, "read before the first write", err, codes.NotFound)
	found, err := c.Collection("a").WithReadOptions(firestore.ReadTime(past)).Documents(ctx).GetAll()
	if err != nil || ids(found) != "1" {
		t.Errorf("query at the first write: got %s (%v), want 1", ids(found), err)
	}
	stream, err := w.RunAggregationQuery(ctx, &pb.RunAggregationQueryRequest{ // the Go client doesn't pass the time on
		Parent: testDocuments, ConsistencySelector: &pb.RunAggregationQueryRequest_ReadTime{ReadTime: timestamppb.New(past)},
		QueryType: &pb.RunAggregationQueryRequest_StructuredAggregationQuery{StructuredAggregationQuery: counting("a")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.GetResult().GetAggregateFields()["n"].GetIntegerValue() != 1 {
		t.Errorf("count at the first write: got %v (%v), want 1", r, err)
	}
	_, err = read(now.Add(time.Minute))
	wantCode(t, "read in the future", err, codes.InvalidArgument)
	_, err = read(past.Add(time.Nanosecond))
	wantCode(t, "read at a nanosecond", err, codes.InvalidArgument)
	for at, want := range map[time.Time]codes.Code{past: codes.OK, past.Add(time.Nanosecond): codes.InvalidArgument} {
		_, err = w.BeginTransaction(ctx, &pb.BeginTransactionRequest{Database: testDatabase, Options: readOnly(timestamppb.New(at))})
		wantCode(t, "a transaction that reads at "+at.String(), err, want)
	}
	now = now.Add(time.Hour)
	_, err = read(past)
	wantCode(t, "read too long ago", err, codes.FailedPrecondition)
	put(t, c, map[string]data{"a/1": {"n": 3}})
	db, err := s.database(testDatabase)
	if err != nil {
		t.Fatal(err)
	}
	if kept := len(db.get("a\x001").versions); kept != 2 {
		t.Errorf("%d versions are kept after an hour, want the last two", kept)
	}
	if _, err := c.Doc("a/2").Delete(ctx); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	put(t, c, map[string]data{"a/3": {}})
	if d := db.get("a\x002"); d != nil {
		t.Errorf("a document deleted hours ago is still known: %v", d.versions)
	}
}
