package firestoretest

import (
	"math"
	"slices"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// transform applies field transforms one after the other and gives their results.
func transform(f fields, transforms []*pb.DocumentTransform_FieldTransform, now time.Time) (fields, []*pb.Value, error) {
	results := make([]*pb.Value, len(transforms))
	for i, t := range transforms {
		path, err := fieldPath(t.GetFieldPath())
		if err != nil {
			return nil, nil, err
		}
		old, _ := lookup(f, path)
		var value *pb.Value
		if value, results[i], err = apply(t, old, now); err != nil {
			return nil, nil, err
		}
		f = set(f, path, value)
	}
	return f, results, nil
}

var null = &pb.Value{ValueType: &pb.Value_NullValue{}}

// apply gives the field's new value and what the client is told.
func apply(t *pb.DocumentTransform_FieldTransform, old *pb.Value, now time.Time) (value, result *pb.Value, err error) {
	switch t := t.GetTransformType().(type) {
	case *pb.DocumentTransform_FieldTransform_SetToServerValue:
		if t.SetToServerValue != pb.DocumentTransform_FieldTransform_REQUEST_TIME {
			return nil, nil, invalid("unknown server value %v", t.SetToServerValue)
		}
		value = &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: timestamppb.New(now)}}
		return value, value, nil
	case *pb.DocumentTransform_FieldTransform_Increment:
		value, err = number(old, t.Increment, sum)
		return value, value, err
	case *pb.DocumentTransform_FieldTransform_Maximum:
		value, err = number(old, t.Maximum, func(a, b *pb.Value) *pb.Value { return extreme(a, b, 1) })
		return value, value, err
	case *pb.DocumentTransform_FieldTransform_Minimum:
		value, err = number(old, t.Minimum, func(a, b *pb.Value) *pb.Value { return extreme(a, b, -1) })
		return value, value, err
	case *pb.DocumentTransform_FieldTransform_AppendMissingElements:
		kept := slices.Clone(old.GetArrayValue().GetValues())
		for _, v := range t.AppendMissingElements.GetValues() {
			if !contains(kept, v) {
				kept = append(kept, v)
			}
		}
		return array(kept), null, nil
	case *pb.DocumentTransform_FieldTransform_RemoveAllFromArray:
		kept := slices.DeleteFunc(slices.Clone(old.GetArrayValue().GetValues()), func(v *pb.Value) bool {
			return contains(t.RemoveAllFromArray.GetValues(), v)
		})
		return array(kept), null, nil
	default:
		return nil, nil, invalid("unknown transform %T", t)
	}
}

func contains(values []*pb.Value, v *pb.Value) bool {
	return slices.ContainsFunc(values, func(w *pb.Value) bool { return equal(v, w) })
}

func array(values []*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: values}}}
}

const numbers = 3 // the rank of numbers

// number combines a field with an operand; a field that is no number becomes the operand.
func number(old, operand *pb.Value, combine func(a, b *pb.Value) *pb.Value) (*pb.Value, error) {
	if rank(operand) != numbers {
		return nil, invalid("the operand of a numeric transform is no number")
	}
	if rank(old) != numbers {
		return operand, nil
	}
	return combine(old, operand), nil
}

// sum of two integers is an integer that doesn't wrap around; any other sum is a double.
func sum(a, b *pb.Value) *pb.Value {
	x, xInteger := a.GetValueType().(*pb.Value_IntegerValue)
	y, yInteger := b.GetValueType().(*pb.Value_IntegerValue)
	if !xInteger || !yInteger {
		return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: double(a) + double(b)}}
	}
	total := x.IntegerValue + y.IntegerValue
	switch {
	case x.IntegerValue > 0 && y.IntegerValue > 0 && total < 0:
		total = math.MaxInt64
	case x.IntegerValue < 0 && y.IntegerValue < 0 && total >= 0:
		total = math.MinInt64
	}
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: total}}
}

func double(v *pb.Value) float64 {
	if n, ok := v.GetValueType().(*pb.Value_IntegerValue); ok {
		return float64(n.IntegerValue)
	}
	return v.GetDoubleValue()
}

// extreme keeps the field where the two are equal: 0 and 0.0 are. Of a number and NaN it is NaN, whichever is asked for
// (google/firestore/v1/write.proto, FieldTransform).
func extreme(a, b *pb.Value, sign int) *pb.Value {
	if math.IsNaN(double(a)) {
		return a
	}
	if math.IsNaN(double(b)) {
		return b
	}
	if compareNumbers(b, a)*sign > 0 {
		return b
	}
	return a
}
