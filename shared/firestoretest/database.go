package firestoretest

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/tidwall/btree"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// database is one database: its documents with their versions, the indexes on them, and the transactions that are
// under way. Whoever reads holds mu for reading, and then takes a time from the clock: all commits of earlier times
// are done, and all that are to come will have later ones.
type database struct {
	name    string
	clock   *clock
	kept    time.Duration // how long versions are
	disk    *disk         // nil: only in memory
	indexes []Index       // nil: every one

	mu        sync.RWMutex
	since     time.Time // before it nothing is known
	documents btree.Map[key, *document]
	groups    map[string]*group // by collection id
	replaced  []replacement     // in order of time
	listeners map[*listener]bool
	examined  atomic.Int64 // documents and index entries that queries looked at, to see what they take

	transactions transactions
}

// fields are a document's. Those of a stored version are never changed.
type fields = map[string]*pb.Value

// document is all that is known of a document. It stays until no version that existed can be read any more.
type document struct {
	key      key
	versions []version // oldest first, one at least
}

// version is a document as it was from a time on, until the next version.
type version struct {
	at      time.Time // of the commit that made it, and its update time unless that was a delete
	created time.Time
	fields  fields // nil: it was deleted
}

func (v version) exists() bool { return v.fields != nil }

// updated is the update time of a version; zero if there was no document.
func (v version) updated() time.Time {
	if !v.exists() {
		return time.Time{}
	}
	return v.at
}

// replacement tells that a document's versions before one of a time were replaced.
type replacement struct {
	at time.Time
	*document
}

// group is all collections of one id.
type group struct {
	changed   time.Time // of the latest commit that wrote to one of them
	documents btree.Map[key, *document]
	indexes   map[key]map[string]*index // by collection, or allCollections, and by shape
}

// clock gives times that grow strictly, in whole microseconds, as Firestore's do.
type clock struct {
	now  func() time.Time
	last atomic.Int64 // microseconds since 1970
}

func (c *clock) tick() time.Time {
	for {
		last := c.last.Load()
		next := max(last+1, c.now().UnixMicro())
		if c.last.CompareAndSwap(last, next) {
			return time.UnixMicro(next).UTC()
		}
	}
}

// pass makes sure that all times from now on are later than t.
func (c *clock) pass(t time.Time) {
	for {
		last := c.last.Load()
		if last >= t.UnixMicro() || c.last.CompareAndSwap(last, t.UnixMicro()) {
			return
		}
	}
}

// at is the version of a document at a time; the zero version if there was none.
func (d *document) at(t time.Time) version {
	if d == nil {
		return version{}
	}
	for _, v := range slices.Backward(d.versions) {
		if !v.at.After(t) {
			return v
		}
	}
	return version{}
}

// latest is the newest version of a document.
func (d *document) latest() version {
	if d == nil {
		return version{}
	}
	return d.versions[len(d.versions)-1]
}

// get finds a document; nil if nothing is known of it.
func (db *database) get(k key) *document {
	d, _ := db.documents.Get(k)
	return d
}

// group finds the collections of an id. Whoever doesn't hold the lock for writing looks into groups.
func (db *database) group(id string) *group {
	g := db.groups[id]
	if g == nil {
		g = &group{indexes: make(map[key]map[string]*index)}
		db.groups[id] = g
	}
	return g
}

// change is what a commit does to one document.
type change struct {
	*document
	old, new version
}

// add takes in a document of which nothing was known.
func (db *database) add(d *document) {
	db.documents.Set(d.key, d)
	db.group(d.key.collection()).documents.Set(d.key, d)
}

// apply stores versions that a commit made. The caller holds the lock.
func (db *database) apply(at time.Time, made map[key]version) {
	changes := make([]change, 0, len(made))
	for k, v := range made {
		g := db.group(k.collection())
		g.changed = at
		d := db.get(k)
		if d == nil {
			d = &document{key: k}
			db.add(d)
		} else {
			db.replaced = append(db.replaced, replacement{at, d})
		}
		c := change{document: d, new: v}
		if len(d.versions) > 0 {
			c.old = d.latest()
		}
		d.versions = append(d.versions, v)
		for _, x := range g.covering(k) {
			x.change(c)
		}
		changes = append(changes, c)
	}
	db.forget(at.Add(-db.kept))
	for l := range db.listeners {
		l.push(changes)
	}
}

// forget drops the versions that were replaced at a time or before.
func (db *database) forget(horizon time.Time) {
	done := 0
	for ; done < len(db.replaced) && !db.replaced[done].at.After(horizon); done++ {
		d := db.replaced[done].document
		first := slices.IndexFunc(d.versions, func(v version) bool { return !v.at.Before(db.replaced[done].at) })
		for i, v := range d.versions[:first] {
			for _, x := range db.group(d.key.collection()).covering(d.key) {
				x.forget(d.key, v, d.versions[i+1].at)
			}
		}
		clear(d.versions[:first])
		d.versions = d.versions[first:]
		if len(d.versions) == 1 && !d.versions[0].exists() {
			db.documents.Delete(d.key)
			db.group(d.key.collection()).documents.Delete(d.key)
		}
	}
	clear(db.replaced[:done])
	db.replaced = db.replaced[done:]
}

// scan calls visit for every document that existed at a time and whose key begins with a prefix, in the order of
// names and beginning with a key, until visit says that it is enough.
func (db *database) scan(prefix string, from key, t time.Time, visit func(k key, v version) bool) {
	db.documents.Ascend(max(from, key(prefix)), func(k key, d *document) bool {
		if !strings.HasPrefix(string(k), prefix) {
			return false
		}
		db.examined.Add(1)
		v := d.at(t)
		return !v.exists() || visit(k, v)
	})
}

// proto is a version as it goes over the wire.
func (db *database) proto(k key, v version, m mask) *pb.Document {
	return &pb.Document{
		Name: db.resource(k), Fields: m.of(v.fields),
		CreateTime: timestamppb.New(v.created), UpdateTime: timestamppb.New(v.at),
	}
}
