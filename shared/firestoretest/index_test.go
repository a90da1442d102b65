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

// chance makes documents and queries.
type chance struct{ *rand.Rand }

func pick[T any](c chance, from []T) T { return from[c.IntN(len(from))] }

var pool = []*pb.Value{
	null,
	{ValueType: &pb.Value_BooleanValue{}},
	{ValueType: &pb.Value_BooleanValue{BooleanValue: true}},
	doubleValue(math.NaN()), doubleValue(math.Inf(-1)), integer(-1), integer(0), doubleValue(0.5), integer(1), doubleValue(1),
	integer(1<<53 + 1), doubleValue(1 << 53), stringValue(""), stringValue("a"), stringValue("a\x00"), stringValue("a\x00b"), stringValue("b"),
	{ValueType: &pb.Value_BytesValue{BytesValue: []byte{0}}},
	array(nil), array([]*pb.Value{integer(1)}),
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
	path := fmt.Sprintf("%s/%d", pick(c, []string{"c", "u/1/c", "u/2/c", "d"}), c.IntN(12))
	if c.IntN(4) == 0 {
		return &pb.Write{Operation: &pb.Write_Delete{Delete: testDocuments + "/" + path}}
	}
	return replace(path, c.fields())
}

func (c chance) filter() *pb.StructuredQuery_Filter {
	if c.IntN(8) == 0 {
		op := pb.StructuredQuery_FieldFilter_Operator(1 + c.IntN(5))
		name := fmt.Sprintf("%s/%s/%d", testDocuments, pick(c, []string{"c", "u/1/c"}), c.IntN(12))
		return compareField(nameField, op, &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: name}})
	}
	if c.IntN(8) == 0 {
		is := &pb.StructuredQuery_UnaryFilter{
			Op:          pb.StructuredQuery_UnaryFilter_Operator(2 + c.IntN(4)),
			OperandType: &pb.StructuredQuery_UnaryFilter_Field{Field: &pb.StructuredQuery_FieldReference{FieldPath: pick(c, []string{"x", "y"})}},
		}
		return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_UnaryFilter{UnaryFilter: is}}
	}
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
	and, or := pb.StructuredQuery_CompositeFilter_AND, pb.StructuredQuery_CompositeFilter_OR
	switch c.IntN(6) {
	case 0:
		s.Where = c.filter()
	case 1:
		s.Where = compound(and, c.filter(), c.filter())
	case 2:
		s.Where = compound(or, c.filter(), c.filter())
	case 3:
		s.Where = compound(and, compound(or, c.filter(), c.filter()), c.filter())
	case 4:
		s.Where = compound(or, compound(and, c.filter(), c.filter()), c.filter())
	}
	for _, path := range []string{"x", "y", nameField} {
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
			v := c.value()
			if s.GetOrderBy()[len(b.GetValues())].GetField().GetFieldPath() == nameField {
				v = &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: fmt.Sprintf("%s/c/%d", testDocuments, c.IntN(12))}}
			}
			b.Values = append(b.Values, v)
		}
		return b
	}
	s.StartAt, s.EndAt = cursor(), cursor()
	return s
}

// Whatever is asked for, now or of a time before, with indexes or without, and whatever is written in between, a query
// gives what looking at every document and comparing value by value gives.
func TestIndexesFindTheSame(t *testing.T) {
	for seed := range uint64(12) {
		c := chance{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // chance, not a secret
		now := time.Now()
		db, err := start(t, Options{Now: func() time.Time { return now }, History: time.Minute}).database(testDatabase)
		if err != nil {
			t.Fatal(err)
		}
		var queries []spoken
		var times []time.Time
		for range 100 {
			for range 5 {
				now = now.Add(time.Duration(c.IntN(5)) * time.Second) // a version can be read for some 30 commits
				if _, err := db.commit([]*pb.Write{c.write()}, ""); err != nil {
					t.Fatal(err)
				}
				times = append(times, db.clock.tick())
			}
			said := c.query()
			q, err := db.newQuery(testDocuments, said)
			if err != nil {
				continue // such as != twice
			}
			queries = append(queries, spoken{q, said})
			times = slices.DeleteFunc(times, func(at time.Time) bool { return now.Sub(at) > db.kept })
			for _, a := range []spoken{queries[len(queries)-1], pick(c, queries), pick(c, queries)} {
				for _, at := range []time.Time{db.clock.tick(), pick(c, times)} {
					want := a.everything(db, at)
					if got := keys(db.run(a.query, at).matches); !slices.Equal(got, want) {
						t.Fatalf("seed %d, %v of %v: got %q, want %q", seed, a.said, at, got, want)
					}
				}
			}
			if c.IntN(2) == 0 {
				db.addIndexes(q)
			}
		}
		if len(queries) < 50 {
			t.Errorf("seed %d: only %d queries of 100 are good", seed, len(queries))
		}
		onlyKept(t, db)
	}
}

// onlyKept holds indexes to know of nothing but the versions that are kept.
func onlyKept(t *testing.T, db *database) {
	t.Helper()
	for _, g := range db.groups {
		for scope, shapes := range g.indexes {
			for id, x := range shapes {
				x.past.Scan(func(position string, l left) bool {
					for _, v := range l.versions[:len(l.versions)-1] {
						if slices.Contains(x.shape.positions(l.key, v.fields), position) {
							return true
						}
					}
					t.Errorf("the index %q on %q has %q in the past at %q, where no version of it is that is kept", id, scope, l.key, position)
					return true
				})
			}
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

// spoken is a query and how it was said.
type spoken struct {
	*query
	said *pb.StructuredQuery
}

// everything runs a query at a time by looking at every document.
func (q spoken) everything(db *database, t time.Time) []key {
	var all []match
	db.documents.Scan(func(k key, d *document) bool {
		m := match{key: k, version: d.at(t)}
		fits := m.exists() && q.covers(k) && q.filter(m)
		for _, o := range q.orders {
			_, ok := valueOf(db, m, o)
			fits = fits && ok
		}
		if fits && q.beyond(db, m, q.said.GetStartAt(), 1) && q.beyond(db, m, q.said.GetEndAt(), -1) {
			all = append(all, m)
		}
		return true
	})
	slices.SortFunc(all, func(a, b match) int {
		for _, o := range q.orders {
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
func (q spoken) beyond(db *database, m match, cursor *pb.Cursor, side int) bool {
	for i, want := range cursor.GetValues() {
		v, _ := valueOf(db, m, q.orders[i])
		if c := q.orders[i].sign() * compare(v, want); c != 0 {
			return cmp.Compare(c, 0) == side
		}
	}
	return len(cursor.GetValues()) == 0 || cursor.GetBefore() == (side > 0)
}
