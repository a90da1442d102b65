package firestoretest

import (
	"math"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// newFilter reads a filter; none lets everything through.
func (db *database) newFilter(f *pb.StructuredQuery_Filter) (func(match) bool, error) {
	switch f := f.GetFilterType().(type) {
	case nil:
		return func(match) bool { return true }, nil
	case *pb.StructuredQuery_Filter_CompositeFilter:
		return db.newComposite(f.CompositeFilter)
	case *pb.StructuredQuery_Filter_FieldFilter:
		return db.newFieldFilter(f.FieldFilter)
	case *pb.StructuredQuery_Filter_UnaryFilter:
		return newUnaryFilter(f.UnaryFilter)
	default:
		return nil, invalid("unknown filter %T", f)
	}
}

func (db *database) newComposite(f *pb.StructuredQuery_CompositeFilter) (func(match) bool, error) {
	inner := make([]func(match) bool, len(f.GetFilters()))
	for i, one := range f.GetFilters() {
		var err error
		if inner[i], err = db.newFilter(one); err != nil {
			return nil, err
		}
	}
	switch f.GetOp() {
	case pb.StructuredQuery_CompositeFilter_AND:
		return func(m match) bool {
			return !slices.ContainsFunc(inner, func(holds func(match) bool) bool { return !holds(m) })
		}, nil
	case pb.StructuredQuery_CompositeFilter_OR:
		return func(m match) bool {
			return slices.ContainsFunc(inner, func(holds func(match) bool) bool { return holds(m) })
		}, nil
	default:
		return nil, invalid("unknown composite filter %v", f.GetOp())
	}
}

// newFieldFilter compares a field with a value. A document without the field never matches. Inequalities only hold
// between values of one type, and nothing but a not-in or != has to do with null.
func (db *database) newFieldFilter(f *pb.StructuredQuery_FieldFilter) (func(match) bool, error) {
	path, err := orderPath(f.GetField().GetFieldPath())
	if err != nil {
		return nil, err
	}
	holds, err := operator(f.GetOp(), f.GetValue())
	if err != nil {
		return nil, err
	}
	if path == nil {
		return db.newNameFilter(f.GetValue(), holds)
	}
	return func(m match) bool {
		v, ok := lookup(m.fields, path)
		return ok && holds(v)
	}, nil
}

// newNameFilter compares the name with references.
func (db *database) newNameFilter(operand *pb.Value, holds func(*pb.Value) bool) (func(match) bool, error) {
	operands := []*pb.Value{operand}
	if a, ok := operand.GetValueType().(*pb.Value_ArrayValue); ok {
		operands = a.ArrayValue.GetValues()
	}
	for _, v := range operands {
		if _, err := db.document(v.GetReferenceValue()); err != nil {
			return nil, err
		}
	}
	return func(m match) bool {
		return holds(&pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: db.resource(m.key)}})
	}, nil
}

// operator gives what holds for a field's value. Null and NaN are in no list, and no array is found by them; not-in a
// list with null holds for nothing. (Firestore's other clients test this against the service: "can use IN filters" and
// its neighbours in packages/firestore/test/integration/api/query.test.ts of firebase/firebase-js-sdk.)
func operator(op pb.StructuredQuery_FieldFilter_Operator, operand *pb.Value) (func(*pb.Value) bool, error) {
	operands := operand.GetArrayValue().GetValues()
	ordered := func(holds func(c int) bool) func(*pb.Value) bool {
		return func(v *pb.Value) bool {
			return rank(v) == rank(operand) && holds(compare(v, operand))
		}
	}
	among := func(v *pb.Value) bool { return !isNull(v) && !isNaN(v) && contains(operands, v) }
	switch op {
	case pb.StructuredQuery_FieldFilter_EQUAL:
		return func(v *pb.Value) bool { return equal(v, operand) }, nil
	case pb.StructuredQuery_FieldFilter_NOT_EQUAL:
		return func(v *pb.Value) bool { return !isNull(v) && !equal(v, operand) }, nil
	case pb.StructuredQuery_FieldFilter_LESS_THAN:
		return ordered(func(c int) bool { return c < 0 }), nil
	case pb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL:
		return ordered(func(c int) bool { return c <= 0 }), nil
	case pb.StructuredQuery_FieldFilter_GREATER_THAN:
		return ordered(func(c int) bool { return c > 0 }), nil
	case pb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL:
		return ordered(func(c int) bool { return c >= 0 }), nil
	case pb.StructuredQuery_FieldFilter_IN:
		return among, nil
	case pb.StructuredQuery_FieldFilter_NOT_IN:
		return func(v *pb.Value) bool {
			return !isNull(v) && !contains(operands, v) && !slices.ContainsFunc(operands, isNull)
		}, nil
	case pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS:
		return func(v *pb.Value) bool {
			return !isNull(operand) && !isNaN(operand) && contains(v.GetArrayValue().GetValues(), operand)
		}, nil
	case pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:
		return func(v *pb.Value) bool { return slices.ContainsFunc(v.GetArrayValue().GetValues(), among) }, nil
	default:
		return nil, invalid("unknown operator %v", op)
	}
}

func newUnaryFilter(f *pb.StructuredQuery_UnaryFilter) (func(match) bool, error) {
	path, err := fieldPath(f.GetField().GetFieldPath())
	if err != nil {
		return nil, err
	}
	var holds func(*pb.Value) bool
	switch f.GetOp() {
	case pb.StructuredQuery_UnaryFilter_IS_NULL:
		holds = isNull
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NULL:
		holds = func(v *pb.Value) bool { return !isNull(v) }
	case pb.StructuredQuery_UnaryFilter_IS_NAN:
		holds = isNaN
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NAN:
		holds = func(v *pb.Value) bool { return !isNull(v) && !isNaN(v) }
	default:
		return nil, invalid("unknown operator %v", f.GetOp())
	}
	return func(m match) bool {
		v, ok := lookup(m.fields, path)
		return ok && holds(v)
	}, nil
}

func isNull(v *pb.Value) bool {
	_, ok := v.GetValueType().(*pb.Value_NullValue)
	return ok
}

func isNaN(v *pb.Value) bool {
	d, ok := v.GetValueType().(*pb.Value_DoubleValue)
	return ok && math.IsNaN(d.DoubleValue)
}
