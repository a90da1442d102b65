package firestoretest

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Commit applies all writes or none.
func (s *Server) Commit(_ context.Context, r *pb.CommitRequest) (*pb.CommitResponse, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	response, err := db.commit(r.GetWrites(), string(r.GetTransaction()))
	if err == nil {
		s.bill.wrote("Commit", r.GetWrites())
	}
	return response, err
}

// BatchWrite applies each write by itself.
func (s *Server) BatchWrite(_ context.Context, r *pb.BatchWriteRequest) (*pb.BatchWriteResponse, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	if len(r.GetWrites()) > maxBatch {
		return nil, invalid("a batch has %d writes, over the limit of %d", len(r.GetWrites()), maxBatch)
	}
	written := make(map[string]bool)
	for _, w := range r.GetWrites() {
		if name := nameOf(w); written[name] {
			return nil, invalid("a batch writes %s twice", name)
		} else {
			written[name] = true
		}
	}
	response := &pb.BatchWriteResponse{}
	for _, w := range r.GetWrites() {
		result, err := db.write(w)
		if err != nil {
			result = &pb.WriteResult{}
		} else {
			s.bill.wrote("BatchWrite", []*pb.Write{w})
		}
		response.WriteResults = append(response.WriteResults, result)
		response.Status = append(response.Status, &spb.Status{
			Code: int32(status.Code(err)), Message: status.Convert(err).Message(), //nolint:gosec // codes are small
		})
	}
	return response, nil
}

// CreateDocument creates a document, of a name of its own where the request has none.
func (s *Server) CreateDocument(_ context.Context, r *pb.CreateDocumentRequest) (*pb.Document, error) {
	id := r.GetDocumentId()
	if id == "" {
		id = rand.Text()
	}
	for _, part := range []string{r.GetCollectionId(), id} {
		if err := checkID(part); err != nil {
			return nil, err
		}
	}
	return s.put("CreateDocument", &pb.Write{
		Operation: &pb.Write_Update{Update: &pb.Document{
			Name: r.GetParent() + "/" + r.GetCollectionId() + "/" + id, Fields: r.GetDocument().GetFields(),
		}},
		CurrentDocument: &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}},
	}, r.GetMask())
}

// UpdateDocument updates a document, or creates it.
func (s *Server) UpdateDocument(_ context.Context, r *pb.UpdateDocumentRequest) (*pb.Document, error) {
	return s.put("UpdateDocument", &pb.Write{
		Operation:  &pb.Write_Update{Update: r.GetDocument()},
		UpdateMask: r.GetUpdateMask(), CurrentDocument: r.GetCurrentDocument(),
	}, r.GetMask())
}

