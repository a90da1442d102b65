package firestoretest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// fill stores documents without a client, in a collection.
func fill(t testing.TB, s *Server, collection string, n int, fields func(i int) fields) *database {
	t.Helper()
	db, err := s.database(testDatabase)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += maxBatch {
		var writes []*pb.Write
		for j := i; j < min(n, i+maxBatch); j++ {
			writes = append(writes, replace(fmt.Sprintf("%s/%07d", collection, j), fields(j)))
		}
		if _, err := db.commit(writes, ""); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// A query whose order and limit say so reads no more than it gives. The first of its kind makes the index.
func TestQueriesReadWhatTheyGive(t *testing.T) {
	const documents, limit = 100_000, 10
	s := start(t, Options{})
	db := fill(t, s, "c", documents, func(i int) fields {
		return fields{"n": integer(int64(i * 7919 % documents)), "kind": integer(int64(i % 1000)), "list": array([]*pb.Value{integer(int64(i))})}
	})
	greater, equals := pb.StructuredQuery_FieldFilter_GREATER_THAN, pb.StructuredQuery_FieldFilter_EQUAL
	kind := compareField("kind", equals, integer(7))
	and := pb.StructuredQuery_CompositeFilter_AND
	descending := orderBy("n")
	descending[0].Direction = pb.StructuredQuery_DESCENDING
	at := func(n int64) *pb.Cursor { return &pb.Cursor{Values: []*pb.Value{integer(n)}} }
	name := &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: testDocuments + "/c/0050000"}}
	byName := orderBy(nameField)
	byName[0].Direction = pb.StructuredQuery_DESCENDING
	for what, query := range map[string]*pb.StructuredQuery{
		"by name":                   {},
		"by name, from one on":      {OrderBy: orderBy(nameField), StartAt: &pb.Cursor{Values: []*pb.Value{name}}},
		"by name, descending":       {OrderBy: byName, StartAt: &pb.Cursor{Values: []*pb.Value{name}}},
		"by a field":                {OrderBy: orderBy("n")},
		"descending":                {OrderBy: descending},
		"from a value on":           {OrderBy: orderBy("n"), StartAt: at(documents / 2)},
		"up to a value, descending": {OrderBy: descending, StartAt: at(documents / 2)},
		"greater":                   {Where: compareField("n", greater, integer(documents/2))},
		"equal":                     {Where: kind},
		"equal and ordered":         {Where: kind, OrderBy: orderBy("n")},
		"equal and greater":         {Where: compound(and, kind, compareField("n", greater, integer(100)))},
	} {
		query.From, query.Limit = from("c"), wrapped(limit)
		q, err := db.newQuery(testDocuments, query)
		if err != nil {
			t.Fatal(err)
		}
		for run := range 2 {
			_, found, err := db.find(q, untransacted{&pb.RunQueryRequest{}}, nil)
			if err != nil || len(found.matches) != limit {
				t.Fatalf("%s: %d documents (%v), want %d", what, len(found.matches), err, limit)
			}
			if run == 1 && found.examined > limit+1 { // a cursor may stand at one that is not wanted
				t.Errorf("%s: %d documents read to give %d of %d", what, found.examined, limit, documents)
			}
		}
	}
}

// chance makes documents and queries.
type chance struct{ *rand.Rand }

func pick[T any](c chance, from []T) T { return from[c.IntN(len(from))] }

var pool = []*pb.Value{
	null, {ValueType: &pb.Value_BooleanValue{}}, {ValueType: &pb.Value_BooleanValue{BooleanValue: true}},
	doubleValue(math.NaN()), doubleValue(math.Inf(-1)), integer(-1), integer(0), doubleValue(0.5), integer(1), doubleValue(1),
	integer(1<<53 + 1), doubleValue(1 << 53), stringValue(""), stringValue("a"), stringValue("a\x00"), stringValue("a\x00b"), stringValue("b"),
	{ValueType: &pb.Value_BytesValue{BytesValue: []byte{0}}}, array(nil), array([]*pb.Value{integer(1)}),
	array([]*pb.Value{integer(1), stringValue("a")}), mapValue(nil), mapValue(fields{"a": integer(1)}),
}

func (c chance) value() *pb.Value { return pick(c, pool) }

func (c chance) fields() fields {
	f := fields{}
	for _, name := range []string{"x", "y"} {
		if c.IntN(8) > 0 {
			f[name] = c.value()
		}
	}
	return f
}

func (c chance) write() *pb.Write {
	path := fmt.Sprintf("%s/%d", pick(c, []string{"c", "u/1/c", "u/2/c", "d"}), c.IntN(40))
	if c.IntN(4) == 0 {
		return &pb.Write{Operation: &pb.Write_Delete{Delete: testDocuments + "/" + path}}
	}
	return replace(path, c.fields())
}

func (c chance) filter() *pb.StructuredQuery_Filter {
	op := pb.StructuredQuery_FieldFilter_Operator(1 + c.IntN(10))
	v := c.value()
	if op >= pb.StructuredQuery_FieldFilter_IN && op != pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS {
		v = array([]*pb.Value{c.value(), c.value()})
	}
	return compareField(pick(c, []string{"x", "y"}), op, v)
}

