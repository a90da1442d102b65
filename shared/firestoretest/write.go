package firestoretest

import (
	"context"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxDocument is the size that a document may have, in bytes.
const maxDocument = 1 << 20

// Commit applies all writes or none.
func (s *Server) Commit(_ context.Context, r *pb.CommitRequest) (*pb.CommitResponse, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if len(r.GetTransaction()) > 0 {
		if err := db.finish(string(r.GetTransaction()), len(r.GetWrites()) > 0); err != nil {
			return nil, err
		}
	}
	return db.commit(r.GetWrites())
}

// BatchWrite applies each write by itself.
func (s *Server) BatchWrite(_ context.Context, r *pb.BatchWriteRequest) (*pb.BatchWriteResponse, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	response := &pb.BatchWriteResponse{}
	written := map[key]bool{}
	for _, w := range r.GetWrites() {
		k, err := db.document(nameOf(w))
		if err == nil && written[k] {
			return nil, invalid("a batch writes %s twice", nameOf(w))
		}
		written[k] = true
		var result *pb.WriteResult
		if err == nil {
			var committed *pb.CommitResponse
			if committed, err = db.commit([]*pb.Write{w}); err == nil {
				result = committed.GetWriteResults()[0]
			}
		}
		if err != nil {
			result = &pb.WriteResult{}
		}
		response.WriteResults = append(response.WriteResults, result)
		response.Status = append(response.Status, statusOf(err))
	}
	return response, nil
}

func statusOf(err error) *spb.Status {
	return &spb.Status{Code: int32(status.Code(err)), Message: status.Convert(err).Message()} //nolint:gosec // codes are small
}

// commit applies writes to a draft, in order, and stores the draft if all succeed. The caller holds the lock.
func (db *database) commit(writes []*pb.Write) (*pb.CommitResponse, error) {
	now := db.tick()
	draft := map[key]version{}
	response := &pb.CommitResponse{CommitTime: timestamppb.New(now)}
	for _, w := range writes {
		k, err := db.document(nameOf(w))
		if err != nil {
			return nil, err
		}
		old, drafted := draft[k]
		if !drafted {
			old = db.get(k, now)
		}
		next, results, err := write(w, old, now)
		if err != nil {
			return nil, err
		}
		draft[k] = next
		result := &pb.WriteResult{TransformResults: results}
		if next.exists() {
			result.UpdateTime = timestamppb.New(next.at)
		}
		response.WriteResults = append(response.WriteResults, result)
	}
	for k, v := range draft {
		if v.at.Equal(now) {
			db.put(k, v)
		}
	}
	return response, nil
}

// nameOf is the document that a write is about.
func nameOf(w *pb.Write) string {
	switch op := w.GetOperation().(type) {
	case *pb.Write_Update:
		return op.Update.GetName()
	case *pb.Write_Delete:
		return op.Delete
	case *pb.Write_Transform:
		return op.Transform.GetDocument()
	default:
		return ""
	}
}

// write gives the version that a write makes of a document. One that changes nothing gives the old one.
func write(w *pb.Write, old version, now time.Time) (version, []*pb.Value, error) {
	if err := check(w, old); err != nil {
		return version{}, nil, err
	}
	var next fields
	var err error
	transforms := w.GetUpdateTransforms()
	switch op := w.GetOperation().(type) {
	case *pb.Write_Delete:
		if !old.exists() {
			return old, nil, nil
		}
		return version{at: now}, nil, nil
	case *pb.Write_Update:
		if next, err = update(old.fields, op.Update.GetFields(), w.GetUpdateMask()); err != nil {
			return version{}, nil, err
		}
	case *pb.Write_Transform:
		next, transforms = old.fields, op.Transform.GetFieldTransforms()
	default:
		return version{}, nil, invalid("unknown write %T", op)
	}
	next, results, err := transform(next, transforms, now)
	if err != nil {
		return version{}, nil, err
	}
	if next == nil {
		next = fields{}
	}
	if err := checkFields(next); err != nil {
		return version{}, nil, err
	}
	if size := proto.Size(&pb.MapValue{Fields: next}); size > maxDocument {
		return version{}, nil, invalid("a document of %d bytes is over the limit of %d", size, maxDocument)
	}
	switch {
	case !old.exists():
		return version{at: now, created: now, fields: next}, results, nil
	case same(old.fields, next):
		return old, results, nil
	default:
		return version{at: now, created: old.created, fields: next}, results, nil
	}
}

// check holds a write's precondition against the document.
func check(w *pb.Write, old version) error {
	switch condition := w.GetCurrentDocument().GetConditionType().(type) {
	case *pb.Precondition_Exists:
		if condition.Exists && !old.exists() {
			return status.Errorf(codes.NotFound, "no document to update: %s", nameOf(w))
		}
		if !condition.Exists && old.exists() {
			return status.Errorf(codes.AlreadyExists, "document already exists: %s", nameOf(w))
		}
	case *pb.Precondition_UpdateTime:
		if !old.exists() || !old.at.Equal(condition.UpdateTime.AsTime()) {
			return status.Errorf(codes.FailedPrecondition, "%s is not the version of %v", nameOf(w), condition.UpdateTime.AsTime())
		}
	}
	return nil
}

// update lays given fields over old ones: all of them without a mask, else those that the mask names, and a field
// that the mask names and that isn't given is removed.
func update(old, given fields, mask *pb.DocumentMask) (fields, error) {
	if mask == nil {
		return given, nil
	}
	next := old
	for _, text := range mask.GetFieldPaths() {
		path, err := fieldPath(text)
		if err != nil {
			return nil, err
		}
		v, _ := lookup(given, path)
		next = set(next, path, v)
	}
	return next, nil
}
