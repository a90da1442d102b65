package firestoretest

import (
	"math"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// nearest finds among what a query found what is nearest to a vector, by looking at all of it.
// https://firebase.google.com/docs/firestore/vector-search
type nearest struct {
	path      []string
	to        []*pb.Value
	measure   pb.StructuredQuery_FindNearest_DistanceMeasure
	limit     int
	threshold *float64
	result    []string // where the distance shall stand; nil: nowhere
}

func newNearest(f *pb.StructuredQuery_FindNearest) (*nearest, error) {
	if f == nil {
		return nil, nil
	}
	n := &nearest{measure: f.GetDistanceMeasure(), limit: int(f.GetLimit().GetValue())}
	if n.limit < 1 || n.limit > maxNeighbours {
		return nil, invalid("nearest takes a limit of 1 to %d, not %d", maxNeighbours, n.limit)
	}
	var err error
	if n.path, err = fieldPath(f.GetVectorField().GetFieldPath()); err != nil {
		return nil, err
	}
	var ok bool
	if n.to, ok = vectorOf(f.GetQueryVector()); !ok {
		return nil, invalid("nearest to what is no vector")
	}
	if err := checkVector(n.to); err != nil {
		return nil, err
	}
	switch n.measure {
	case pb.StructuredQuery_FindNearest_EUCLIDEAN, pb.StructuredQuery_FindNearest_COSINE,
		pb.StructuredQuery_FindNearest_DOT_PRODUCT:
	default:
		return nil, invalid("unknown distance measure %v", n.measure)
	}
	if f.GetDistanceThreshold() != nil {
		n.threshold = &f.DistanceThreshold.Value
	}
	if f.GetDistanceResultField() != "" {
		n.result, err = fieldPath(f.GetDistanceResultField())
	}
	return n, err
}

// among gives the nearest first. Vectors of another dimension are as if they were not there.
func (n *nearest) among(all []match) []match {
	var near []match
	for _, m := range all {
		v, _ := lookup(m.fields, n.path)
		vector, ok := vectorOf(v)
		if !ok || len(vector) != len(n.to) {
			continue
		}
		m.distance = n.distance(vector)
		if math.IsNaN(m.distance) || n.threshold != nil && n.farther(m.distance, *n.threshold) {
			continue
		}
		near = append(near, m)
	}
	slices.SortStableFunc(near, func(a, b match) int {
		switch {
		case n.farther(b.distance, a.distance):
			return -1
		case n.farther(a.distance, b.distance):
			return 1
		default:
			return 0
		}
	})
	near = near[:min(n.limit, len(near))]
	if n.result != nil {
		for i, m := range near {
			distance := &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: m.distance}}
			near[i].fields = set(m.fields, n.result, distance)
		}
	}
	return near
}

// farther compares distances; of dot products the greater is the nearer.
func (n *nearest) farther(a, b float64) bool {
	if n.measure == pb.StructuredQuery_FindNearest_DOT_PRODUCT {
		return a < b
	}
	return a > b
}

func (n *nearest) distance(v []*pb.Value) float64 {
	var dot, squares, a, b float64
	for i := range v {
		x, y := v[i].GetDoubleValue(), n.to[i].GetDoubleValue()
		dot += x * y
		squares += (x - y) * (x - y)
		a += x * x
		b += y * y
	}
	switch n.measure {
	case pb.StructuredQuery_FindNearest_EUCLIDEAN:
		return math.Sqrt(squares)
	case pb.StructuredQuery_FindNearest_COSINE:
		return 1 - dot/math.Sqrt(a*b)
	default:
		return dot
	}
}
