package firestoretest

import (
	"strings"
	"time"

	"github.com/tidwall/btree"
)

// series gives the next document and its position in the order of a query; false: there is no more.
type series func() (position string, d *document, ok bool)

// merge gives what several series give in the order of positions, also what comes several times.
func merge(all []series) series {
	if len(all) == 1 {
		return all[0]
	}
	type head struct {
		position string
		document *document
		next     series
	}
	heads := make([]head, 0, len(all))
	for _, next := range all {
		if position, d, ok := next(); ok {
			heads = append(heads, head{position, d, next})
		}
	}
	return func() (string, *document, bool) {
		if len(heads) == 0 {
			return "", nil, false
		}
		least := 0
		for i := range heads {
			if heads[i].position < heads[least].position {
				least = i
			}
		}
		h := heads[least]
		if position, d, ok := h.next(); ok {
			heads[least] = head{position, d, h.next}
		} else {
			heads[least] = heads[len(heads)-1]
			heads = heads[:len(heads)-1]
		}
		return h.position, h.document, true
	}
}

// within gives the entries of an index between two bounds, without the beginnings of their positions that all share.
func within[T any](entries btree.MapIter[string, T], from, through string, shared int, of func(T) *document) series {
	step := func() bool { return entries.Seek(from) }
	return func() (string, *document, bool) {
		if !step() || beyond(entries.Key(), through) {
			step = func() bool { return false }
			return "", nil, false
		}
		step = entries.Next
		return entries.Key()[shared:], of(entries.Value()), true
	}
}

// one gives a single document, if it was there at a time.
func (db *database) one(q *query, k key, t time.Time) series {
	d := db.get(k)
	return func() (string, *document, bool) {
		v := d.at(t)
		if !v.exists() {
			return "", nil, false
		}
		position, one := q.position(k, v), d
		d = nil
		return position, one, position != ""
	}
}

// byName gives all documents where a query looks in the order of names, or, if the query wants that first of all, the
// other way round; those whose positions, if the query orders by nothing else, lie between two bounds.
func (db *database) byName(q *query, from, through string) series {
	tree := &db.documents
	if q.group != "" {
		g := db.groups[q.group]
		if g == nil {
			return func() (string, *document, bool) { return "", nil, false }
		}
		tree = &g.documents
	}
	documents, name := tree.Iter(), order{}
	first, step := key(q.prefix), documents.Next
	begin := func() bool { return documents.Seek(max(first, nameOfPosition(from))) }
	if q.orders[0].path == nil && q.orders[0].desc {
		name.desc, step = true, documents.Prev
		last := key(q.prefix + "\xff") // comes after all names
		if from != "" {
			last = min(last, nameOfPosition(string(turn([]byte(from)))))
		}
		begin = func() bool {
			if !documents.Seek(last) {
				return documents.Last()
			}
			return documents.Key() == last || documents.Prev()
		}
	}
	advance := begin
	return func() (string, *document, bool) {
		if !advance() || !strings.HasPrefix(string(documents.Key()), q.prefix) {
			return "", nil, false
		}
		advance = step
		encoded, _ := name.append(nil, documents.Key(), nil)
		position := string(encoded)
		return position, documents.Value(), !beyond(position, through)
	}
}

// nameOfPosition is the name that a position by names alone was made of.
func nameOfPosition(position string) key {
	return key(strings.ReplaceAll(strings.TrimSuffix(position, "\x00\x01"), "\x00\xff", separator)) // as appendString writes it
}
