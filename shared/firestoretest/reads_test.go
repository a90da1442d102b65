package firestoretest

import (
	"slices"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Documents in the collection c of [crowd]. What is read doesn't depend on how many there are: BenchmarkFirstQuery has 100,000.
const (
	many   = 10_000
	wanted = 10
)

// crowd is a server with many documents in a collection.
func crowd(t testing.TB, many int) (*Server, *database) {
	t.Helper()
	s := start(t, Options{})
	return s, fill(t, s, "c", many, func(i int) fields {
		n := integer(int64(i * 7919 % many))
		return fields{"n": n, "kind": integer(int64(i % 100)), "list": array([]*pb.Value{integer(int64(i % 500)), stringValue("a")})}
	})
}

// They share a server, and each begins without indexes.
func TestReads(t *testing.T) {
	s, db := crowd(t, many)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *Server, *database)
	}{
		{"queries read what they give", testQueries},
		{"lists read the page", testLists},
		{"listeners read what they tell", testListeners}, // the last: the server may see late that a listener is gone
	} {
		clear(db.group("c").indexes)
		t.Run(tt.name, func(t *testing.T) { tt.test(t, s, db) })
	}
}

func nameOfMiddle() *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: testDocuments + "/" + middle}}
}

// middle is the document in the middle by name.
const middle = "c/0005000"

func descending(path string) []*pb.StructuredQuery_Order {
	orders := orderBy(path)
	orders[0].Direction = pb.StructuredQuery_DESCENDING
	return orders
}

// looked is how many documents and index entries a server looks at to answer.
func looked(t *testing.T, db *database, ask func() (given int, err error)) int64 {
	t.Helper()
	before := db.examined.Load()
	if given, err := ask(); err != nil || given != wanted {
		t.Fatalf("%d documents (%v), want %d", given, err, wanted)
	}
	return db.examined.Load() - before
}

// A query whose order and limit say so reads no more than it gives. The first of its kind, if the documents are not in
// its order by name, reads all once, to make an index.
func testQueries(t *testing.T, s *Server, db *database) {
	w := wire(t, s)
	greater, equals := pb.StructuredQuery_FieldFilter_GREATER_THAN, pb.StructuredQuery_FieldFilter_EQUAL
	kind := compareField("kind", equals, integer(7))
	kinds := compareField("kind", pb.StructuredQuery_FieldFilter_IN, array([]*pb.Value{integer(8), integer(7), integer(2000)}))
	and, or := pb.StructuredQuery_CompositeFilter_AND, pb.StructuredQuery_CompositeFilter_OR
	at := func(n int64) *pb.Cursor { return &pb.Cursor{Values: []*pb.Value{integer(n)}} }
	named := &pb.Cursor{Values: []*pb.Value{nameOfMiddle()}}
	for _, tt := range []struct {
		what    string
		indexes int64 // that are made for the first
		query   *pb.StructuredQuery
	}{
		{"by name", 0, &pb.StructuredQuery{}},
		{"by name, from one on", 0, &pb.StructuredQuery{OrderBy: orderBy(nameField), StartAt: named}},
		{"by name, greater", 0, &pb.StructuredQuery{Where: compareField(nameField, greater, nameOfMiddle())}},
		{"by name, descending", 0, &pb.StructuredQuery{OrderBy: descending(nameField), StartAt: named}},
		{"by a field", 1, &pb.StructuredQuery{OrderBy: orderBy("n")}},
		{"descending", 1, &pb.StructuredQuery{OrderBy: descending("n")}},
		{"from a value on", 0, &pb.StructuredQuery{OrderBy: orderBy("n"), StartAt: at(many / 2)}},
		{"up to a value, descending", 0, &pb.StructuredQuery{OrderBy: descending("n"), StartAt: at(many / 2)}},
		{"greater", 0, &pb.StructuredQuery{Where: compareField("n", greater, integer(many/2))}},
		{"equal", 1, &pb.StructuredQuery{Where: kind}},
		{"equal and ordered", 1, &pb.StructuredQuery{Where: kind, OrderBy: orderBy("n")}},
		{"equal and greater", 0, &pb.StructuredQuery{Where: compound(and, kind, compareField("n", greater, integer(100)))}},
		{"in", 0, &pb.StructuredQuery{Where: kinds}},
		{"in, ordered", 1, &pb.StructuredQuery{Where: kinds, OrderBy: descending("n")}},
		{"or, of two fields", 1, &pb.StructuredQuery{
			Where: compound(or, kind, compareField("n", equals, integer(3)), compareField("n", equals, integer(4))),
		}},
		{"an element", 1, &pb.StructuredQuery{
			Where: compareField("list", pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS, integer(400)),
		}},
		{"an element or another", 1, &pb.StructuredQuery{
			Where:   compareField("list", pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY, array([]*pb.Value{integer(400), integer(3)})),
			OrderBy: orderBy("n"),
		}},
	} {
		tt.query.From, tt.query.Limit = from("c"), wrapped(wanted)
		ask := func() (int, error) {
			stream, err := w.RunQuery(t.Context(), runQuery(tt.query))
			if err != nil {
				return 0, err
			}
			all, err := receive(stream.Recv)
			return len(all), err
		}
		first, second := looked(t, db, ask), looked(t, db, ask)
		t.Logf("%s, with a limit of %d: %d documents or entries read at first, then %d", tt.what, wanted, first, second)
		if most := int64(wanted + 1); second > most || first != tt.indexes*many+second { // a cursor may stand at one that is not wanted
			t.Errorf("%s: %d read at first and then %d to give %d of %d, want %d and at most %d",
				tt.what, first, second, wanted, many, tt.indexes*many+second, most)
		}
	}
}

