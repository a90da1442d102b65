package firestoretest

import (
	"math"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Limits of https://firebase.google.com/docs/firestore/quotas#limits, in bytes where they are sizes.
const (
	maxDocument   = 1 << 20
	maxRequest    = 10 << 20
	maxID         = 1500
	maxName       = 6 << 10
	maxFieldName  = 1500
	maxDepth      = 20  // of maps and arrays
	maxPath       = 200 // segments of a document's path: 100 collections deep
	maxTransforms = 500 // of one document in a commit
	maxBatch      = 500 // writes of a BatchWrite
	maxVector     = 2048
	maxEntries    = 40_000 // of indexes, of one document
)

// checkFields holds a document to the rules for field names, values and size, and brings values into the form in
// which Firestore keeps them: times in whole microseconds.
func checkFields(k key, f fields) error {
	if err := checkMap(f, 1); err != nil {
		return err
	}
	if size := documentSize(k, f); size > maxDocument {
		return invalid("the document %q has %d bytes, over the limit of %d", k, size, maxDocument)
	}
	if n := entriesOf(f); n > maxEntries {
		return invalid("too many index entries for the document %q: %d, over the limit of %d", k, n, maxEntries)
	}
	return nil
}

// entriesOf is how many entries a document has in the indexes that Firestore makes by itself: of each field one ascending
// and one descending, of those in a map likewise, and of an array one for each element
// (https://firebase.google.com/docs/firestore/query-data/index-overview#automatic_indexing).
func entriesOf(f fields) int {
	n := 0
	for _, v := range f {
		switch t := v.GetValueType().(type) {
		case *pb.Value_MapValue:
			if _, ok := vectorOf(v); !ok {
				n += entriesOf(t.MapValue.GetFields())
			}
		case *pb.Value_ArrayValue:
			elements := make(map[string]bool)
			for _, element := range t.ArrayValue.GetValues() {
				elements[string(appendValue(nil, element))] = true
			}
			n += len(elements)
		default:
			n += 2
		}
	}
	return n
}

func checkMap(f fields, depth int) error {
	for name, v := range f {
		switch {
		case name == "":
			return invalid("a field name is empty")
		case len(name) > maxFieldName:
			return invalid("a field name of %d bytes is over the limit of %d", len(name), maxFieldName)
		case reserved(name):
			return invalid("the field name %q is reserved", name)
		}
		if err := checkValue(v, depth); err != nil {
			return err
		}
	}
	return nil
}

func reserved(name string) bool {
	return len(name) >= 4 && strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__")
}

func checkValue(v *pb.Value, depth int) error {
	if depth > maxDepth {
		return invalid("values are nested more than %d deep", maxDepth)
	}
	switch t := v.GetValueType().(type) {
	case *pb.Value_MapValue:
		if vector, ok := vectorOf(v); ok {
			return checkVector(vector)
		}
		return checkMap(t.MapValue.GetFields(), depth+1)
	case *pb.Value_ArrayValue:
		return checkArray(t.ArrayValue.GetValues(), depth)
	case *pb.Value_TimestampValue:
		return checkTime(t.TimestampValue)
	case *pb.Value_GeoPointValue:
		latitude, longitude := t.GeoPointValue.GetLatitude(), t.GeoPointValue.GetLongitude()
		if !(math.Abs(latitude) <= 90 && math.Abs(longitude) <= 180) { // NaN is not
			return invalid("%v, %v is no point on Earth", latitude, longitude)
		}
	case *pb.Value_ReferenceValue:
		name, err := databaseOf(t.ReferenceValue)
		if err == nil {
			_, err = (&database{name: name}).document(t.ReferenceValue)
		}
		return err
	case *pb.Value_NullValue, *pb.Value_BooleanValue, *pb.Value_IntegerValue, *pb.Value_DoubleValue,
		*pb.Value_StringValue, *pb.Value_BytesValue:
	default:
		return invalid("a value has no type, or one that can't be stored: %T", t)
	}
	return nil
}

func checkArray(values []*pb.Value, depth int) error {
	for _, v := range values {
		if _, nested := v.GetValueType().(*pb.Value_ArrayValue); nested {
			return invalid("an array can't be right inside an array")
		}
		if err := checkValue(v, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkVector(values []*pb.Value) error {
	if len(values) == 0 || len(values) > maxVector {
		return invalid("a vector has 1 to %d dimensions, not %d", maxVector, len(values))
	}
	for _, v := range values {
		if _, ok := v.GetValueType().(*pb.Value_DoubleValue); !ok {
			return invalid("a vector has doubles, not %T", v.GetValueType())
		}
	}
	return nil
}

// checkTime rounds a time down to microseconds, in place.
func checkTime(t *timestamppb.Timestamp) error {
	if err := t.CheckValid(); err != nil {
		return invalid("%v", err)
	}
	if finer := t.GetNanos() % 1000; finer != 0 { // a stored time is not written to: others read it
		t.Nanos -= finer
	}
	return nil
}

// documentSize is what a document takes, in bytes, as told in
// https://firebase.google.com/docs/firestore/storage-size#document-size.
func documentSize(k key, f fields) int {
	return nameSize(string(k), separator) + mapSize(f) + 32
}

func nameSize(name, separator string) int {
	return 16 + len(name) + 1 + strings.Count(name, separator)*(1-len(separator))
}

func mapSize(f fields) int {
	size := 0
	for name, v := range f {
		size += len(name) + 1 + valueSize(v)
	}
	return size
}

func valueSize(v *pb.Value) int {
	switch t := v.GetValueType().(type) {
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue, *pb.Value_TimestampValue:
		return 8
	case *pb.Value_GeoPointValue:
		return 16
	case *pb.Value_StringValue:
		return len(t.StringValue) + 1
	case *pb.Value_BytesValue:
		return len(t.BytesValue)
	case *pb.Value_ReferenceValue:
		_, name, _ := strings.Cut(t.ReferenceValue, documents+"/")
		return nameSize(name, "/")
	case *pb.Value_ArrayValue:
		size := 0
		for _, element := range t.ArrayValue.GetValues() {
			size += valueSize(element)
		}
		return size
	case *pb.Value_MapValue:
		return mapSize(t.MapValue.GetFields()) + 32
	default: // null and booleans
		return 1
	}
}
