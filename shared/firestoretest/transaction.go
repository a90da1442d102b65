package firestoretest

import (
	"context"
	"crypto/rand"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// transaction is one that is under way. It sees the database as it was when it began, and remembers what it saw.
type transaction struct {
	at       time.Time
	readOnly bool
	reads    map[key]time.Time // the version of each document that was read; zero: there was none
	queries  []seen
}

// seen is a query and what it gave.
type seen struct {
	query *query
	keys  map[key]time.Time
}

// transactionLimit is how long a transaction may last.
// https://firebase.google.com/docs/firestore/quotas#writes_and_transactions
const transactionLimit = 270 * time.Second

// BeginTransaction begins a transaction at the present time, or, read only, at a past one.
func (s *Server) BeginTransaction(_ context.Context, r *pb.BeginTransactionRequest) (*pb.BeginTransactionResponse, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	id, _ := db.begin(r.GetOptions())
	return &pb.BeginTransactionResponse{Transaction: []byte(id)}, nil
}

func (db *database) begin(o *pb.TransactionOptions) (string, *transaction) {
	db.mu.Lock()
	defer db.mu.Unlock()
	tx := &transaction{at: db.tick(), reads: make(map[key]time.Time)}
	if o.GetReadOnly() != nil {
		tx.readOnly = true
		if past := o.GetReadOnly().GetReadTime(); past != nil {
			tx.at = past.AsTime()
		}
	}
	for id, old := range db.transactions {
		if tx.at.Sub(old.at) > transactionLimit && !old.readOnly {
			delete(db.transactions, id)
		}
	}
	id := rand.Text()
	db.transactions[id] = tx
	return id, tx
}

// Rollback forgets a transaction.
func (s *Server) Rollback(_ context.Context, r *pb.RollbackRequest) (*emptypb.Empty, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.transactions, string(r.GetTransaction()))
	return &emptypb.Empty{}, nil
}

// transaction finds one that is under way.
func (db *database) transaction(id string) (*transaction, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if tx := db.transactions[id]; tx != nil {
		return tx, nil
	}
	return nil, errNoTransaction
}

var errNoTransaction = status.Error(codes.InvalidArgument, "the transaction has expired or is not known")

// finish ends a transaction that is about to commit. ABORTED: something that it read has changed since. The caller
// holds the lock.
func (db *database) finish(id string, writes bool) error {
	tx := db.transactions[id]
	if tx == nil {
		return errNoTransaction
	}
	delete(db.transactions, id)
	if tx.readOnly {
		if writes {
			return invalid("a read only transaction can't write")
		}
		return nil
	}
	for k, read := range tx.reads {
		if now := db.get(k, db.last); !updated(now).Equal(read) {
			return errConflict
		}
	}
	for _, s := range tx.queries {
		if !s.unchanged(db) {
			return errConflict
		}
	}
	return nil
}

var errConflict = status.Error(codes.Aborted, "the transaction read what has changed since: try again")

func updated(v version) time.Time {
	if !v.exists() {
		return time.Time{}
	}
	return v.at
}

func (s seen) unchanged(db *database) bool {
	found := db.run(s.query, db.last)
	if len(found) != len(s.keys) {
		return false
	}
	for _, f := range found {
		if read, ok := s.keys[f.key]; !ok || !read.Equal(f.at) {
			return false
		}
	}
	return true
}

// saw notes that a transaction read a document.
func (db *database) saw(tx *transaction, k key, v version) {
	db.mu.Lock()
	defer db.mu.Unlock()
	tx.reads[k] = updated(v)
}

// ran notes that a transaction ran a query.
func (db *database) ran(tx *transaction, q *query, found []match) {
	keys := make(map[key]time.Time, len(found))
	for _, f := range found {
		keys[f.key] = f.at
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	tx.queries = append(tx.queries, seen{q, keys})
}
