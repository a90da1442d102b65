package firestoretest

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"
)

// rank is the place of a value's type in the order of types
// (https://firebase.google.com/docs/firestore/manage-data/data-types#value_type_ordering).
func rank(v *pb.Value) int {
	switch v.GetValueType().(type) {
	case *pb.Value_NullValue:
		return 1
	case *pb.Value_BooleanValue:
		return 2
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return 3
	case *pb.Value_TimestampValue:
		return 4
	case *pb.Value_StringValue:
		return 5
	case *pb.Value_BytesValue:
		return 6
	case *pb.Value_ReferenceValue:
		return 7
	case *pb.Value_GeoPointValue:
		return 8
	case *pb.Value_ArrayValue:
		return 9
	case *pb.Value_MapValue:
		if _, ok := vectorOf(v); ok {
			return 10
		}
		return 11
	default:
		return 0
	}
}

// compare orders any two values.
func compare(a, b *pb.Value) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a.GetValueType().(type) {
	case *pb.Value_BooleanValue:
		return cmp.Compare(bit(a.GetBooleanValue()), bit(b.GetBooleanValue()))
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return compareNumbers(a, b)
	case *pb.Value_TimestampValue:
		return a.GetTimestampValue().AsTime().Compare(b.GetTimestampValue().AsTime())
	case *pb.Value_StringValue:
		return strings.Compare(a.GetStringValue(), b.GetStringValue())
	case *pb.Value_BytesValue:
		return bytes.Compare(a.GetBytesValue(), b.GetBytesValue())
	case *pb.Value_ReferenceValue:
		return compareReferences(a.GetReferenceValue(), b.GetReferenceValue())
	case *pb.Value_GeoPointValue:
		p, q := a.GetGeoPointValue(), b.GetGeoPointValue()
		return cmp.Or(cmp.Compare(p.GetLatitude(), q.GetLatitude()), cmp.Compare(p.GetLongitude(), q.GetLongitude()))
	case *pb.Value_ArrayValue:
		return slices.CompareFunc(a.GetArrayValue().GetValues(), b.GetArrayValue().GetValues(), compare)
	case *pb.Value_MapValue:
		if v, ok := vectorOf(a); ok {
			w, _ := vectorOf(b)
			return cmp.Or(cmp.Compare(len(v), len(w)), slices.CompareFunc(v, w, compare))
		}
		return compareMaps(a.GetMapValue().GetFields(), b.GetMapValue().GetFields())
	default:
		return 0
	}
}

// compareReferences compares segment by segment, which is to say that a slash comes before anything else.
func compareReferences(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// vectorOf gives the elements of a vector, which goes over the wire as a map
// (https://firebase.google.com/docs/firestore/vector-search).
func vectorOf(v *pb.Value) ([]*pb.Value, bool) {
	f := v.GetMapValue().GetFields()
	if len(f) != 2 || f["__type__"].GetStringValue() != "__vector__" {
		return nil, false
	}
	elements, ok := f["value"].GetValueType().(*pb.Value_ArrayValue)
	return elements.ArrayValue.GetValues(), ok
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// compareNumbers orders integers and doubles as one line of numbers, with NaN before all.
func compareNumbers(a, b *pb.Value) int {
	x, xInteger := a.GetValueType().(*pb.Value_IntegerValue)
	y, yInteger := b.GetValueType().(*pb.Value_IntegerValue)
	switch {
	case xInteger && yInteger:
		return cmp.Compare(x.IntegerValue, y.IntegerValue)
	case xInteger:
		return -compareDouble(b.GetDoubleValue(), x.IntegerValue)
	case yInteger:
		return compareDouble(a.GetDoubleValue(), y.IntegerValue)
	default:
		return cmp.Compare(a.GetDoubleValue(), b.GetDoubleValue()) // NaN first, and -0 is 0
	}
}

// compareDouble compares without rounding: not every int64 is a double.
func compareDouble(d float64, n int64) int {
	switch {
	case math.IsNaN(d) || math.IsInf(d, -1):
		return -1
	case math.IsInf(d, 1):
		return 1
	}
	return big.NewFloat(d).Cmp(new(big.Float).SetInt64(n))
}

// compareMaps orders by the first key that differs, then by its value, then by length.
func compareMaps(a, b fields) int {
	aKeys, bKeys := slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))
	for i := range min(len(aKeys), len(bKeys)) {
		if c := cmp.Or(strings.Compare(aKeys[i], bKeys[i]), compare(a[aKeys[i]], b[bKeys[i]])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(aKeys), len(bKeys))
}

// equal is the equality of queries and array transforms: 1 equals 1.0.
func equal(a, b *pb.Value) bool { return compare(a, b) == 0 }

// same reports whether a document has not changed: there, 1 and 1.0 differ.
func same(a, b fields) bool {
	return proto.Equal(&pb.MapValue{Fields: a}, &pb.MapValue{Fields: b})
}

// lookup finds the value at a field path.
func lookup(f fields, path []string) (*pb.Value, bool) {
	v, ok := f[path[0]]
	if !ok || len(path) == 1 {
		return v, ok
	}
	return lookup(v.GetMapValue().GetFields(), path[1:])
}

// set gives a copy of f with a value at a path, or with nothing there where v is nil. What lies on the way and is
// no map becomes one; f itself is not changed.
func set(f fields, path []string, v *pb.Value) fields {
	copied := maps.Clone(f)
	if copied == nil {
		copied = fields{}
	}
	if len(path) == 1 {
		if v == nil {
			delete(copied, path[0])
		} else {
			copied[path[0]] = v
		}
		return copied
	}
	inner := copied[path[0]].GetMapValue()
	if inner == nil && v == nil {
		return copied
	}
	copied[path[0]] = &pb.Value{ValueType: &pb.Value_MapValue{
		MapValue: &pb.MapValue{Fields: set(inner.GetFields(), path[1:], v)},
	}}
	return copied
}
