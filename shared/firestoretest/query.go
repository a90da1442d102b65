package firestoretest

import (
	"slices"
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// nameField stands for a document's name in filters and orders.
const nameField = "__name__"

// query is a structured query, checked and made ready to run.
type query struct {
	collections map[string]bool // ids; none: any
	prefix      string          // of the keys
	depth       int             // segments of a key; 0: any
	filter      func(document) bool
	orders      []order
	start, end  *pb.Cursor
	offset      int
	limit       int // -1: none
	projection  *pb.DocumentMask
}

type order struct {
	path []string // nil: the name
	desc bool
}

// match is a document that a query gave.
type match struct {
	key
	version
}

// document is what filters and orders look at.
type document struct {
	name   string
	fields fields
}

// value finds the value at a path; nil is the name.
func (d document) value(path []string) (*pb.Value, bool) {
	if path == nil {
		return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: d.name}}, true
	}
	return lookup(d.fields, path)
}

// newQuery reads a structured query below a parent.
func (db *database) newQuery(parent string, s *pb.StructuredQuery) (*query, error) {
	k, err := db.parse(parent)
	if err != nil {
		return nil, err
	}
	q := &query{
		prefix: k.below(), start: s.GetStartAt(), end: s.GetEndAt(), offset: int(s.GetOffset()), limit: -1,
		collections: map[string]bool{},
	}
	if s.GetLimit() != nil {
		q.limit = int(s.GetLimit().GetValue())
	}
	for _, from := range s.GetFrom() {
		if from.GetCollectionId() != "" {
			q.collections[from.GetCollectionId()] = true
		}
		if !from.GetAllDescendants() {
			q.prefix += from.GetCollectionId() + separator
			q.depth = strings.Count(q.prefix, separator) + 1
		}
	}
	if q.filter, err = newFilter(s.GetWhere()); err != nil {
		return nil, err
	}
	if q.orders, err = newOrders(s); err != nil {
		return nil, err
	}
	if s.GetSelect() != nil {
		q.projection = &pb.DocumentMask{}
		for _, f := range s.GetSelect().GetFields() {
			q.projection.FieldPaths = append(q.projection.FieldPaths, f.GetFieldPath())
		}
	}
	return q, nil
}

// newOrders gives the orders that a query says, and those it doesn't need to say: the fields of its inequalities,
// and the name (https://firebase.google.com/docs/firestore/reference/rpc/google.firestore.v1#structuredquery).
func newOrders(s *pb.StructuredQuery) ([]order, error) {
	var orders []order
	desc := false
	said := map[string]bool{}
	add := func(text string) error {
		path, err := orderPath(text)
		if err != nil || said[text] {
			return err
		}
		said[text] = true
		orders = append(orders, order{path, desc})
		return nil
	}
	for _, o := range s.GetOrderBy() {
		desc = o.GetDirection() == pb.StructuredQuery_DESCENDING
		if err := add(o.GetField().GetFieldPath()); err != nil {
			return nil, err
		}
	}
	unsaid := inequalities(s.GetWhere())
	slices.Sort(unsaid)
	for _, text := range append(unsaid, nameField) {
		if err := add(text); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

func orderPath(text string) ([]string, error) {
	if text == nameField {
		return nil, nil
	}
	return fieldPath(text)
}

// run gives what a query finds at a time. The caller holds the lock.
func (db *database) run(q *query, t time.Time) []match {
	var found []match
	db.scan(q.prefix, t, func(k key, v version) bool {
		if q.depth > 0 && strings.Count(string(k), separator)+1 != q.depth {
			return true
		}
		if len(q.collections) > 0 && !q.collections[k.collection()] {
			return true
		}
		d := db.seenAs(k, v)
		if q.filter(d) && q.ordered(d) && q.within(d) {
			found = append(found, match{k, v})
		}
		return true
	})
	slices.SortFunc(found, func(a, b match) int {
		return q.compare(db.seenAs(a.key, a.version), db.seenAs(b.key, b.version))
	})
	found = found[min(q.offset, len(found)):]
	if q.limit >= 0 {
		found = found[:min(q.limit, len(found))]
	}
	return found
}

// seenAs is a version as filters and orders look at it.
func (db *database) seenAs(k key, v version) document { return document{db.resource(k), v.fields} }

// ordered reports whether a document has all fields that the query orders by: others are in no index.
func (q *query) ordered(d document) bool {
	return !slices.ContainsFunc(q.orders, func(o order) bool {
		_, ok := d.value(o.path)
		return !ok
	})
}

func (q *query) compare(a, b document) int {
	for _, o := range q.orders {
		x, _ := a.value(o.path)
		y, _ := b.value(o.path)
		if c := compare(x, y); c != 0 {
			return o.sign(c)
		}
	}
	return 0
}

func (o order) sign(c int) int {
	if o.desc {
		return -c
	}
	return c
}

// within reports whether a document lies between the cursors.
func (q *query) within(d document) bool {
	if q.start != nil {
		if c := q.against(d, q.start); c < 0 || c == 0 && !q.start.GetBefore() {
			return false
		}
	}
	if q.end != nil {
		if c := q.against(d, q.end); c > 0 || c == 0 && q.end.GetBefore() {
			return false
		}
	}
	return true
}

// against compares a document with a cursor, which may name fewer values than there are orders.
func (q *query) against(d document, cursor *pb.Cursor) int {
	for i, v := range cursor.GetValues() {
		if i == len(q.orders) {
			break
		}
		x, _ := d.value(q.orders[i].path)
		if c := compare(x, v); c != 0 {
			return q.orders[i].sign(c)
		}
	}
	return 0
}

// inequalities are the fields that a filter compares by order.
func inequalities(f *pb.StructuredQuery_Filter) []string {
	switch f := f.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_CompositeFilter:
		var all []string
		for _, inner := range f.CompositeFilter.GetFilters() {
			all = append(all, inequalities(inner)...)
		}
		return all
	case *pb.StructuredQuery_Filter_FieldFilter:
		switch f.FieldFilter.GetOp() {
		case pb.StructuredQuery_FieldFilter_LESS_THAN, pb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL,
			pb.StructuredQuery_FieldFilter_GREATER_THAN, pb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL,
			pb.StructuredQuery_FieldFilter_NOT_EQUAL, pb.StructuredQuery_FieldFilter_NOT_IN:
			return []string{f.FieldFilter.GetField().GetFieldPath()}
		}
	case *pb.StructuredQuery_Filter_UnaryFilter:
		switch f.UnaryFilter.GetOp() {
		case pb.StructuredQuery_UnaryFilter_IS_NOT_NULL, pb.StructuredQuery_UnaryFilter_IS_NOT_NAN:
			return []string{f.UnaryFilter.GetField().GetFieldPath()}
		}
	}
	return nil
}
