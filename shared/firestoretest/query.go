package firestoretest

import (
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// nameField stands for a document's name in filters and orders.
const nameField = "__name__"

// query is a structured query, checked and made ready to run.
type query struct {
	prefix string // of the keys of all that it may find
	group  string // the id of the collections; "": any
	scope  key    // the one collection, or allCollections

	filter     func(match) bool
	orders     []order // the last is the name
	parts      []part  // together they have all that passes the filter
	start, end *bound
	offset     int
	limit      int // -1: none
	projection mask
	nearest    *nearest
}

// bound is a cursor.
type bound struct {
	position string // or the beginning of one
	before   bool
}

// match is a document that a query found.
type match struct {
	key
	version
	position string // by the query's orders
	distance float64
}

// newQuery reads a structured query below a parent.
func (db *database) newQuery(parent string, s *pb.StructuredQuery) (*query, error) {
	q := &query{offset: int(s.GetOffset()), limit: -1}
	if s.GetLimit() != nil {
		q.limit = int(s.GetLimit().GetValue())
		if q.limit < 0 {
			return nil, invalid("the limit is negative")
		}
	}
	if q.offset < 0 {
		return nil, invalid("the offset is negative")
	}
	if err := checkQuery(s); err != nil {
		return nil, err
	}
	k, err := db.parse(parent)
	if err != nil {
		return nil, err
	}
	if err := q.from(k, s.GetFrom()); err != nil {
		return nil, err
	}
	if q.filter, err = db.newFilter(s.GetWhere()); err != nil {
		return nil, err
	}
	if q.orders, err = newOrders(s); err != nil {
		return nil, err
	}
	ways := conjunctions(s.GetWhere())
	if err := db.checkIndex(q, ways); err != nil {
		return nil, err
	}
	db.plan(q, ways)
	if q.start, err = db.newBound(q, s.GetStartAt()); err != nil {
		return nil, err
	}
	if q.end, err = db.newBound(q, s.GetEndAt()); err != nil {
		return nil, err
	}
	if q.nearest, err = newNearest(s.GetFindNearest()); err != nil {
		return nil, err
	}
	q.projection, err = newProjection(s.GetSelect())
	return q, err
}

// from says where a query looks.
func (q *query) from(parent key, selectors []*pb.StructuredQuery_CollectionSelector) error {
	q.prefix = parent.below()
	if len(selectors) == 0 {
		return nil
	}
	if len(selectors) > 1 {
		return invalid("a query looks in one collection, or in all of one id")
	}
	q.group = selectors[0].GetCollectionId()
	if q.group != "" {
		if err := checkID(q.group); err != nil {
			return err
		}
	}
	if selectors[0].GetAllDescendants() {
		return nil
	}
	if q.group == "" {
		return invalid("the collection has no id")
	}
	q.scope = key(q.prefix + q.group)
	q.prefix += q.group + separator
	return nil
}

// covers reports whether a query looks where a document is.
func (q *query) covers(k key) bool {
	switch {
	case q.scope != allCollections:
		return k.parent() == q.scope
	case q.group != "" && k.collection() != q.group:
		return false
	default:
		return strings.HasPrefix(string(k), q.prefix)
	}
}

// newOrders gives the orders that a query says, and those it doesn't need to say: the fields of its inequalities,
// and the name (https://firebase.google.com/docs/firestore/reference/rpc/google.firestore.v1#structuredquery).
func newOrders(s *pb.StructuredQuery) ([]order, error) {
	var orders []order
	desc, named := false, false
	add := func(text string) error {
		path, err := orderPath(text)
		if err != nil || named || slices.ContainsFunc(orders, func(o order) bool { return slices.Equal(o.path, path) }) {
			return err
		}
		named = path == nil // whatever would come after it makes no difference
		orders = append(orders, order{path, desc})
		return nil
	}
	for _, o := range s.GetOrderBy() {
		desc = o.GetDirection() == pb.StructuredQuery_DESCENDING
		if err := add(o.GetField().GetFieldPath()); err != nil {
			return nil, err
		}
	}
	unsaid := slices.DeleteFunc(inequalities(s.GetWhere()), func(text string) bool { return text == nameField })
	slices.Sort(unsaid)
	for _, text := range append(unsaid, nameField) {
		if err := add(text); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

// orderPath reads a field path, of which nil is the name.
func orderPath(text string) ([]string, error) {
	if text == nameField {
		return nil, nil
	}
	return fieldPath(text)
}

// newBound reads a cursor, which may have fewer values than there are orders.
func (db *database) newBound(q *query, cursor *pb.Cursor) (*bound, error) {
	if len(cursor.GetValues()) == 0 {
		return nil, nil
	}
	if len(cursor.GetValues()) > len(q.orders) {
		return nil, invalid("a cursor has %d values for %d orders", len(cursor.GetValues()), len(q.orders))
	}
	b := &bound{before: cursor.GetBefore()}
	var position []byte
	for i, v := range cursor.GetValues() {
		o := q.orders[i]
		if o.path == nil {
			k, err := db.document(v.GetReferenceValue())
			if err != nil {
				return nil, err
			}
			position, _ = o.append(position, k, nil)
			continue
		}
		position = o.direct(position, func(b []byte) []byte { return appendValue(b, v) })
	}
	b.position = string(position)
	return b, nil
}

// newProjection reads a projection, which wants the name alone if it is empty.
func newProjection(s *pb.StructuredQuery_Projection) (mask, error) {
	if s == nil {
		return nil, nil
	}
	paths := make([]string, len(s.GetFields()))
	for i, f := range s.GetFields() {
		paths[i] = f.GetFieldPath()
	}
	return newMask(&pb.DocumentMask{FieldPaths: paths})
}

// side tells whether a position is before (-1), after (1) or between (0) the cursors.
func (q *query) side(position string) int {
	if b := q.start; b != nil {
		c := strings.Compare(position[:min(len(position), len(b.position))], b.position)
		if c < 0 || c == 0 && !b.before {
			return -1
		}
	}
	if b := q.end; b != nil {
		c := strings.Compare(position[:min(len(position), len(b.position))], b.position)
		if c > 0 || c == 0 && b.before {
			return 1
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
