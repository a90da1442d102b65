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
func (db *database) checkIndex(q *query, ways [][]comparison) error {
	if db.indexes == nil {
		return nil
	}
	orders := q.orders
	sorted := len(orders) - 1 // without the name
	for _, way := range ways {
		equal := slices.DeleteFunc(wantedEqual(way), func(path string) bool { return ordersBy(orders, path) })
		turned := sorted > 0 && orders[sorted].desc != orders[sorted-1].desc
		named := sorted == 0 && (len(equal) > 0 || !orders[0].desc) // names alone are indexed in one direction
		if named || sorted == 1 && len(equal) == 0 && !turned {
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

// wantedEqual gives the fields that conditions want equal to something, or to have some element.
func wantedEqual(conditions []comparison) []string {
	var paths []string
	for _, c := range conditions {
		switch c.op {
		case pb.StructuredQuery_FieldFilter_EQUAL, pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS:
			paths = append(paths, order{path: c.path}.text())
		}
	}
	return paths
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
