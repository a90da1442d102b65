package firestoretest

import (
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// RunQuery streams what a query finds.
func (s *Server) RunQuery(r *pb.RunQueryRequest, stream pb.Firestore_RunQueryServer) error {
	db, err := s.database(r.GetParent())
	if err != nil {
		return err
	}
	q, err := db.newQuery(r.GetParent(), r.GetStructuredQuery())
	if err != nil {
		return err
	}
	view, err := db.view(r, r.GetNewTransaction())
	if err != nil {
		return err
	}
	found := db.find(q, view)
	readTime := timestamppb.New(view.at)
	if len(found) == 0 || view.begun != nil {
		if err := stream.Send(&pb.RunQueryResponse{Transaction: view.begun, ReadTime: readTime}); err != nil {
			return err
		}
	}
	for _, f := range found {
		document, err := project(db.proto(f.key, f.version), q.projection)
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.RunQueryResponse{Document: document, ReadTime: readTime}); err != nil {
			return err
		}
	}
	return nil
}

// find runs a query in a view.
func (db *database) find(q *query, v view) []match {
	db.mu.RLock()
	found := db.run(q, v.at)
	db.mu.RUnlock()
	if v.tx != nil && !v.tx.readOnly {
		db.ran(v.tx, q, found)
	}
	return found
}

// RunAggregationQuery counts what a query finds.
func (s *Server) RunAggregationQuery(r *pb.RunAggregationQueryRequest, stream pb.Firestore_RunAggregationQueryServer) error {
	db, err := s.database(r.GetParent())
	if err != nil {
		return err
	}
	aggregation := r.GetStructuredAggregationQuery()
	q, err := db.newQuery(r.GetParent(), aggregation.GetStructuredQuery())
	if err != nil {
		return err
	}
	view, err := db.view(r, r.GetNewTransaction())
	if err != nil {
		return err
	}
	found := int64(len(db.find(q, view)))
	result := &pb.AggregationResult{AggregateFields: fields{}}
	for _, a := range aggregation.GetAggregations() {
		count := a.GetCount()
		if count == nil {
			return invalid("only counts are aggregated")
		}
		n := found
		if count.GetUpTo() != nil {
			n = min(n, count.GetUpTo().GetValue())
		}
		result.AggregateFields[a.GetAlias()] = &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}}
	}
	return stream.Send(&pb.RunAggregationQueryResponse{
		Result: result, Transaction: view.begun, ReadTime: timestamppb.New(view.at),
	})
}
