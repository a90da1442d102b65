package firestoretest

import (
	"math"
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// comparison is a condition on one field: its value is equal to another, or has it for an element, or comes before or
// after it.
type comparison struct {
	path  []string // nil: the name
	op    pb.StructuredQuery_FieldFilter_Operator
	value *pb.Value
}

var notANumber = doubleValue(math.NaN())

// conjunctions are the ways to satisfy a filter: conditions that hold together. What is equal to one of several values
// is so in several ways. At most maxDisjunctions come of a filter that is held to the rules.
func conjunctions(f *pb.StructuredQuery_Filter) [][]comparison {
	switch f := f.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_CompositeFilter:
		return composite(f.CompositeFilter)
	case *pb.StructuredQuery_Filter_FieldFilter:
		path, _ := orderPath(f.FieldFilter.GetField().GetFieldPath()) // newFilter has read it
		op, value := f.FieldFilter.GetOp(), f.FieldFilter.GetValue()
		switch op {
		case pb.StructuredQuery_FieldFilter_IN:
			return each(path, pb.StructuredQuery_FieldFilter_EQUAL, value)
		case pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:
			return each(path, pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS, value)
		default:
			return [][]comparison{{{path, op, value}}}
		}
	case *pb.StructuredQuery_Filter_UnaryFilter:
		path, _ := orderPath(f.UnaryFilter.GetField().GetFieldPath()) // likewise
		switch f.UnaryFilter.GetOp() {
		case pb.StructuredQuery_UnaryFilter_IS_NULL:
			return [][]comparison{{{path, pb.StructuredQuery_FieldFilter_EQUAL, null}}}
		case pb.StructuredQuery_UnaryFilter_IS_NAN:
			return [][]comparison{{{path, pb.StructuredQuery_FieldFilter_EQUAL, notANumber}}}
		}
	}
	return [][]comparison{nil}
}

func composite(f *pb.StructuredQuery_CompositeFilter) [][]comparison {
	var all [][]comparison
	if f.GetOp() == pb.StructuredQuery_CompositeFilter_OR {
		for _, inner := range f.GetFilters() {
			all = append(all, conjunctions(inner)...)
		}
		return all
	}
	all = [][]comparison{nil}
	for _, inner := range f.GetFilters() {
		var next [][]comparison
		for _, one := range all {
			for _, other := range conjunctions(inner) {
				next = append(next, slices.Concat(one, other))
			}
		}
		all = next
	}
	return all
}

func each(path []string, op pb.StructuredQuery_FieldFilter_Operator, values *pb.Value) [][]comparison {
	var all [][]comparison
	for _, v := range values.GetArrayValue().GetValues() {
		all = append(all, []comparison{{path, op, v}})
	}
	return all
}

// part is what a query finds in one way. It lies together in an index, or among the documents by name.
type part struct {
	only         *key   // nothing but this document; nil: any
	index        *shape // of the index that it would like; nil: the documents by name will do
	equal        string // encoding of what comes in the index before what the query orders by
	inequalities []comparison
}

// plan makes the parts of a query, for each of the conjunctions of its filter.
func (db *database) plan(q *query, ways [][]comparison) {
	for _, way := range ways {
		var p part
		var equal []comparison
		s := shape{orders: q.orders}
		var b []byte
		for _, c := range way {
			switch {
			case c.op == pb.StructuredQuery_FieldFilter_EQUAL && c.path == nil:
				k, _ := db.document(c.value.GetReferenceValue()) // newFilter has read it
				p.only = &k
			case c.op == pb.StructuredQuery_FieldFilter_EQUAL:
				equal = append(equal, c)
			case c.op == pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS && c.path != nil && s.array == nil:
				s.array = c.path
				b = appendValue(b, c.value)
			default:
				p.inequalities = append(p.inequalities, c)
			}
		}
		slices.SortStableFunc(equal, func(a, b comparison) int { return slices.Compare(a.path, b.path) })
		for _, c := range equal {
			s.equal = append(s.equal, c.path)
			b = appendValue(b, c.value)
		}
		p.equal = string(b)
		if p.only == nil && (s.array != nil || len(s.equal) > 0 || q.orders[0].path != nil) {
			p.index = &s
		}
		q.parts = append(q.parts, p)
	}
	everywhere := func(p part) bool { return p.only == nil && p.index == nil && len(p.inequalities) == 0 }
	if i := slices.IndexFunc(q.parts, everywhere); i >= 0 {
		q.parts = q.parts[i : i+1] // it has the others in it
	}
}

// bounds are the least position at which a part of a query may find something, and what positions at which it does
// begin with or come before.
func (p part) bounds(q *query) (from, through string) {
	low, high := p.ranges(q.orders[0])
	if q.start != nil {
		low = max(low, q.start.position)
	}
	return p.equal + low, p.equal + high
}

// ranges are the bounds that inequalities set to the first field that a query orders by.
func (p part) ranges(first order) (low, high string) {
	for _, f := range p.inequalities {
		if !slices.Equal(f.path, first.path) || (f.path == nil) != (first.path == nil) {
			continue
		}
		value, kind := string(appendValue(nil, f.value)), string([]byte{byte(rank(f.value))})
		if f.path == nil {
			_, name, _ := strings.Cut(f.value.GetReferenceValue(), documents+"/")
			value, kind = string(appendString(nil, strings.ReplaceAll(name, "/", separator))), ""
		}
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

// least is the lesser of two upper bounds, of which "" is none.
func least(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

// beyond reports whether a position comes after a bound and doesn't begin with it; nothing is beyond none.
func beyond(position, bound string) bool {
	return position[:min(len(position), len(bound))] > bound
}
