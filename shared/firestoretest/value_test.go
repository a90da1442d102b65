package firestoretest

import (
	"bytes"
	"cmp"
	"math"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func reference(name string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: name}}
}

func vector(elements ...*pb.Value) *pb.Value {
	return mapValue(fields{"__type__": stringValue("__vector__"), "value": array(elements)})
}

// ordered are values from the least to the greatest, as
// https://firebase.google.com/docs/firestore/manage-data/data-types#value_type_ordering has them.
func ordered() []*pb.Value {
	boolean := func(b bool) *pb.Value { return &pb.Value{ValueType: &pb.Value_BooleanValue{BooleanValue: b}} }
	at := func(seconds int64, nanos int32) *pb.Value {
		return &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}}}
	}
	binary := func(b ...byte) *pb.Value { return &pb.Value{ValueType: &pb.Value_BytesValue{BytesValue: b}} }
	point := func(latitude, longitude float64) *pb.Value {
		return &pb.Value{ValueType: &pb.Value_GeoPointValue{GeoPointValue: &latlng.LatLng{Latitude: latitude, Longitude: longitude}}}
	}
	list := func(elements ...*pb.Value) *pb.Value { return array(elements) }
	one := integer(1)
	return []*pb.Value{
		null, boolean(false), boolean(true),
		doubleValue(math.NaN()), doubleValue(math.Inf(-1)), doubleValue(-math.MaxFloat64), integer(math.MinInt64),
		integer(math.MinInt64 + 1), doubleValue(-1.5), integer(-1), doubleValue(-math.SmallestNonzeroFloat64), integer(0),
		doubleValue(math.SmallestNonzeroFloat64), doubleValue(0.5), one, doubleValue(1 << 53), integer(1<<53 + 1),
		doubleValue(1<<53 + 2), integer(math.MaxInt64 - 1), integer(math.MaxInt64), doubleValue(1 << 63), doubleValue(math.Inf(1)),
		at(-1, 0), at(1, 0), at(1, 1000), at(2, 0),
		stringValue(""), stringValue("\x00"), stringValue("\x00a"), stringValue("a"), stringValue("a\x00"), stringValue("ab"),
		stringValue("\uffee"), stringValue("\U0001F600"),
		binary(), binary(0), binary(0, 0xFF), binary(1), binary(0xFF),
		reference("p/a"), reference("p/a/b"), reference("p/a!/b"),
		point(-90, 0), point(1, 5), point(2, 0), point(2, 0.5),
		list(), list(null), list(one, integer(5)), list(one, integer(5), null), list(integer(2)), list(list(one)),
		vector(doubleValue(9)), vector(one, one), vector(one, doubleValue(2)),
		mapValue(nil), mapValue(fields{"a": one}), mapValue(fields{"a": one, "b": integer(9)}), mapValue(fields{"a": integer(2)}),
		mapValue(fields{"b": integer(0)}),
	}
}

func TestOrderOfValues(t *testing.T) {
	all := ordered()
	for i, a := range all {
		for j, b := range all {
			if got, want := compare(a, b), cmp.Compare(i, j); got != want {
				t.Errorf("compare(%v, %v): got %d, want %d", a, b, got, want)
			}
			if got, want := bytes.Compare(appendValue(nil, a), appendValue(nil, b)), cmp.Compare(i, j); got != want {
				t.Errorf("encodings of %v and %v: got %d, want %d", a, b, got, want)
			}
		}
	}
	for _, same := range [][2]*pb.Value{
		{integer(1), doubleValue(1)}, {doubleValue(0), doubleValue(math.Copysign(0, -1))}, {integer(1 << 60), doubleValue(1 << 60)},
		{doubleValue(math.NaN()), doubleValue(-math.NaN())},
	} {
		if compare(same[0], same[1]) != 0 || !bytes.Equal(appendValue(nil, same[0]), appendValue(nil, same[1])) {
			t.Errorf("%v and %v are not one", same[0], same[1])
		}
	}
}

// The example of https://firebase.google.com/docs/firestore/storage-size#document-size.
func TestDocumentSize(t *testing.T) {
	f := fields{"type": stringValue("Personal"), "done": {ValueType: &pb.Value_BooleanValue{}}, "priority": integer(1), "description": stringValue("Learn Cloud Firestore")}
	if got := documentSize("users\x00jeff\x00tasks\x00my_task_id", f); got != 147 {
		t.Errorf("got %d bytes, want 147", got)
	}
}
