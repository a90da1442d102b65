package firestoretest

import (
	"slices"
	"strings"
	"time"
)

// found is what a query gave.
type found struct {
	matches []match
	skipped int    // by the offset
	last    string // the position of the last that was wanted
}

// run gives what a query finds at a time. The caller holds the lock.
func (db *database) run(q *query, t time.Time) found {
	var r found
	if q.limit == 0 {
		return r
	}
	next, ordered := db.entries(q, t)
	for {
		position, d, ok := next()
		if !ok {
			break
		}
		db.examined.Add(1)
		if v := d.at(t); v.exists() && !r.take(q, match{key: d.key, version: v}, position, ordered) {
			break
		}
	}
	if !ordered {
		r.order(q)
	}
	if q.nearest != nil {
		r.matches = q.nearest.among(r.matches)
	}
	return r
}

// take looks at the next candidate, and reports whether it wants more. Where candidates come in order, each has a
// position, at which it may not have been at the time; and it may come again at the same.
func (r *found) take(q *query, m match, position string, ordered bool) bool {
	if !q.covers(m.key) || !q.filter(m) {
		return !ordered || q.side(position) <= 0
	}
	m.position = q.position(m.key, m.version)
	if m.position == "" || ordered && (m.position != position || position == r.last) {
		return true
	}
	switch side := q.side(m.position); {
	case side > 0:
		return !ordered
	case side < 0:
		return true
	}
	r.last = m.position
	if ordered && r.skipped < q.offset {
		r.skipped++
		return true
	}
	r.matches = append(r.matches, m)
	return !ordered || len(r.matches) != q.limit
}

// order orders what was found in no order, and leaves what is wanted of it.
func (r *found) order(q *query) {
	slices.SortFunc(r.matches, func(a, b match) int { return strings.Compare(a.position, b.position) })
	r.skipped = min(q.offset, len(r.matches))
	r.matches = r.matches[r.skipped:]
	if q.limit >= 0 {
		r.matches = r.matches[:min(q.limit, len(r.matches))]
	}
}

// position is the place of a document in the query's order; "" if it has none.
func (q *query) position(k key, v version) string {
	position, ok := shape{orders: q.orders}.appendOrders(nil, k, v.fields)
	if !ok {
		return ""
	}
	return string(position)
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

// entries gives the candidates of a query at a time: in its order, each with its position in it, or else all that there
// are where it looks.
func (db *database) entries(q *query, t time.Time) (next series, ordered bool) {
	var parts []series
	for _, p := range q.parts {
		if p.only != nil {
			parts = append(parts, db.one(q, *p.only, t))
			continue
		}
		from, through := p.bounds(q)
		if p.index == nil {
			parts = append(parts, db.byName(q, from, through))
			continue
		}
		x := db.index(q, p.index)
		if x == nil {
			return db.byName(q, "", ""), false
		}
		parts = append(parts, within(x.present.Iter(), from, through, len(p.equal), func(d *document) *document { return d }))
		if t.Before(db.groups[q.group].changed) {
			parts = append(parts, within(x.past.Iter(), from, through, len(p.equal), func(l left) *document { return l.document }))
		}
	}
	return merge(parts), true
}
