package firestoretest

import (
	"slices"
	"strings"
	"time"
)

// found is what a query gave, and what it took.
type found struct {
	matches  []match
	examined int  // documents or index entries
	skipped  int  // by the offset
	unfit    bool // it read much in vain, and an index would help
}

// run gives what a query finds at a time. The caller holds the lock.
func (db *database) run(q *query, t time.Time) found {
	var r found
	if q.limit == 0 {
		return r
	}
	x := db.index(q, t)
	switch {
	case x != nil:
		from, through := q.bounds()
		x.entries.Ascend(from, func(position string, d *document) bool {
			return !beyond(position, through) && r.take(q, d.key, d.latest(), position[len(q.equal):])
		})
	case q.shape.orders[0].path == nil:
		db.walk(q, t, func(k key, v version) bool { return r.take(q, k, v, q.position(k, v)) })
	default:
		r.collect(db, q, t)
	}
	if q.nearest != nil {
		r.matches = q.nearest.among(r.matches)
	}
	useful := len(q.equal) > 0 || q.shape.orders[0].path != nil
	r.unfit = x == nil && useful && q.group != "" && r.examined-len(r.matches) >= wasted
	return r
}

// index gives the index for a query at a time, if there is one: they hold the present.
func (db *database) index(q *query, t time.Time) *index {
	g := db.groups[q.group]
	if g == nil || t.Before(g.changed) {
		return nil
	}
	shapes := g.indexes[q.scope]
	if len(shapes) == 0 {
		return nil
	}
	return shapes[q.shape.id()]
}

// position is the place of a document in the query's order; "" if it has none.
func (q *query) position(k key, v version) string {
	position, _ := shape{orders: q.shape.orders}.position(k, v.fields)
	return position
}

// take looks at the next document in the query's order, and reports whether it wants more.
func (r *found) take(q *query, k key, v version, position string) bool {
	r.examined++
	side := q.side(position)
	m := match{key: k, version: v, position: position}
	switch {
	case side > 0:
		return false
	case side < 0 || !q.covers(k) || !q.filter(m):
		return true
	case r.skipped < q.offset:
		r.skipped++
		return true
	}
	r.matches = append(r.matches, m)
	return len(r.matches) != q.limit
}

// matches reports whether a query finds a document, offset and limit aside.
func (q *query) matches(k key, v version) (match, bool) {
	m := match{key: k, version: v}
	if !v.exists() || !q.covers(k) || !q.filter(m) {
		return m, false
	}
	m.position = q.position(k, v)
	return m, m.position != "" && q.side(m.position) == 0
}

// collect finds what there is and then orders it.
func (r *found) collect(db *database, q *query, t time.Time) {
	db.walk(q, t, func(k key, v version) bool {
		r.examined++
		if m, ok := q.matches(k, v); ok {
			r.matches = append(r.matches, m)
		}
		return true
	})
	slices.SortFunc(r.matches, func(a, b match) int { return strings.Compare(a.position, b.position) })
	r.skipped = min(q.offset, len(r.matches))
	r.matches = r.matches[r.skipped:]
	if q.limit >= 0 {
		r.matches = r.matches[:min(q.limit, len(r.matches))]
	}
}

// walk visits all documents that there were at a time, where a query looks, in the order of names or, if the query
// wants that first of all, the other way round.
func (db *database) walk(q *query, t time.Time, visit func(k key, v version) bool) {
	tree := &db.documents
	if q.group != "" {
		g := db.groups[q.group]
		if g == nil {
			return
		}
		tree = &g.documents
	}
	step := func(k key, d *document) bool {
		if !strings.HasPrefix(string(k), q.prefix) {
			return false
		}
		v := d.at(t)
		return !v.exists() || visit(k, v)
	}
	byName := q.shape.orders[0].path == nil
	if byName && q.shape.orders[0].desc {
		from := key(q.prefix + "\xff") // comes after all names
		if q.start != nil {
			from = min(from, q.start.name)
		}
		tree.Descend(from, step)
		return
	}
	from := key(q.prefix)
	if byName && q.start != nil {
		from = max(from, q.start.name)
	}
	tree.Ascend(from, step)
}
