package firestoretest

import (
	"context"
	"strings"
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
type untransacted struct{ *pb.ListCollectionIdsRequest }

func (untransacted) GetTransaction() []byte { return nil }

func (db *database) view(s selector, begin *pb.TransactionOptions) (view, error) {
	switch {
	case begin != nil:
		id, tx := db.begin(begin)
		return view{tx.at, tx, []byte(id)}, nil
	case len(s.GetTransaction()) > 0:
		tx, err := db.transaction(string(s.GetTransaction()))
		if err != nil {
			return view{}, err
		}
		return view{tx.at, tx, nil}, nil
	case s.GetReadTime() != nil:
		at := s.GetReadTime().AsTime()
		if time.Since(at) > kept {
			return view{}, status.Error(codes.FailedPrecondition, "the read time is too far in the past")
		}
		return view{at: at}, nil
	default:
		return view{at: db.now()}, nil
	}
}

// read reads a document in a view.
func (db *database) read(k key, v view) version {
	db.mu.RLock()
	found := db.get(k, v.at)
	db.mu.RUnlock()
	if v.tx != nil && !v.tx.readOnly {
		db.saw(v.tx, k, found)
	}
	return found
}

// BatchGetDocuments streams the documents in the order in which they were asked for.
func (s *Server) BatchGetDocuments(r *pb.BatchGetDocumentsRequest, stream pb.Firestore_BatchGetDocumentsServer) error {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return err
	}
	view, err := db.view(r, r.GetNewTransaction())
	if err != nil {
		return err
	}
	begun := view.begun
	for _, name := range r.GetDocuments() {
		k, err := db.document(name)
		if err != nil {
			return err
		}
		response := &pb.BatchGetDocumentsResponse{Transaction: begun, ReadTime: timestamppb.New(view.at)}
		begun = nil
		found := db.read(k, view)
		if found.exists() {
			document, err := project(db.proto(k, found), r.GetMask())
			if err != nil {
				return err
			}
			response.Result = &pb.BatchGetDocumentsResponse_Found{Found: document}
		} else {
			response.Result = &pb.BatchGetDocumentsResponse_Missing{Missing: name}
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	if begun != nil {
		return stream.Send(&pb.BatchGetDocumentsResponse{Transaction: begun, ReadTime: timestamppb.New(view.at)})
	}
	return nil
}

// project leaves only the fields of a mask; nil leaves all.
func project(d *pb.Document, mask *pb.DocumentMask) (*pb.Document, error) {
	if mask == nil {
		return d, nil
	}
	kept := fields{}
	for _, text := range mask.GetFieldPaths() {
		path, err := fieldPath(text)
		if err != nil {
			return nil, err
		}
		if v, ok := lookup(d.GetFields(), path); ok && text != nameField {
			kept = set(kept, path, v)
		}
	}
	return &pb.Document{Name: d.GetName(), Fields: kept, CreateTime: d.GetCreateTime(), UpdateTime: d.GetUpdateTime()}, nil
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
	view, err := db.view(r, nil)
	if err != nil {
		return nil, err
	}
	found := db.read(k, view)
	if !found.exists() {
		return nil, status.Errorf(codes.NotFound, "%s not found", r.GetName())
	}
	return project(db.proto(k, found), r.GetMask())
}

// ListDocuments lists the documents of a collection by name, and with ShowMissing also those that only have
// collections below them.
func (s *Server) ListDocuments(_ context.Context, r *pb.ListDocumentsRequest) (*pb.ListDocumentsResponse, error) {
	db, err := s.database(r.GetParent())
	if err != nil {
		return nil, err
	}
	parent, err := db.parse(r.GetParent())
	if err != nil {
		return nil, err
	}
	view, err := db.view(r, nil)
	if err != nil {
		return nil, err
	}
	size := int(r.GetPageSize())
	if size <= 0 {
		size = 300
	}
	response := &pb.ListDocumentsResponse{}
	prefix := parent.below() + r.GetCollectionId() + separator
	last := key(r.GetPageToken())
	db.mu.RLock()
	defer db.mu.RUnlock()
	db.scan(prefix, view.at, func(k key, v version) bool {
		id, deeper, below := strings.Cut(string(k[len(prefix):]), separator)
		k = key(prefix + id)
		if k <= last || below && (deeper == "" || !r.GetShowMissing()) {
			return true
		}
		if len(response.Documents) == size {
			response.NextPageToken = string(last)
			return false
		}
		last = k
		document := &pb.Document{Name: db.resource(k)}
		if !below {
			if document, err = project(db.proto(k, v), r.GetMask()); err != nil {
				return false
			}
		}
		response.Documents = append(response.Documents, document)
		return true
	})
	return response, err
}

// ListCollectionIds lists the ids of the collections right below a document or the root.
func (s *Server) ListCollectionIds(_ context.Context, r *pb.ListCollectionIdsRequest) (*pb.ListCollectionIdsResponse, error) {
	db, err := s.database(r.GetParent())
	if err != nil {
		return nil, err
	}
	parent, err := db.parse(r.GetParent())
	if err != nil {
		return nil, err
	}
	view, err := db.view(untransacted{r}, nil)
	if err != nil {
		return nil, err
	}
	response := &pb.ListCollectionIdsResponse{}
	db.mu.RLock()
	defer db.mu.RUnlock()
	db.scan(parent.below(), view.at, func(k key, _ version) bool {
		id, _, _ := strings.Cut(string(k[len(parent.below()):]), separator)
		if n := len(response.CollectionIds); n == 0 || response.CollectionIds[n-1] != id {
			response.CollectionIds = append(response.CollectionIds, id)
		}
		return true
	})
	return response, nil
}