func (c chance) query() *pb.StructuredQuery {
	s := &pb.StructuredQuery{From: from("c"), Offset: int32(c.IntN(3))} //nolint:gosec // small
	s.From[0].AllDescendants = c.IntN(2) == 0
	switch c.IntN(4) {
	case 0:
		s.Where = c.filter()
	case 1:
		s.Where = compound(pb.StructuredQuery_CompositeFilter_AND, c.filter(), c.filter())
	case 2:
		s.Where = compound(pb.StructuredQuery_CompositeFilter_OR, c.filter(), c.filter())
	}
	for _, path := range []string{"x", "y"} {
		if c.IntN(2) == 0 {
			s.OrderBy = append(s.OrderBy, orderBy(path)...)
			s.OrderBy[len(s.OrderBy)-1].Direction = pb.StructuredQuery_Direction(1 + c.IntN(2)) //nolint:gosec // small
		}
	}
	if c.IntN(2) == 0 {
		s.Limit = wrapped(int32(c.IntN(8))) //nolint:gosec // small
	}
	cursor := func() *pb.Cursor {
		b := &pb.Cursor{Before: c.IntN(2) == 0}
		for range c.IntN(len(s.GetOrderBy()) + 1) {
			b.Values = append(b.Values, c.value())
		}
		return b
	}
	s.StartAt, s.EndAt = cursor(), cursor()
	return s
}

// Whatever is asked for, with an index or without, and whatever is written in between, a query gives what looking at
// every document and comparing value by value gives.
func TestIndexesFindTheSame(t *testing.T) {
	for seed := range uint64(40) {
		c := chance{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // chance, not a secret
		db, err := start(t, Options{}).database(testDatabase)
		if err != nil {
			t.Fatal(err)
		}
		var queries []asked
		for range 100 {
			for range 5 {
				if _, err := db.commit([]*pb.Write{c.write()}, ""); err != nil {
					t.Fatal(err)
				}
			}
			said := c.query()
			q, err := db.newQuery(testDocuments, said)
			if err != nil {
				continue // such as != twice
			}
			queries = append(queries, asked{q, said})
			for _, a := range []asked{queries[len(queries)-1], pick(c, queries)} {
				want := a.everything(db)
				if got := keys(db.run(a.query, db.clock.tick()).matches); !slices.Equal(got, want) {
					t.Fatalf("seed %d, %v: got %q, want %q", seed, a.said, got, want)
				}
			}
			if c.IntN(2) == 0 {
				db.addIndex(q)
			}
		}
		if len(queries) < 50 {
			t.Errorf("seed %d: only %d queries of 100 are good", seed, len(queries))
		}
	}
}

func keys(all []match) []key {
	var names []key
	for _, m := range all {
		names = append(names, m.key)
	}
	return names
}

// asked is a query and how it was said.
type asked struct {
	*query
	said *pb.StructuredQuery
}

// everything runs a query by looking at every document.
func (q asked) everything(db *database) []key {
	var all []match
	db.documents.Scan(func(k key, d *document) bool {
		m := match{key: k, version: d.latest()}
		fits := m.exists() && q.covers(k) && q.filter(m)
		for _, o := range q.shape.orders {
			_, ok := valueOf(db, m, o)
			fits = fits && ok
		}
		if fits && q.beyond(db, m, q.said.GetStartAt(), 1) && q.beyond(db, m, q.said.GetEndAt(), -1) {
			all = append(all, m)
		}
		return true
	})
	slices.SortFunc(all, func(a, b match) int {
		for _, o := range q.shape.orders {
			v, _ := valueOf(db, a, o)
			w, _ := valueOf(db, b, o)
			if c := o.sign() * compare(v, w); c != 0 {
				return c
			}
		}
		return 0
	})
	all = all[min(q.offset, len(all)):]
	if q.limit >= 0 {
		all = all[:min(q.limit, len(all))]
	}
	return keys(all)
}

func (o order) sign() int {
	if o.desc {
		return -1
	}
	return 1
}

// valueOf is what a document has for an order.
func valueOf(db *database, m match, o order) (*pb.Value, bool) {
	if o.path == nil {
		return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: db.resource(m.key)}}, m.exists()
	}
	return lookup(m.fields, o.path)
}

// beyond reports whether a document is on the right side of a cursor: after (1) the start, before (-1) the end.
func (q asked) beyond(db *database, m match, cursor *pb.Cursor, side int) bool {
	for i, want := range cursor.GetValues() {
		v, _ := valueOf(db, m, q.shape.orders[i])
		if c := q.shape.orders[i].sign() * compare(v, want); c != 0 {
			return cmp.Compare(c, 0) == side
		}
	}
	return len(cursor.GetValues()) == 0 || cursor.GetBefore() == (side > 0)
}

// Versions of the past are not in indexes.
func TestIndexAndThePast(t *testing.T) {
	now := time.Now()
	s := start(t, Options{Now: func() time.Time { return now }})
	db := fill(t, s, "c", 300, func(i int) fields { return fields{"n": integer(int64(i))} })
	q, err := db.newQuery(testDocuments, &pb.StructuredQuery{From: from("c"), OrderBy: orderBy("n"), Limit: wrapped(1)})
	if err != nil {
		t.Fatal(err)
	}
	db.addIndex(q)
	past := db.clock.tick()
	if _, err := db.commit([]*pb.Write{replace("c/0000000", fields{"n": integer(1000)})}, ""); err != nil {
		t.Fatal(err)
	}
	if got := keys(db.run(q, past).matches); !slices.Equal(got, []key{"c\x000000000"}) {
		t.Errorf("in the past: got %q", got)
	}
	if got := keys(db.run(q, db.clock.tick()).matches); !slices.Equal(got, []key{"c\x000000001"}) {
		t.Errorf("now: got %q", got)
	}
}