func runQuery(q *pb.StructuredQuery) *pb.RunQueryRequest {
	return &pb.RunQueryRequest{Parent: testDocuments, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}}
}

// Lists read what is on the page, whether others have asked so before or not.
func testLists(t *testing.T, s *Server, db *database) {
	w := wire(t, s)
	if _, err := db.commit([]*pb.Write{replace("c/0000003/below/1", fields{}), replace("c/missing/below/1", fields{})}, ""); err != nil {
		t.Fatal(err)
	}
	for what, r := range map[string]*pb.ListDocumentsRequest{
		"by name":              {},
		"with missing":         {ShowMissing: true},
		"by a field":           {OrderBy: "n desc"},
		"of two fields' order": {OrderBy: "kind, n"},
	} {
		r.Parent, r.CollectionId, r.PageSize = testDocuments, "c", wanted
		indexed := int64(0)
		if r.GetOrderBy() != "" {
			indexed = many
		}
		for page := range 3 {
			got := looked(t, db, func() (int, error) {
				response, err := w.ListDocuments(t.Context(), r)
				r.PageToken = response.GetNextPageToken()
				return len(response.GetDocuments()), err
			})
			t.Logf("page %d of a list %s: %d documents or entries read", page, what, got)
			if most := indexed + wanted + 2; got > most { // one before the page, one after
				t.Errorf("page %d of a list %s: %d read, want at most %d", page, what, got, most)
			}
			indexed = 0
		}
	}
}

// A listener to the first few of an order reads them, and reads them again when one of them changes.
func testListeners(t *testing.T, s *Server, db *database) {
	stream, err := wire(t, s).Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := &pb.StructuredQuery{From: from("c"), OrderBy: orderBy("n"), Limit: wrapped(wanted)}
	// state takes in what is told up to the next state.
	state := func() (changed int, err error) {
		for {
			r, err := stream.Recv()
			if err != nil {
				return changed, err
			}
			switch {
			case r.GetDocumentChange() != nil:
				changed++
			case r.GetTargetChange() != nil && told(r) == "NO_CHANGE":
				return changed, nil
			}
		}
	}
	got := looked(t, db, func() (int, error) {
		if err := stream.Send(add(listenQuery(q))); err != nil {
			return 0, err
		}
		return state()
	})
	t.Logf("the first listener: %d documents or entries read", got)
	if got != many+wanted {
		t.Errorf("the first listener: %d read, want the %d that go into the index and the %d that it is told of", got, many, wanted)
	}
	got = looked(t, db, func() (int, error) {
		_, err := db.commit([]*pb.Write{replace(middle, fields{"n": integer(-1)})}, "")
		if err != nil {
			return 0, err
		}
		changed, err := state()
		return changed + wanted - 1, err
	})
	t.Logf("a change to what is listened to: %d documents or entries read", got)
	if got > wanted {
		t.Errorf("a change to what is listened to: %d read, want at most %d", got, wanted)
	}
}

// What was at a time before is read in the order of an index too, with what has been moved since.
func TestThePastIsReadInOrder(t *testing.T) {
	s, db := crowd(t, many) // of its own: what is gone stays in the indexes for as long as it can be read
	w := wire(t, s)
	q := &pb.StructuredQuery{From: from("c"), OrderBy: orderBy("n"), Limit: wrapped(wanted)}
	names := func(at time.Time) (all []string) {
		r := runQuery(q)
		r.ConsistencySelector = &pb.RunQueryRequest_ReadTime{ReadTime: timestamppb.New(at)}
		stream, err := w.RunQuery(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		found, err := receive(stream.Recv)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			all = append(all, f.GetDocument().GetName())
		}
		return all
	}
	past := db.clock.tick()
	before := names(past)
	const moved = 5
	for i := range moved { // the first of the order go to its end, and others to its beginning
		k, err := db.document(before[i])
		if err != nil {
			t.Fatal(err)
		}
		away := replace(string(k.parent())+"/"+before[i][len(before[i])-7:], fields{"n": integer(many + int64(i))})
		ahead := replace("c/"+string(rune('a'+i)), fields{"n": integer(int64(-i))})
		if _, err := db.commit([]*pb.Write{away, ahead}, ""); err != nil {
			t.Fatal(err)
		}
	}
	var after []string
	got := looked(t, db, func() (int, error) {
		after = names(past)
		return len(after), nil
	})
	if !slices.Equal(after, before) {
		t.Errorf("the past has become %q, want %q", after, before)
	}
	t.Logf("a read of the past, %d documents moved away and %d in since: %d documents or entries read", moved, moved, got)
	if got > wanted+moved {
		t.Errorf("%d read, want at most %d, and %d that have come since", got, wanted, moved)
	}
	if now := names(db.clock.tick()); slices.Equal(now, before) {
		t.Error("nothing has changed: the test tests nothing")
	}
}
