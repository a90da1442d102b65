package firestoretest

import (
	"slices"
	"strings"
	"time"

	"github.com/tidwall/btree"
)

// An index holds the documents of a collection, or of all collections of one id, that have certain fields, in the order
// of these fields: first those that a query wants to have or to be equal to something, then those that it orders by. So
// what a query finds lies together and in order, and it reads no more than it gives.
//
// Firestore wants such indexes to be made beforehand; here the first query of its kind makes one, and it is kept.
type index struct {
	shape   shape
	present btree.Map[string, *document] // by position
	past    btree.Map[string, left]      // likewise; where documents were, as long as these versions are kept
}

// left is a document that is no longer where it was.
type left struct {
	*document
	until time.Time // of the commit that took it away last
}

// shape is what an index is ordered by.
type shape struct {
	array  []string   // the path of a field that has a position for each element; nil: none
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

// few is how many documents a collection may have that is looked through rather than indexed.
const few = 100

// id tells shapes apart.
func (s shape) id() string {
	var b strings.Builder
	if s.array != nil {
		b.WriteString("@" + strings.Join(s.array, separator) + "\n")
	}
	for _, path := range s.equal {
		b.WriteString("=" + strings.Join(path, separator) + "\n")
	}
	for _, o := range s.orders {
		b.WriteString(map[bool]string{false: "+", true: "-"}[o.desc] + strings.Join(o.path, separator) + "\n")
	}
	return b.String()
}

// positions are the places of a document in an index; none, if a field is missing.
func (s shape) positions(k key, f fields) []string {
	var rest []byte
	for _, path := range s.equal {
		v, ok := lookup(f, path)
		if !ok {
			return nil
		}
		rest = appendValue(rest, v)
	}
	rest, ok := s.appendOrders(rest, k, f)
	switch {
	case !ok:
		return nil
	case s.array == nil:
		return []string{string(rest)}
	}
	v, _ := lookup(f, s.array)
	var all []string
	for _, element := range v.GetArrayValue().GetValues() {
		all = append(all, string(append(appendValue(nil, element), rest...)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// appendOrders encodes what a document has for the orders; false: a field is missing.
func (s shape) appendOrders(b []byte, k key, f fields) ([]byte, bool) {
	for _, o := range s.orders {
		var ok bool
		if b, ok = o.append(b, k, f); !ok {
			return b, false
		}
	}
	return b, true
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

// change takes a document's old version out of the present and the new one in.
func (x *index) change(c change) {
	var before, after []string
	if c.old.exists() {
		before = x.shape.positions(c.key, c.old.fields)
	}
	if c.new.exists() {
		after = x.shape.positions(c.key, c.new.fields)
	}
	for _, position := range before {
		if _, stays := slices.BinarySearch(after, position); !stays {
			x.present.Delete(position)
			x.past.Set(position, left{c.document, c.new.at})
		}
	}
	for _, position := range after {
		if _, was := slices.BinarySearch(before, position); !was {
			x.present.Set(position, c.document)
		}
	}
}

// forget drops from the past what only a version had that was replaced at a time.
func (x *index) forget(k key, v version, replaced time.Time) {
	if !v.exists() {
		return
	}
	for _, position := range x.shape.positions(k, v.fields) {
		if was, ok := x.past.Get(position); ok && !was.until.After(replaced) {
			x.past.Delete(position)
		}
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

// index gives the index of a shape that a query would like; nil: it isn't there.
func (db *database) index(q *query, s *shape) *index {
	g := db.groups[q.group]
	if g == nil || len(g.indexes[q.scope]) == 0 {
		return nil
	}
	return g.indexes[q.scope][s.id()]
}

// prepare makes the indexes that a query would like and that are not there, if there is more than a few documents where
// it looks. Whoever is about to run a query calls it, without the lock.
func (db *database) prepare(q *query) {
	db.mu.RLock()
	wants := db.wantsIndex(q)
	db.mu.RUnlock()
	if wants {
		db.addIndexes(q)
	}
}

// wantsIndex reports whether a query would have to look at many documents for want of an index.
func (db *database) wantsIndex(q *query) bool {
	lacks := func(p part) bool { return p.index != nil && db.index(q, p.index) == nil }
	if q.group == "" || !slices.ContainsFunc(q.parts, lacks) {
		return false
	}
	n := 0
	db.inScope(q, func(*document) bool {
		n++
		return n <= few
	})
	return n > few
}

// inScope visits all documents that an index for a query has to know of, until visit says that it is enough.
func (db *database) inScope(q *query, visit func(d *document) bool) {
	g := db.groups[q.group]
	if g == nil {
		return
	}
	g.documents.Ascend(q.scope, func(k key, d *document) bool {
		if !strings.HasPrefix(string(k), string(q.scope)) {
			return false
		}
		return q.scope != allCollections && k.parent() != q.scope || visit(d)
	})
}

// addIndexes makes the indexes that a query would like, those that are not there.
func (db *database) addIndexes(q *query) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, p := range q.parts {
		if p.index == nil || db.index(q, p.index) != nil {
			continue
		}
		x := &index{shape: *p.index}
		db.inScope(q, func(d *document) bool {
			db.examined.Add(1)
			before := version{}
			for _, v := range d.versions { // as they were written
				x.change(change{document: d, old: before, new: v})
				before = v
			}
			return true
		})
		g := db.group(q.group)
		if g.indexes[q.scope] == nil {
			g.indexes[q.scope] = make(map[string]*index)
		}
		g.indexes[q.scope][x.shape.id()] = x
	}
}
