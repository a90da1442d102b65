package firestoretest

import (
	"encoding/binary"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// appendValue appends an encoding of v whose bytes sort as [compare] sorts values, of which none is the beginning of
// another, and which never begins with 0x00 or 0xFF. Positions in indexes are made of such encodings, one after
// the other.
func appendValue(b []byte, v *pb.Value) []byte {
	b = append(b, byte(rank(v)))
	switch t := v.GetValueType().(type) {
	case *pb.Value_BooleanValue:
		return append(b, byte(bit(t.BooleanValue)))
	case *pb.Value_IntegerValue:
		return appendInteger(b, t.IntegerValue)
	case *pb.Value_DoubleValue:
		return append(appendDouble(b, t.DoubleValue), 0, 0)
	case *pb.Value_TimestampValue:
		b = binary.BigEndian.AppendUint64(b, uint64(t.TimestampValue.GetSeconds())^1<<63) //nolint:gosec // bits, not a number
		return binary.BigEndian.AppendUint32(b, uint32(t.TimestampValue.GetNanos()))      //nolint:gosec // never negative
	case *pb.Value_StringValue:
		return appendString(b, t.StringValue)
	case *pb.Value_BytesValue:
		return appendString(b, string(t.BytesValue))
	case *pb.Value_ReferenceValue:
		return appendString(b, strings.ReplaceAll(t.ReferenceValue, "/", separator))
	case *pb.Value_GeoPointValue:
		return appendDouble(appendDouble(b, t.GeoPointValue.GetLatitude()), t.GeoPointValue.GetLongitude())
	case *pb.Value_ArrayValue:
		return appendArray(b, t.ArrayValue.GetValues())
	case *pb.Value_MapValue:
		if vector, ok := vectorOf(v); ok {
			return appendArray(binary.BigEndian.AppendUint32(b, uint32(len(vector))), vector) //nolint:gosec // at most 2048
		}
		return appendMap(b, t.MapValue.GetFields())
	default:
		return b
	}
}

// end comes after the last element of an array or map; it sorts before the rank of any element.
const end = 0

func appendArray(b []byte, values []*pb.Value) []byte {
	for _, v := range values {
		b = appendValue(b, v)
	}
	return append(b, end)
}

func appendMap(b []byte, f fields) []byte {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		b = appendString(append(b, end+1), name)
		b = appendValue(b, f[name])
	}
	return append(b, end)
}

// appendString ends a string with 0x00 0x01 and writes a NUL inside it as 0x00 0xFF.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		b = append(b, s[i])
		if s[i] == 0 {
			b = append(b, 0xFF)
		}
	}
	return append(b, 0, 1)
}

// appendDouble encodes NaN as the least; -0 is 0.
func appendDouble(b []byte, d float64) []byte {
	image := math.Float64bits(d + 0) // -0 + 0 is 0
	switch {
	case math.IsNaN(d):
		image = 0
	case image>>63 == 1:
		image = ^image
	default:
		image |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(b, image)
}

// appendInteger encodes the greatest double that is not above n, and what is missing to n: at most 1023.
func appendInteger(b []byte, n int64) []byte {
	const mantissa = 53    // bits of a double's
	magnitude := uint64(n) //nolint:gosec // two's complement
	if n < 0 {
		magnitude = -magnitude
	}
	lost := max(0, bits.Len64(magnitude)-mantissa)
	floor := n >> lost << lost // an arithmetic shift rounds down
	b = appendDouble(b, float64(floor))
	return binary.BigEndian.AppendUint16(b, uint16(n-floor)) //nolint:gosec // less than 2048
}
