package firestoretest

import (
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/tidwall/btree"
)

// An index holds the present documents of a collection, or of all collections of one id, that have certain fields, in
// the order of these fields: first those that a query wants equal to something, then those that it orders by. So what
// a query finds lies together and in order, and it reads no more than it gives.
//
// Firestore wants such indexes to be made beforehand; here the first query that read much in vain makes one. What was
// at a past time can't be read from it.
type index struct {
	shape   shape
	entries btree.Map[string, *document] // by position
}

// shape is what an index is ordered by.
type shape struct {
	equal  [][]string // field paths
	orders []order    // the last is the name
}

// order is one field of an order.
type order struct {
	path []string // nil: the name
	desc bool
}

// allCollections stands for all collections of an id. It is the key of no collection.
const allCollections key = ""

// wasted is how many documents a query must have read in vain before an index is made for it.
const wasted = 100

// id tells shapes apart.
func (s shape) id() string {
	var b strings.Builder
	for _, path := range s.equal {
		b.WriteString("=" + strings.Join(path, separator) + "\n")
	}
	for _, o := range s.orders {
		b.WriteString(map[bool]string{false: "+", true: "-"}[o.desc] + strings.Join(o.path, separator) + "\n")
	}
	return b.String()
}

// position is the place of a document in an index; false: it has none, as a field is missing.
func (s shape) position(k key, f fields) (string, bool) {
	var b []byte
	for _, path := range s.equal {
		v, ok := lookup(f, path)
		if !ok {
			return "", false
		}
		b = appendValue(b, v)
	}
	for _, o := range s.orders {
		var ok bool
		if b, ok = o.append(b, k, f); !ok {
			return "", false
		}
	}
	return string(b), true
}

// append encodes what a document has for an order.
func (o order) append(b []byte, k key, f fields) ([]byte, bool) {
	if o.path == nil {
		return o.direct(b, func(b []byte) []byte { return appendString(b, string(k)) }), true
	}
	v, ok := lookup(f, o.path)
	if !ok {
		return b, false
	}
	return o.direct(b, func(b []byte) []byte { return appendValue(b, v) }), true
}

// direct appends an encoding, turned over where the order is descending.
func (o order) direct(b []byte, encode func([]byte) []byte) []byte {
	n := len(b)
	b = encode(b)
	if o.desc {
		turn(b[n:])
	}
	return b
}

// turn turns over the order of encodings.
func turn(b []byte) []byte {
	for i := range b {
		b[i] = ^b[i]
	}
	return b
}

// change takes a document's old version out of the index and the new one in.
func (x *index) change(c change) {
	before, was := "", false
	if c.old.exists() {
		before, was = x.shape.position(c.key, c.old.fields)
	}
	after, is := "", false
	if c.new.exists() {
		after, is = x.shape.position(c.key, c.new.fields)
	}
	if was && (!is || before != after) {
		x.entries.Delete(before)
	}
	if is && (!was || before != after) {
		x.entries.Set(after, c.document)
	}
}

// covering gives the indexes that a document belongs into.
func (g *group) covering(k key) []*index {
	var all []*index
	for _, scope := range []key{allCollections, k.parent()} {
		for _, x := range g.indexes[scope] {
			all = append(all, x)
		}
	}
	return all
}

// addIndex makes the index that a query wants, unless it is there.
func (db *database) addIndex(q *query) {
	db.mu.Lock()
	defer db.mu.Unlock()
	g := db.group(q.group)
	id := q.shape.id()
	if g.indexes[q.scope][id] != nil {
		return
	}
	x := &index{shape: q.shape}
	g.documents.Ascend(q.scope, func(k key, d *document) bool {
		if !strings.HasPrefix(string(k), string(q.scope)) {
			return false
		}
		if q.scope == allCollections || k.parent() == q.scope {
			x.change(change{document: d, new: d.latest()})
		}
		return true
	})
	if g.indexes[q.scope] == nil {
		g.indexes[q.scope] = make(map[string]*index)
	}
	g.indexes[q.scope][id] = x
}

// bounds are the least position at which a query may find something in an index, and what positions at which it does
// begin with or come before.
func (q *query) bounds() (from, through string) {
	low, high := q.ranges()
	from, through = string(q.equal)+low, string(q.equal)+high
	if q.start != nil {
		from = max(from, string(q.equal)+q.start.position)
	}
	return from, through
}

// ranges are the bounds that a query's inequalities set to the first field that it orders by.
func (q *query) ranges() (low, high string) {
	first := q.shape.orders[0]
	for _, f := range q.inequalities {
		if first.path == nil || !slices.Equal(f.path, first.path) {
			continue
		}
		value, kind := string(appendValue(nil, f.value)), string([]byte{byte(rank(f.value))})
		switch f.op {
		case pb.StructuredQuery_FieldFilter_GREATER_THAN, pb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL:
			low, high = max(low, value), least(high, kind)
		case pb.StructuredQuery_FieldFilter_LESS_THAN, pb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL:
			low, high = max(low, kind), least(high, value)
		}
	}
	if first.desc {
		low, high = string(turn([]byte(high))), string(turn([]byte(low)))
	}
	return low, high
}

// least is the lesser of two upper bounds, of which none is "".
func least(a, b string) string {
	if a == "" || b < a {
		return b
	}
	return a
}

// beyond reports whether a position comes after a bound and doesn't begin with it; nothing is beyond none.
func beyond(position, bound string) bool {
	return position[:min(len(position), len(bound))] > bound
}