// put writes a document and answers with what became of it.
func (s *Server) put(method string, w *pb.Write, answer *pb.DocumentMask) (*pb.Document, error) {
	db, err := s.database(nameOf(w))
	if err != nil {
		return nil, err
	}
	wanted, err := newMask(answer)
	if err != nil {
		return nil, err
	}
	result, err := db.write(w)
	if err != nil {
		return nil, err
	}
	s.bill.wrote(method, []*pb.Write{w})
	k, err := db.document(nameOf(w))
	if err != nil {
		return nil, err
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.proto(k, db.get(k).at(result.GetUpdateTime().AsTime()), wanted), nil
}

// DeleteDocument deletes a document.
func (s *Server) DeleteDocument(_ context.Context, r *pb.DeleteDocumentRequest) (*emptypb.Empty, error) {
	db, err := s.database(r.GetName())
	if err != nil {
		return nil, err
	}
	w := &pb.Write{Operation: &pb.Write_Delete{Delete: r.GetName()}, CurrentDocument: r.GetCurrentDocument()}
	if _, err := db.write(w); err != nil {
		return nil, err
	}
	s.bill.wrote("DeleteDocument", []*pb.Write{w})
	return &emptypb.Empty{}, nil
}

// write commits a single write.
func (db *database) write(w *pb.Write) (*pb.WriteResult, error) {
	committed, err := db.commit([]*pb.Write{w}, "")
	if err != nil {
		return nil, err
	}
	return committed.GetWriteResults()[0], nil
}

// commit applies writes to a draft, in order, and stores the draft if all succeed.
func (db *database) commit(writes []*pb.Write, transaction string) (*pb.CommitResponse, error) {
	if err := checkWrites(writes); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	now := db.clock.tick()
	if transaction != "" {
		if err := db.finish(transaction, now, len(writes) > 0); err != nil {
			return nil, err
		}
	}
	draft := make(map[key]version, len(writes))
	response := &pb.CommitResponse{CommitTime: timestamppb.New(now)}
	for _, w := range writes {
		k, err := db.document(nameOf(w))
		if err != nil {
			return nil, err
		}
		old, drafted := draft[k]
		if !drafted {
			old = db.get(k).latest()
		}
		next, results, err := write(k, w, old, now)
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
		if !v.at.Equal(now) || !v.exists() && !db.get(k).latest().exists() {
			delete(draft, k) // nothing has changed
		}
	}
	if err := db.disk.store(db, now, draft); err != nil {
		return nil, status.Errorf(codes.Unavailable, "the commit can't be stored: %v", err)
	}
	db.apply(now, draft)
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

// checkWrites counts the transforms of each document.
func checkWrites(writes []*pb.Write) error {
	transforms := make(map[string]int)
	for _, w := range writes {
		n := len(w.GetUpdateTransforms()) + len(w.GetTransform().GetFieldTransforms())
		if transforms[nameOf(w)] += n; transforms[nameOf(w)] > maxTransforms {
			return invalid("%s is transformed more than %d times", nameOf(w), maxTransforms)
		}
	}
	return nil
}

// write gives the version that a write makes of a document. One that changes nothing gives the old one.
func write(k key, w *pb.Write, old version, now time.Time) (version, []*pb.Value, error) {
	if err := check(w, old, now); err != nil {
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
	if err := checkFields(k, next); err != nil {
		return version{}, nil, err
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

// check holds a write's precondition against the document. Its messages are the service's.
func check(w *pb.Write, old version, now time.Time) error {
	switch condition := w.GetCurrentDocument().GetConditionType().(type) {
	case *pb.Precondition_Exists:
		if condition.Exists && !old.exists() {
			return status.Errorf(codes.NotFound, "No document to update: %s", nameOf(w))
		}
		if !condition.Exists && old.exists() {
			return status.Errorf(codes.AlreadyExists, "Document already exists: %s", nameOf(w))
		}
	case *pb.Precondition_UpdateTime:
		want := condition.UpdateTime.AsTime()
		if want.After(now) { // https://github.com/googleapis/google-cloud-dotnet/pull/1538
			return invalid("the required base version is in the future: %v", want)
		}
		if !old.exists() || !old.at.Equal(want) {
			stored := int64(0)
			if old.exists() {
				stored = old.at.UnixMicro()
			}
			return status.Errorf(codes.FailedPrecondition,
				"the stored version (%d) does not match the required base version (%d)", stored, want.UnixMicro())
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
	paths := make([][]string, len(mask.GetFieldPaths()))
	for i, text := range mask.GetFieldPaths() {
		var err error
		if paths[i], err = fieldPath(text); err != nil {
			return nil, err
		}
	}
	if err := checkOverlap(paths); err != nil {
		return nil, err
	}
	for _, path := range paths {
		v, _ := lookup(given, path)
		next = set(next, path, v)
	}
	return next, nil
}

// checkOverlap refuses paths of which one lies in another: it is not clear what is wanted there.
func checkOverlap(paths [][]string) error {
	sorted := slices.SortedFunc(slices.Values(paths), slices.Compare)
	for i := 1; i < len(sorted); i++ {
		outer, inner := sorted[i-1], sorted[i]
		if len(outer) < len(inner) && slices.Equal(outer, inner[:len(outer)]) {
			return invalid("the field paths %s and %s of a mask overlap", joinPath(outer), joinPath(inner))
		}
	}
	return nil
}
