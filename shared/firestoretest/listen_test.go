package firestoretest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// receive gives all that a stream has.
func receive[T any](recv func() (T, error)) ([]T, error) {
	var all []T
	for {
		one, err := recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
}

// listenTo asks for documents.
func listenTo(paths ...string) *pb.ListenRequest {
	var names []string
	for _, p := range paths {
		names = append(names, testDocuments+"/"+p)
	}
	return add(&pb.Target{TargetId: 7, TargetType: &pb.Target_Documents{Documents: &pb.Target_DocumentsTarget{Documents: names}}})
}

// listenQuery asks for what is found in a collection.
func listenQuery(q *pb.StructuredQuery) *pb.Target {
	return &pb.Target{TargetId: 7, TargetType: &pb.Target_Query{Query: &pb.Target_QueryTarget{
		Parent: testDocuments, QueryType: &pb.Target_QueryTarget_StructuredQuery{StructuredQuery: q},
	}}}
}

func add(target *pb.Target) *pb.ListenRequest {
	return &pb.ListenRequest{Database: testDatabase, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: target}}
}

func from(collection string) []*pb.StructuredQuery_CollectionSelector {
	return []*pb.StructuredQuery_CollectionSelector{{CollectionId: collection}}
}

// told writes a response down in short, without its time.
func told(r *pb.ListenResponse) string {
	id := func(name string) string { return name[strings.LastIndex(name, "/")+1:] }
	switch r := r.GetResponseType().(type) {
	case *pb.ListenResponse_TargetChange:
		kind := r.TargetChange.GetTargetChangeType().String()
		if cause := r.TargetChange.GetCause(); cause != nil {
			kind += " " + codes.Code(cause.GetCode()).String()
		}
		return kind
	case *pb.ListenResponse_DocumentChange:
		if len(r.DocumentChange.GetTargetIds()) == 0 {
			return "out " + id(r.DocumentChange.GetDocument().GetName())
		}
		return "in " + id(r.DocumentChange.GetDocument().GetName())
	case *pb.ListenResponse_DocumentDelete:
		return "deleted " + id(r.DocumentDelete.GetDocument())
	case *pb.ListenResponse_DocumentRemove:
		return "removed " + id(r.DocumentRemove.GetDocument())
	case *pb.ListenResponse_Filter:
		return "count " + string(rune('0'+r.Filter.GetCount()))
	default:
		return "?"
	}
}

// listening is a stream under test.
type listening struct {
	pb.Firestore_ListenClient
	t     *testing.T
	token []byte // of the last response that had one
}

func listen(t *testing.T, w pb.FirestoreClient, first *pb.ListenRequest) *listening {
	t.Helper()
	stream, err := w.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(first); err != nil {
		t.Fatal(err)
	}
	return &listening{Firestore_ListenClient: stream, t: t}
}

// wants reads as many responses as are wanted.
func (l *listening) wants(want ...string) {
	l.t.Helper()
	var got []string
	for range want {
		r, err := l.Recv()
		if err != nil {
			l.t.Fatalf("after %q: %v, want %q", got, err, want)
		}
		got = append(got, told(r))
		if token := r.GetTargetChange().GetResumeToken(); token != nil {
			l.token = token
		}
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("told %q, want %q", got, want)
	}
}

func TestListenToDocuments(t *testing.T) {
	s := start(t, Options{})
	w, c := wire(t, s), connect(t, s)
	put(t, c, map[string]data{"a/1": {"n": 1}})
	l := listen(t, w, listenTo("a/1", "a/2"))
	l.wants("ADD", "in 1", "CURRENT", "NO_CHANGE")
	put(t, c, map[string]data{"a/3": {"n": 1}})
	put(t, c, map[string]data{"a/2": {"n": 1}})
	l.wants("in 2", "NO_CHANGE")
	if _, err := c.Doc("a/1").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wants("deleted 1", "NO_CHANGE")
}

func TestListenToQuery(t *testing.T) {
	s := start(t, Options{})
	w, c := wire(t, s), connect(t, s)
	put(t, c, map[string]data{"a/1": {"n": 1}, "a/2": {"n": 2}, "a/3": {"n": 3}})
	l := listen(t, w, add(listenQuery(&pb.StructuredQuery{
		From: from("a"), Where: compareField("n", pb.StructuredQuery_FieldFilter_GREATER_THAN, integer(1)),
	})))
	l.wants("ADD", "in 2", "in 3", "CURRENT", "NO_CHANGE")
	put(t, c, map[string]data{"a/1": {"n": 0}}) // not to be told
	put(t, c, map[string]data{"a/3": {"n": 0}})
	l.wants("out 3", "NO_CHANGE")
	_, err := c.Batch().Delete(c.Doc("a/2")).Set(c.Doc("a/4"), data{"n": 4}).Commit(t.Context()) //nolint:staticcheck // one commit
	if err != nil {
		t.Fatal(err)
	}
	l.wants("deleted 2", "in 4", "NO_CHANGE")
}

