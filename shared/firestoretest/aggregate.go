package firestoretest

import (
	"fmt"
	"math"
	"math/big"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// aggregation is one figure that is wanted of what a query finds.
type aggregation struct {
	path []string // nil for a count
	of   func([]match) *pb.Value
}

// RunAggregationQuery gives counts, sums and averages of what a query finds. Documents that don't have all the fields
// of its sums and averages don't count at all
// (https://firebase.google.com/docs/firestore/query-data/aggregation-queries#limitations).
func (s *Server) RunAggregationQuery(r *pb.RunAggregationQueryRequest, stream pb.Firestore_RunAggregationQueryServer) error {
	db, err := s.database(r.GetParent())
	if err != nil {
		return err
	}
	structured := r.GetStructuredAggregationQuery()
	q, err := db.newQuery(r.GetParent(), structured.GetStructuredQuery())
	if err != nil {
		return err
	}
	wanted, err := newAggregations(structured.GetAggregations())
	if err != nil {
		return err
	}
	filter := q.filter
	q.filter = func(m match) bool {
		for _, a := range wanted {
			if a.path == nil {
				continue
			}
			if _, ok := lookup(m.fields, a.path); !ok {
				return false
			}
		}
		return filter(m)
	}
	view, found, err := db.find(q, r, r.GetNewTransaction())
	if err != nil {
		return err
	}
	const entriesPerRead = 1000
	s.bill.read("RunAggregationQuery", q.group, max(1, (found.skipped+len(found.matches)+entriesPerRead-1)/entriesPerRead))
	result := &pb.AggregationResult{AggregateFields: fields{}}
	for alias, a := range wanted {
		result.AggregateFields[alias] = a.of(found.matches)
	}
	return stream.Send(&pb.RunAggregationQueryResponse{
		Result: result, Transaction: view.begun, ReadTime: timestamppb.New(view.at),
	})
}

// newAggregations reads what is wanted, by alias.
func newAggregations(wanted []*pb.StructuredAggregationQuery_Aggregation) (map[string]aggregation, error) {
	if len(wanted) == 0 || len(wanted) > maxAggregations {
		return nil, invalid("a query has 1 to %d aggregations, not %d", maxAggregations, len(wanted))
	}
	all := make(map[string]aggregation)
	unnamed := 0
	for _, w := range wanted {
		alias := w.GetAlias()
		if alias == "" {
			unnamed++
			alias = fmt.Sprint("field_", unnamed)
		}
		if _, twice := all[alias]; twice {
			return nil, invalid("two aggregations have the alias %q", alias)
		}
		a, err := newAggregation(w)
		if err != nil {
			return nil, err
		}
		all[alias] = a
	}
	return all, nil
}

func newAggregation(w *pb.StructuredAggregationQuery_Aggregation) (aggregation, error) {
	var field string
	var of func([]*pb.Value) *pb.Value
	switch op := w.GetOperator().(type) {
	case *pb.StructuredAggregationQuery_Aggregation_Count_:
		limit := int64(math.MaxInt64)
		if upTo := op.Count.GetUpTo(); upTo != nil {
			if limit = upTo.GetValue(); limit < 1 {
				return aggregation{}, invalid("a count up to %d", limit)
			}
		}
		return aggregation{of: func(all []match) *pb.Value { return integer(min(int64(len(all)), limit)) }}, nil
	case *pb.StructuredAggregationQuery_Aggregation_Sum_:
		field, of = op.Sum.GetField().GetFieldPath(), sumOf
	case *pb.StructuredAggregationQuery_Aggregation_Avg_:
		field, of = op.Avg.GetField().GetFieldPath(), averageOf
	default:
		return aggregation{}, invalid("unknown aggregation %T", op)
	}
	path, err := fieldPath(field)
	if err != nil {
		return aggregation{}, err
	}
	return aggregation{path, func(all []match) *pb.Value {
		var values []*pb.Value
		for _, m := range all {
			if v, ok := lookup(m.fields, path); ok && rank(v) == numbers {
				values = append(values, v)
			}
		}
		return of(values)
	}}, nil
}

func integer(n int64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}}
}

func doubleValue(d float64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: d}}
}

// sumOf is an integer if all values are and it fits, else a double.
func sumOf(values []*pb.Value) *pb.Value {
	total, allIntegers := new(big.Int), true
	for _, v := range values {
		_, ok := v.GetValueType().(*pb.Value_IntegerValue)
		allIntegers = allIntegers && ok
		total.Add(total, big.NewInt(v.GetIntegerValue()))
	}
	if allIntegers && total.IsInt64() {
		return integer(total.Int64())
	}
	return doubleValue(exactSum(values))
}

// averageOf is null of nothing.
func averageOf(values []*pb.Value) *pb.Value {
	if len(values) == 0 {
		return null
	}
	return doubleValue(exactSum(values) / float64(len(values)))
}

// exactSum rounds once, at the end, so that the order of the values makes no difference.
func exactSum(values []*pb.Value) float64 {
	const enough = 2200 // bits between the least and the greatest double, and then some
	total := new(big.Float).SetPrec(enough)
	special := 0.0 // the sum of infinities and NaN
	for _, v := range values {
		switch d := double(v); {
		case math.IsInf(d, 0) || math.IsNaN(d):
			special += d
		default:
			exact := new(big.Float)
			if n, ok := v.GetValueType().(*pb.Value_IntegerValue); ok {
				exact.SetInt64(n.IntegerValue) // not every int64 is a double
			} else {
				exact.SetFloat64(d)
			}
			total.Add(total, exact)
		}
	}
	if special != 0 { // NaN too
		return special
	}
	sum, _ := total.Float64()
	return sum
}
