package firestoretest

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// target is what a client listens to: some documents, or what a query finds.
type target struct {
	id    int32 // of the stream that it is added to
	db    *database
	query *query // nil: documents
	names []key
	has   map[key]time.Time // what the client was told of, by update time
}

func (db *database) newTarget(wanted *pb.Target) (*target, error) {
	t := &target{db: db, has: make(map[key]time.Time)}
	if id := wanted.GetTargetId(); id < 0 {
		return nil, invalid("the target id %d is negative", id)
	}
	var err error
	switch kind := wanted.GetTargetType().(type) {
	case *pb.Target_Query:
		t.query, err = db.newQuery(kind.Query.GetParent(), kind.Query.GetStructuredQuery())
		return t, err
	case *pb.Target_Documents:
		for _, name := range kind.Documents.GetDocuments() {
			k, err := db.document(name)
			if err != nil {
				return nil, err
			}
			t.names = append(t.names, k)
		}
		slices.Sort(t.names)
		t.names = slices.Compact(t.names)
		return t, nil
	default:
		return nil, invalid("unknown target %T", kind)
	}
}

// prepare makes the indexes that the target's query would like, if there is one.
func (t *target) prepare() {
	if t != nil && t.query != nil {
		t.db.prepare(t.query)
	}
}

// find gives what the target has at a time. The caller holds the lock.
func (t *target) find(at time.Time) []match {
	if t.query != nil {
		return t.db.run(t.query, at).matches
	}
	var found []match
	for _, k := range t.names {
		if v := t.db.get(k).at(at); v.exists() {
			found = append(found, match{key: k, version: v})
		}
	}
	return found
}

// matches reports whether the target has a document, if that can be told from the document alone.
func (t *target) matches(k key, v version) bool {
	if t.query == nil {
		_, named := slices.BinarySearch(t.names, k)
		return named && v.exists()
	}
	_, ok := t.query.matches(k, v)
	return ok
}

// alone reports whether it doesn't matter to one document of the target what others there are.
func (t *target) alone() bool {
	return t.query == nil || t.query.limit < 0 && t.query.offset == 0 && t.query.nearest == nil
}

// refresh tells what became of a target's documents by what was written, and reports whether there was anything.
func (l *listener) refresh(t *target, written map[key]bool, now time.Time) bool {
	before := len(l.told)
	for _, k := range slices.Sorted(maps.Keys(written)) {
		v := t.db.get(k).latest()
		_, had := t.has[k]
		switch has := t.matches(k, v); {
		case !had && !has:
		case !t.alone():
			l.update(t, now)
			return len(l.told) > before
		case has:
			l.has(t, k, v)
		default:
			l.lost(t, k, v, now)
		}
	}
	return len(l.told) > before
}

// update tells how what a target has now differs from what the client was told of.
func (l *listener) update(t *target, now time.Time) {
	found := t.find(now)
	stays := make(map[key]bool, len(found))
	for _, m := range found {
		stays[m.key] = true
	}
	for _, k := range slices.Sorted(maps.Keys(t.has)) {
		if !stays[k] {
			l.lost(t, k, t.db.get(k).at(now), now)
		}
	}
	for _, m := range found {
		l.has(t, m.key, m.version)
	}
}

// has tells of a document that is in a target, unless the client knows.
func (l *listener) has(t *target, k key, v version) {
	if t.has[k].Equal(v.at) {
		return
	}
	t.has[k] = v.at
	l.bill.read("Listen", k.collection(), 1)
	l.told = append(l.told, &pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentChange{
		DocumentChange: &pb.DocumentChange{Document: t.proto(k, v), TargetIds: []int32{t.id}},
	}})
}

// lost tells of a document that is no longer in a target. Only if it is there and was changed does it cost a read
// (https://firebase.google.com/docs/firestore/pricing#listens).
func (l *listener) lost(t *target, k key, v version, now time.Time) {
	knew := t.has[k]
	delete(t.has, k)
	ids := []int32{t.id}
	response := &pb.ListenResponse{}
	switch {
	case !v.exists():
		response.ResponseType = &pb.ListenResponse_DocumentDelete{
			DocumentDelete: &pb.DocumentDelete{Document: t.db.resource(k), RemovedTargetIds: ids, ReadTime: timestamppb.New(now)},
		}
	case v.at.Equal(knew): // others took its place
		response.ResponseType = &pb.ListenResponse_DocumentRemove{
			DocumentRemove: &pb.DocumentRemove{Document: t.db.resource(k), RemovedTargetIds: ids, ReadTime: timestamppb.New(now)},
		}
	default:
		l.bill.read("Listen", k.collection(), 1)
		response.ResponseType = &pb.ListenResponse_DocumentChange{
			DocumentChange: &pb.DocumentChange{Document: t.proto(k, v), RemovedTargetIds: ids},
		}
	}
	l.told = append(l.told, response)
}

// proto is a document as the target wants it.
func (t *target) proto(k key, v version) *pb.Document {
	if t.query == nil {
		return t.db.proto(k, v, nil)
	}
	return t.db.proto(k, v, t.query.projection)
}

// resumeToken and resumeTime turn a time into a token that a client can go on from, and back.
func resumeToken(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())) //nolint:gosec // bits, not a number
}

func resumeTime(wanted *pb.Target) (time.Time, error) {
	switch resume := wanted.GetResumeType().(type) {
	case *pb.Target_ResumeToken:
		if len(resume.ResumeToken) == 0 {
			return time.Time{}, nil
		}
		if len(resume.ResumeToken) != binary.Size(uint64(0)) {
			return time.Time{}, invalid("bad resume token")
		}
		return time.UnixMicro(int64(binary.BigEndian.Uint64(resume.ResumeToken))).UTC(), nil //nolint:gosec // bits, not a number
	case *pb.Target_ReadTime:
		return resume.ReadTime.AsTime(), nil
	default:
		return time.Time{}, nil
	}
}