// What a limit pushes out is told too.
func TestListenWithLimit(t *testing.T) {
	s := start(t, Options{})
	w, c := wire(t, s), connect(t, s)
	put(t, c, map[string]data{"a/1": {"n": 1}, "a/2": {"n": 2}, "a/3": {"n": 3}})
	l := listen(t, w, add(listenQuery(&pb.StructuredQuery{From: from("a"), OrderBy: orderBy("n"), Limit: wrapped(2)})))
	l.wants("ADD", "in 1", "in 2", "CURRENT", "NO_CHANGE")
	put(t, c, map[string]data{"a/0": {"n": 0}})
	l.wants("removed 2", "in 0", "NO_CHANGE")
	put(t, c, map[string]data{"a/0": {"n": 9}})
	l.wants("out 0", "in 2", "NO_CHANGE")
}

// A client that comes back is told what has changed meanwhile, what is gone too, and how many there are.
func TestListenResumes(t *testing.T) {
	now := time.Now()
	s := start(t, Options{Now: func() time.Time { return now }})
	w, c := wire(t, s), connect(t, s)
	put(t, c, map[string]data{"a/1": {"n": 1}, "a/2": {"n": 2}, "a/3": {"n": 3}})
	target := listenQuery(&pb.StructuredQuery{From: from("a"), Where: compareField("n", pb.StructuredQuery_FieldFilter_LESS_THAN, integer(9))})
	l := listen(t, w, add(target))
	l.wants("ADD", "in 1", "in 2", "in 3", "CURRENT", "NO_CHANGE")
	if err := l.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last request: got %v, want the end", err)
	}
	put(t, c, map[string]data{"a/1": {"n": 9}, "a/2": {"n": 3}, "a/4": {"n": 4}})
	if _, err := c.Doc("a/3").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	target.ResumeType = &pb.Target_ResumeToken{ResumeToken: l.token}
	listen(t, w, add(target)).wants("ADD", "out 1", "deleted 3", "in 2", "in 4", "count 2", "CURRENT", "NO_CHANGE")

	now = now.Add(2 * time.Hour) // too late: all is told again
	listen(t, w, add(target)).wants("ADD", "RESET", "in 2", "in 4", "CURRENT", "NO_CHANGE")

	target.ResumeType = &pb.Target_ReadTime{ReadTime: timestamppb.New(now)}
	listen(t, w, add(target)).wants("ADD", "count 2", "CURRENT", "NO_CHANGE")
}

func TestListenTargets(t *testing.T) {
	s := start(t, Options{})
	w, c := wire(t, s), connect(t, s)
	put(t, c, map[string]data{"a/1": {}, "b/1": {}})
	l := listen(t, w, add(listenQuery(&pb.StructuredQuery{From: from("a")})))
	l.wants("ADD", "in 1", "CURRENT", "NO_CHANGE")
	other := listenQuery(&pb.StructuredQuery{From: from("b")})
	other.TargetId = 8
	for _, step := range []struct {
		name    string
		request *pb.ListenRequest
		want    []string
	}{
		{"another target", add(other), []string{"ADD", "in 1", "CURRENT", "NO_CHANGE"}},
		{"a target taken away", &pb.ListenRequest{
			Database: testDatabase, TargetChange: &pb.ListenRequest_RemoveTarget{RemoveTarget: 7},
		}, []string{"REMOVE"}},
		{"an id twice", add(other), []string{"REMOVE InvalidArgument"}},
		{"a bad query", add(listenQuery(&pb.StructuredQuery{From: from("")})), []string{"REMOVE InvalidArgument"}},
		{"a bad token", add(&pb.Target{
			TargetId: 9, TargetType: other.GetTargetType(), ResumeType: &pb.Target_ResumeToken{ResumeToken: []byte("x")},
		}), []string{"REMOVE InvalidArgument"}},
		{"once", add(&pb.Target{TargetType: other.GetTargetType(), Once: true}), []string{"ADD", "in 1", "CURRENT", "REMOVE", "NO_CHANGE"}},
	} {
		t.Log(step.name)
		if err := l.Send(step.request); err != nil {
			t.Fatal(err)
		}
		l.wants(step.want...)
	}
	put(t, c, map[string]data{"a/2": {}, "b/2": {}})
	if err := l.Send(&pb.ListenRequest{Database: "projects/test/databases/other"}); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		var r *pb.ListenResponse
		if r, err = l.Recv(); err == nil && strings.Contains(told(r), "2") {
			t.Errorf("no target is left, and was told %q", told(r))
		}
	}
	wantCode(t, "a request for another database", err, codes.InvalidArgument)
}

// The real client sees each state of a query that it stops at, though streams break in between.
func TestClientListens(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	it := c.Collection("a").OrderBy("n", firestore.Asc).Snapshots(ctx)
	defer it.Stop()
	next := func(want string) {
		t.Helper()
		for {
			snapshot, err := it.Next()
			if err != nil {
				t.Fatal(err)
			}
			all, err := snapshot.Documents.GetAll()
			if err != nil {
				t.Fatal(err)
			}
			if ids(all) == want {
				return
			}
		}
	}
	next("")
	put(t, c, map[string]data{"a/1": {"n": 1}, "a/2": {"n": 0}})
	next("2 1")
	if _, err := c.Doc("a/2").Delete(ctx); err != nil {
		t.Fatal(err)
	}
	next("1")
	doc := c.Doc("a/9").Snapshots(ctx)
	defer doc.Stop()
	if snapshot, err := doc.Next(); err != nil || snapshot.Exists() {
		t.Errorf("a missing document: got %v (%v)", snapshot, err)
	}
	doc.Stop()
	if _, err := doc.Next(); !errors.Is(err, iterator.Done) {
		t.Errorf("after stop: got %v", err)
	}
}
