package firestoretest

import (
	"cmp"
	"context"
	"strconv"

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
	view, found, err := db.find(q, r, r.GetNewTransaction())
	if err != nil {
		return err
	}
	s.bill.read("RunQuery", q.group, max(1, found.skipped+len(found.matches)))
	readTime := timestamppb.New(view.at)
	if len(found.matches) == 0 || view.begun != nil || found.skipped > 0 {
		first := &pb.RunQueryResponse{
			Transaction: view.begun, ReadTime: readTime, SkippedResults: int32(found.skipped), //nolint:gosec // an offset is an int32
		}
		if err := stream.Send(first); err != nil {
			return err
		}
	}
	for _, m := range found.matches {
		response := &pb.RunQueryResponse{Document: db.proto(m.key, m.version, q.projection), ReadTime: readTime}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	return nil
}

// find runs a query in a view, with the indexes that it would like.
func (db *database) find(q *query, s selector, begin *pb.TransactionOptions) (view, found, error) {
	db.prepare(q)
	db.mu.RLock()
	defer db.mu.RUnlock()
	view, err := db.view(s, begin)
	if err != nil {
		return view, found{}, err
	}
	found := db.run(q, view.at)
	view.tx.sawQuery(db, q, found.matches)
	return view, found, nil
}

// minPartition is how many documents a partition has at least.
const minPartition = 128

// PartitionQuery gives cursors that cut a collection group into parts of about one size. Its page token is the number
// of cursors that were given.
func (s *Server) PartitionQuery(_ context.Context, r *pb.PartitionQueryRequest) (*pb.PartitionQueryResponse, error) {
	db, err := s.database(r.GetParent())
	if err != nil {
		return nil, err
	}
	structured := r.GetStructuredQuery()
	q, err := db.newQuery(r.GetParent(), structured)
	switch {
	case err != nil:
		return nil, err
	case r.GetPartitionCount() < 1:
		return nil, invalid("the partition count is not positive")
	case len(q.orders) != 1 || q.orders[0].desc || structured.GetWhere() != nil ||
		structured.GetLimit() != nil || structured.GetOffset() != 0 || q.start != nil || q.end != nil:
		return nil, invalid("only a collection group as a whole, ordered by name, can be partitioned")
	case q.scope != allCollections || q.prefix != "":
		return nil, invalid("only a collection group can be partitioned")
	}
	first, err := strconv.Atoi(cmp.Or(r.GetPageToken(), "0"))
	if err != nil || first < 0 {
		return nil, invalid("bad page token %q", r.GetPageToken())
	}
	_, found, err := db.find(q, untransacted{r}, nil)
	if err != nil {
		return nil, err
	}
	s.bill.read("PartitionQuery", q.group, max(1, len(found.matches)/minPartition))
	cursors := min(int(r.GetPartitionCount()), len(found.matches)/minPartition)
	response := &pb.PartitionQueryResponse{}
	for i := first; i < cursors; i++ {
		if size := int(r.GetPageSize()); size > 0 && i-first == size {
			response.NextPageToken = strconv.Itoa(i)
			break
		}
		m := found.matches[(i+1)*len(found.matches)/(cursors+1)]
		name := &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: db.resource(m.key)}}
		response.Partitions = append(response.Partitions, &pb.Cursor{Values: []*pb.Value{name}, Before: true})
	}
	return response, nil
}
