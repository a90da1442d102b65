package firestoretest

import (
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// Limits of queries (https://firebase.google.com/docs/firestore/query-data/queries#query_limitations).
const (
	maxDisjunctions = 30 // of a filter in disjunctive normal form
	maxNotIn        = 10
	maxAggregations = 5
	maxNeighbours   = 1000
	maxInequalities = 10 // fields that are compared by order
)

// checkQuery holds a query's filter, and the order that goes with it, to the rules.
func checkQuery(s *pb.StructuredQuery) error {
	if err := checkFilter(s.GetWhere()); err != nil {
		return err
	}
	compared := inequalities(s.GetWhere())
	slices.Sort(compared)
	if n := len(slices.Compact(compared)); n > maxInequalities {
		return invalid("%d fields are compared by range or inequality, over the limit of %d", n, maxInequalities)
	}
	return checkNegation(s)
}

// checkNegation refuses an order in which the field of !=, not-in, is not null or is not NaN is not the first, as the API
// documents. It does so for < and its like as well, and the service has dropped it there
// (https://firebase.google.com/docs/firestore/query-data/multiple-range-fields).
func checkNegation(s *pb.StructuredQuery) error {
	field := negated(s.GetWhere())
	if field == "" || len(s.GetOrderBy()) == 0 {
		return nil
	}
	if first := s.GetOrderBy()[0].GetField().GetFieldPath(); first != field {
		return invalid("%q is filtered by a negation, so it comes first in the order, and not %q", field, first)
	}
	return nil
}

// negated is the field of the only negation in a filter; "": there is none.
func negated(f *pb.StructuredQuery_Filter) string {
	switch f := f.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_CompositeFilter:
		for _, inner := range f.CompositeFilter.GetFilters() {
			if field := negated(inner); field != "" {
				return field
			}
		}
	case *pb.StructuredQuery_Filter_FieldFilter:
		switch f.FieldFilter.GetOp() {
		case pb.StructuredQuery_FieldFilter_NOT_EQUAL, pb.StructuredQuery_FieldFilter_NOT_IN:
			return f.FieldFilter.GetField().GetFieldPath()
		}
	case *pb.StructuredQuery_Filter_UnaryFilter:
		if slices.Contains(negations, f.UnaryFilter.GetOp()) {
			return f.UnaryFilter.GetField().GetFieldPath()
		}
	}
	return ""
}

// negations are those of one operand.
var negations = []pb.StructuredQuery_UnaryFilter_Operator{
	pb.StructuredQuery_UnaryFilter_IS_NOT_NAN, pb.StructuredQuery_UnaryFilter_IS_NOT_NULL,
}

// traits are what the rules for filters ask about.
type traits struct {
	disjunctions int
	arrays       int // array-contains and array-contains-any in one disjunction
	negations    int // !=, not-in, and their like
	notIn, or    bool
}

// checkFilter holds a filter to the rules.
func checkFilter(f *pb.StructuredQuery_Filter) error {
	if f == nil {
		return nil
	}
	t, err := traitsOf(f)
	switch {
	case err != nil:
		return err
	case t.disjunctions > maxDisjunctions:
		return invalid("the filter comes to %d disjunctions, over the limit of %d", t.disjunctions, maxDisjunctions)
	case t.arrays > 1:
		return invalid("array-contains and array-contains-any can't be said twice in a disjunction")
	case t.negations > 1:
		return invalid("of !=, not-in, is not null and is not NaN there can be only one")
	case t.notIn && t.or:
		return invalid("not-in can't be together with or, in or array-contains-any")
	}
	return nil
}

func traitsOf(f *pb.StructuredQuery_Filter) (traits, error) {
	switch f := f.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_CompositeFilter:
		return compositeTraits(f.CompositeFilter)
	case *pb.StructuredQuery_Filter_FieldFilter:
		return fieldTraits(f.FieldFilter)
	case *pb.StructuredQuery_Filter_UnaryFilter:
		if slices.Contains(negations, f.UnaryFilter.GetOp()) {
			return traits{disjunctions: 1, negations: 1}, nil
		}
	}
	return traits{disjunctions: 1}, nil
}

func compositeTraits(f *pb.StructuredQuery_CompositeFilter) (traits, error) {
	if len(f.GetFilters()) == 0 {
		return traits{}, invalid("a composite filter is empty")
	}
	and := f.GetOp() == pb.StructuredQuery_CompositeFilter_AND
	all := traits{or: !and && len(f.GetFilters()) > 1}
	if and {
		all.disjunctions = 1
	}
	for _, inner := range f.GetFilters() {
		t, err := traitsOf(inner)
		if err != nil {
			return traits{}, err
		}
		all.negations += t.negations
		all.notIn, all.or = all.notIn || t.notIn, all.or || t.or
		if and {
			all.disjunctions = min(all.disjunctions*t.disjunctions, maxDisjunctions+1) // it must not overflow
			all.arrays += t.arrays
		} else {
			all.disjunctions += t.disjunctions
			all.arrays = max(all.arrays, t.arrays)
		}
	}
	return all, nil
}

func fieldTraits(f *pb.StructuredQuery_FieldFilter) (traits, error) {
	t := traits{disjunctions: 1}
	operands := len(f.GetValue().GetArrayValue().GetValues())
	switch f.GetOp() {
	case pb.StructuredQuery_FieldFilter_IN, pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:
		t.disjunctions, t.or = operands, true
	case pb.StructuredQuery_FieldFilter_NOT_IN:
		t.notIn, t.negations = true, 1
		if operands > maxNotIn {
			return t, invalid("not-in takes %d values at most, not %d", maxNotIn, operands)
		}
	case pb.StructuredQuery_FieldFilter_NOT_EQUAL:
		t.negations = 1
	case pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS:
		t.arrays = 1
	}
	if f.GetOp() == pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY {
		t.arrays = 1
	}
	if operands == 0 && (t.or || t.notIn) {
		return t, invalid("%v wants an array that is not empty", f.GetOp())
	}
	return t, nil
}
