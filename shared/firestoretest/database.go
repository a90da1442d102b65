package firestoretest

import (
	"slices"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/tidwall/btree"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// database is one database: its documents with their versions, and the transactions that are under way.
type database struct {
	name string

	mu           sync.RWMutex
	documents    btree.Map[key, []version] // oldest version first; a document has one at least
	last         time.Time                 // of the latest commit
	transactions map[string]*transaction
}

// fields are a document's. Those of a stored version are never changed.
type fields = map[string]*pb.Value

// version is a document as it was from a time on, until the next version.
type version struct {
	at      time.Time // of the commit that made it, and its update time unless that was a delete
	created time.Time
	fields  fields // nil: it was deleted
}

func (v version) exists() bool { return v.fields != nil }

// kept is how long versions are kept: as long as reads at a time may go back.
// https://firebase.google.com/docs/firestore/pitr
const kept = time.Hour

func newDatabase(name string) *database {
	return &database{name: name, transactions: make(map[string]*transaction)}
}

// now is a time after the latest commit at which nothing else will be committed any more.
func (db *database) now() time.Time {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.tick()
}

// tick moves the clock on: times grow strictly, and are whole microseconds, as Firestore's are.
func (db *database) tick() time.Time {
	now := time.Now().UTC().Truncate(time.Microsecond)
	if !now.After(db.last) {
		now = db.last.Add(time.Microsecond)
	}
	db.last = now
	return now
}

// at is the version of a document at a time; the zero version if there was none.
func at(versions []version, t time.Time) version {
	for _, v := range slices.Backward(versions) {
		if !v.at.After(t) {
			return v
		}
	}
	return version{}
}

// get reads a document at a time.
func (db *database) get(k key, t time.Time) version {
	versions, _ := db.documents.Get(k)
	return at(versions, t)
}

// put stores a version and forgets those that nobody can read any more.
func (db *database) put(k key, v version) {
	versions, _ := db.documents.Get(k)
	horizon := v.at.Add(-kept)
	first := 0
	for first+1 < len(versions) && !versions[first+1].at.After(horizon) {
		first++
	}
	db.documents.Set(k, append(versions[first:], v))
}

// scan calls visit for every document that existed at a time and whose key begins with a prefix, in the order of
// names, until visit says that it is enough.
func (db *database) scan(prefix string, t time.Time, visit func(k key, v version) bool) {
	db.documents.Ascend(key(prefix), func(k key, versions []version) bool {
		if len(k) < len(prefix) || string(k[:len(prefix)]) != prefix {
			return false
		}
		v := at(versions, t)
		return !v.exists() || visit(k, v)
	})
}

// proto is a version as it goes over the wire.
func (db *database) proto(k key, v version) *pb.Document {
	return &pb.Document{
		Name: db.resource(k), Fields: v.fields,
		CreateTime: timestamppb.New(v.created), UpdateTime: timestamppb.New(v.at),
	}
}
