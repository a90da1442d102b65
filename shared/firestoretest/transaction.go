package firestoretest

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// transaction is one that is under way. It sees the database as it was when it began, or, if it only reads, at a time before
// that; and remembers what it saw.
type transaction struct {
	at       time.Time // what it sees
	begun    time.Time
	readOnly bool
	used     time.Time // when it was last found; guarded by the lock of all

	mu    sync.Mutex
	reads []read
}

// read is what a transaction saw: whether that is still so at a later time. The lock is held.
type read func(t time.Time) bool

// transactions are those under way, by id.
type transactions struct {
	mu   sync.Mutex
	byID map[string]*transaction
}

// How long a transaction may last, and how long nothing may come for it.
// https://firebase.google.com/docs/firestore/quotas#writes_and_transactions
const (
	transactionLimit = 270 * time.Second
	idleLimit        = 60 * time.Second
)

var (
	errNoTransaction = status.Error(codes.InvalidArgument, "The referenced transaction has expired or is no longer valid.")
	errConflict      = status.Error(codes.Aborted, "the transaction read what has changed since: try again")
)

// BeginTransaction begins a transaction at the present time, or, read only, at a past one.
func (s *Server) BeginTransaction(_ context.Context, r *pb.BeginTransactionRequest) (*pb.BeginTransactionResponse, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	id, _, err := db.begin(r.GetOptions())
	return &pb.BeginTransactionResponse{Transaction: []byte(id)}, err
}

// begin begins a transaction. The caller holds the lock.
func (db *database) begin(o *pb.TransactionOptions) (string, *transaction, error) {
	now := db.clock.tick()
	tx := &transaction{at: now, begun: now, used: now, readOnly: o.GetReadOnly() != nil}
	if past := o.GetReadOnly().GetReadTime(); past != nil {
		var err error
		if tx.at, err = db.readTime(past); err != nil {
			return "", nil, err
		}
	}
	id := rand.Text()
	db.transactions.mu.Lock()
	defer db.transactions.mu.Unlock()
	if db.transactions.byID == nil {
		db.transactions.byID = make(map[string]*transaction)
	}
	for id, old := range db.transactions.byID {
		if old.expired(now) {
			delete(db.transactions.byID, id)
		}
	}
	db.transactions.byID[id] = tx
	return id, tx, nil
}

// expired reports whether a transaction is over by itself, also one that only reads: the documented limits make no difference.
// The lock of all is held.
func (tx *transaction) expired(now time.Time) bool {
	return now.Sub(tx.begun) > transactionLimit || now.Sub(tx.used) > idleLimit
}

// find finds a transaction that is under way.
func (ts *transactions) find(id string, now time.Time) (*transaction, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tx := ts.byID[id]
	if tx == nil || tx.expired(now) {
		return nil, errNoTransaction
	}
	tx.used = now
	return tx, nil
}

// end forgets a transaction.
func (ts *transactions) end(id string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.byID, id)
}

// Rollback forgets a transaction. One that is over, or never was, is refused, as in the service
// (https://github.com/googleapis/nodejs-firestore/pull/1347).
func (s *Server) Rollback(_ context.Context, r *pb.RollbackRequest) (*emptypb.Empty, error) {
	db, err := s.database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	id := string(r.GetTransaction())
	if _, err := db.transactions.find(id, db.clock.tick()); err != nil {
		return nil, err
	}
	db.transactions.end(id)
	return &emptypb.Empty{}, nil
}

// finish ends a transaction that is about to commit at a time. ABORTED: it writes, and something that it read has
// changed since. (One that only reads saw one time, and so is in order.) The caller holds the lock.
func (db *database) finish(id string, now time.Time, writes bool) error {
	tx, err := db.transactions.find(id, now)
	if err != nil {
		return err
	}
	db.transactions.end(id)
	if !writes {
		return nil
	}
	if tx.readOnly {
		return invalid("a read only transaction can't write")
	}
	tx.mu.Lock()
	defer tx.mu.Unlock()
	for _, unchanged := range tx.reads {
		if !unchanged(now) {
			return errConflict
		}
	}
	return nil
}

// saw notes what a transaction read.
func (tx *transaction) saw(r read) {
	if tx == nil || tx.readOnly {
		return
	}
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.reads = append(tx.reads, r)
}

// sawDocument notes that a transaction read a document.
func (tx *transaction) sawDocument(db *database, k key, v version) {
	tx.saw(func(t time.Time) bool { return db.get(k).at(t).updated().Equal(v.updated()) })
}

// sawQuery notes that a transaction ran a query.
func (tx *transaction) sawQuery(db *database, q *query, matches []match) {
	if tx == nil || tx.readOnly {
		return
	}
	tx.saw(func(t time.Time) bool {
		if g := db.groups[q.group]; q.group != "" && (g == nil || !g.changed.After(tx.at)) {
			return true
		}
		found := db.run(q, t).matches
		if len(found) != len(matches) {
			return false
		}
		for i, m := range found {
			if m.key != matches[i].key || !m.at.Equal(matches[i].at) {
				return false
			}
		}
		return true
	})
}
