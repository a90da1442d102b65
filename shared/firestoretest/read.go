package firestoretest

import (
	"context"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// view is the database as a read sees it: at a time, and on behalf of a transaction, if there is one.
type view struct {
	at    time.Time
	tx    *transaction
	begun []byte // the id of a transaction that the read began
}

// selector is how a read says which view it wants. At most one of its parts is set.
type selector interface {
	GetTransaction() []byte
	GetReadTime() *timestamppb.Timestamp
}

// untransacted is the selector of a read that no transaction can make.
type untransacted struct {
	request interface {
		GetReadTime() *timestamppb.Timestamp
	}
}

func (untransacted) GetTransaction() []byte { return nil }

func (u untransacted) GetReadTime() *timestamppb.Timestamp { return u.request.GetReadTime() }

// view gives the view that a read asks for. The caller holds the lock until it has read.
func (db *database) view(s selector, begin *pb.TransactionOptions) (view, error) {
	now := db.clock.tick()
	v := view{at: now}
	switch {
	case begin != nil:
		id, tx, err := db.begin(begin)
		if err != nil {
			return v, err
		}
		v = view{tx.at, tx, []byte(id)}
	case len(s.GetTransaction()) > 0:
		tx, err := db.transactions.find(string(s.GetTransaction()), now)
		if err != nil {
			return v, err
		}
		v = view{tx.at, tx, nil}
	case s.GetReadTime() != nil:
		at, err := db.readTime(s.GetReadTime())
		return view{at: at}, err
	}
	return v, db.checkTime(v.at)
}

// readTime is a time at which somebody asks to read: in whole microseconds, and not too long ago.
func (db *database) readTime(wanted *timestamppb.Timestamp) (time.Time, error) {
	if err := wanted.CheckValid(); err != nil {
		return time.Time{}, invalid("%v", err)
	}
	if wanted.GetNanos()%1000 != 0 {
		return time.Time{}, invalid("the read time %v is finer than a microsecond", wanted.AsTime())
	}
	return wanted.AsTime(), db.checkTime(wanted.AsTime())
}

// checkTime refuses times at which nothing can be read.
func (db *database) checkTime(t time.Time) error {
	now := db.clock.tick()
	if t.After(now) {
		return invalid("the read time is in the future")
	}
	if now.Sub(t) > db.kept || t.Before(db.since) {
		return status.Error(codes.FailedPrecondition, "the read time is too far in the past")
	}
	return nil
}

// BatchGetDocuments streams the documents in the order in which they were asked for.
func (s *Server) BatchGetDocuments(r *pb.BatchGetDocumentsRequest, stream pb.Firestore_BatchGetDocumentsServer) error {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return err
	}
	keys := make([]key, 0, len(r.GetDocuments()))
	asked := make(map[key]bool)
	for _, name := range r.GetDocuments() {
		k, err := db.document(name)
		if err != nil {
			return err
		}
		if !asked[k] { // duplicates are answered once
			asked[k] = true
			keys = append(keys, k)
		}
	}
	wanted, err := newMask(r.GetMask())
	if err != nil {
		return err
	}
	view, versions, err := db.getAll(keys, r, r.GetNewTransaction())
	if err != nil {
		return err
	}
	readTime := timestamppb.New(view.at)
	if view.begun != nil {
		if err := stream.Send(&pb.BatchGetDocumentsResponse{Transaction: view.begun}); err != nil {
			return err
		}
	}
	for i, k := range keys {
		s.bill.read("BatchGetDocuments", k.collection(), 1)
		response := &pb.BatchGetDocumentsResponse{ReadTime: readTime}
		if versions[i].exists() {
			response.Result = &pb.BatchGetDocumentsResponse_Found{Found: db.proto(k, versions[i], wanted)}
		} else {
			response.Result = &pb.BatchGetDocumentsResponse_Missing{Missing: db.resource(k)}
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	return nil
}

// getAll reads documents in one view.
func (db *database) getAll(keys []key, s selector, begin *pb.TransactionOptions) (view, []version, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	view, err := db.view(s, begin)
	if err != nil {
		return view, nil, err
	}
	versions := make([]version, len(keys))
	for i, k := range keys {
		versions[i] = db.get(k).at(view.at)
		view.tx.sawDocument(db, k, versions[i])
	}
	return view, versions, nil
}

// GetDocument reads one document.
func (s *Server) GetDocument(_ context.Context, r *pb.GetDocumentRequest) (*pb.Document, error) {
	db, err := s.database(r.GetName())
	if err != nil {
		return nil, err
	}
	k, err := db.document(r.GetName())
	if err != nil {
		return nil, err
	}
	wanted, err := newMask(r.GetMask())
	if err != nil {
		return nil, err
	}
	_, versions, err := db.getAll([]key{k}, r, nil)
	if err != nil {
		return nil, err
	}
	s.bill.read("GetDocument", k.collection(), 1)
	if !versions[0].exists() {
		return nil, status.Errorf(codes.NotFound, "document not found: %s", r.GetName())
	}
	return db.proto(k, versions[0], wanted), nil
}
