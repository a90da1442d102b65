package firestoretest

import (
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Index is a composite index: what a query needs that orders by one field and wants another equal to something, or
// that orders by several (https://firebase.google.com/docs/firestore/query-data/index-overview#composite_indexes).
type Index struct {
	Collection string       // the id
	Fields     []IndexField // none: it stands for all indexes on the collection
}

// IndexField is a field of an index, by its path. In which order equalities come makes no difference to a query.
type IndexField struct {
	Path       string
	Descending bool
}

// checkIndex refuses a query that needs a composite index that is not there. Indexes are merged where they can be: each
// field that is wanted equal to something must be in one that ends with the query's orders.
func (db *database) checkIndex(q *query, where *pb.StructuredQuery_Filter) error {
	if db.indexes == nil {
		return nil
	}
	orders := q.shape.orders
	sorted := len(orders) - 1 // without the name
	for _, equal := range branches(where) {
		equal = slices.DeleteFunc(equal, func(path string) bool { return ordersBy(orders, path) })
		turned := sorted > 0 && orders[sorted].desc != orders[sorted-1].desc
		if sorted == 0 && !orders[0].desc || sorted == 1 && len(equal) == 0 && !turned {
			continue // indexes on single fields will do
		}
		served := len(equal) == 0 && db.serves(q.group, nil, "", orders)
		for _, path := range equal {
			if served = db.serves(q.group, equal, path, orders); !served {
				break
			}
		}
		if !served {
			return status.Errorf(codes.FailedPrecondition, "The query requires an index on %s: %s",
				q.group, strings.Join(append(equal, texts(orders)...), ", "))
		}
	}
	return nil
}

// branches gives the fields that each disjunct of a filter wants equal to something, or to have some element.
func branches(f *pb.StructuredQuery_Filter) [][]string {
	switch f := f.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_CompositeFilter:
		if f.CompositeFilter.GetOp() == pb.StructuredQuery_CompositeFilter_OR {
			var all [][]string
			for _, inner := range f.CompositeFilter.GetFilters() {
				all = append(all, branches(inner)...)
			}
			return all
		}
		all := [][]string{nil}
		for _, inner := range f.CompositeFilter.GetFilters() {
			var next [][]string
			for _, one := range all {
				for _, other := range branches(inner) {
					next = append(next, slices.Concat(one, other))
				}
			}
			all = next
		}
		return all
	case *pb.StructuredQuery_Filter_FieldFilter:
		switch f.FieldFilter.GetOp() {
		case pb.StructuredQuery_FieldFilter_EQUAL, pb.StructuredQuery_FieldFilter_IN,
			pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS, pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:
			return [][]string{{f.FieldFilter.GetField().GetFieldPath()}}
		}
	case *pb.StructuredQuery_Filter_UnaryFilter:
		switch f.UnaryFilter.GetOp() {
		case pb.StructuredQuery_UnaryFilter_IS_NULL, pb.StructuredQuery_UnaryFilter_IS_NAN:
			return [][]string{{f.UnaryFilter.GetField().GetFieldPath()}}
		}
	}
	return [][]string{nil}
}

// ordersBy reports whether a path is among the orders; the name always is.
func ordersBy(orders []order, path string) bool {
	return slices.ContainsFunc(texts(orders), func(text string) bool { return strings.TrimSuffix(text, " desc") == path })
}

// serves reports whether there is an index of a collection that has a path, if it is not "", other paths only among
// equal, and then the orders.
func (db *database) serves(collection string, equal []string, path string, orders []order) bool {
	return slices.ContainsFunc(db.indexes, func(x Index) bool {
		if x.Collection != collection || len(x.Fields) == 0 {
			return x.Collection == collection
		}
		have := x.texts()
		before := len(have) - len(orders)
		if before < 0 || !slices.Equal(have[before:], texts(orders)) {
			return false
		}
		for _, f := range x.Fields[:before] {
			if !slices.Contains(equal, f.Path) {
				return false
			}
		}
		return path == "" || slices.ContainsFunc(x.Fields[:before], func(f IndexField) bool { return f.Path == path })
	})
}

// texts writes an index as its fields are ordered, the name, which goes with the last, included.
func (x Index) texts() []string {
	var all []string
	for _, f := range x.Fields {
		all = append(all, text(f.Path, f.Descending))
	}
	if last := x.Fields[len(x.Fields)-1]; last.Path != nameField {
		all = append(all, text(nameField, last.Descending))
	}
	return all
}

func texts(orders []order) []string {
	var all []string
	for _, o := range orders {
		all = append(all, text(o.text(), o.desc))
	}
	return all
}

func text(path string, desc bool) string {
	if desc {
		return path + " desc"
	}
	return path
}

// text is the order's field path as a query says it.
func (o order) text() string {
	if o.path == nil {
		return nameField
	}
	return joinPath(o.path)
}
