package firestoretest

import (
	"context"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

func TestFaults(t *testing.T) {
	commits := func(path string) func(proto.Message) bool {
		return func(r proto.Message) bool {
			return nameOf(r.(*pb.CommitRequest).GetWrites()[0]) == testDocuments+"/"+path
		}
	}
	const ok, lost = codes.OK, codes.Unavailable
	for name, tt := range map[string]struct {
		fault Fault
		want  []codes.Code // of commits of a/0, a/1 and so on
		there []bool       // the documents afterwards
	}{
		"before":      {Fault{Method: "Commit", Code: lost}, []codes.Code{lost, ok}, []bool{false, true}},
		"after":       {Fault{Method: "Commit", Code: lost, After: true}, []codes.Code{lost, ok}, []bool{true, true}},
		"skip":        {Fault{Method: "Commit", Code: lost, Skip: 1}, []codes.Code{ok, lost, ok}, []bool{true, false, true}},
		"twice":       {Fault{Method: "Commit", Code: lost, Times: 2}, []codes.Code{lost, lost, ok}, []bool{false, false, true}},
		"all":         {Fault{Code: lost, Times: -1}, []codes.Code{lost, lost, lost}, nil},
		"another RPC": {Fault{Method: "BatchWrite", Code: lost}, []codes.Code{ok}, []bool{true}},
		"match":       {Fault{Method: "Commit", Code: lost, Match: commits("a/1")}, []codes.Code{ok, lost, ok}, []bool{true, false, true}},
		"no code":     {Fault{Method: "Commit", Delay: time.Nanosecond}, []codes.Code{ok}, []bool{true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{})
			w := wire(t, s)
			remove := s.Inject(tt.fault)
			path := func(i int) string { return "a/" + string(rune('0'+i)) }
			for i, want := range tt.want {
				_, err := w.Commit(t.Context(), &pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{replace(path(i), nil)}})
				wantCode(t, path(i), err, want)
			}
			remove()
			for i, want := range tt.there {
				_, err := w.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: testDocuments + "/" + path(i)})
				if (err == nil) != want {
					t.Errorf("%s is there: %v, want %v", path(i), err == nil, want)
				}
			}
		})
	}
}

// A commit can be held, before it takes effect and after.
func TestFaultHoldsCommit(t *testing.T) {
	for _, after := range []bool{false, true} {
		s := start(t, Options{})
		w := wire(t, s)
		held, release := make(chan struct{}), make(chan struct{})
		s.Inject(Fault{Method: "Commit", After: after, Wait: func(ctx context.Context, _ proto.Message) {
			close(held)
			select {
			case <-release:
			case <-ctx.Done():
			}
		}})
		committed := make(chan error, 1)
		go func() {
			_, err := w.Commit(t.Context(), &pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{replace("a/1", nil)}})
			committed <- err
		}()
		<-held
		read := &pb.GetDocumentRequest{Name: testDocuments + "/a/1"}
		if _, err := w.GetDocument(t.Context(), read); (err == nil) != after {
			t.Errorf("held after %v: the document is there %v", after, err == nil)
		}
		close(release)
		if err := <-committed; err != nil {
			t.Errorf("the commit that was held: %v", err)
		}
		if _, err := w.GetDocument(t.Context(), read); err != nil {
			t.Errorf("after the release: %v", err)
		}
	}
}

// Streams fail and lose their answers too.
func TestFaultsOfStreams(t *testing.T) {
	for _, after := range []bool{false, true} {
		s := start(t, Options{})
		w := wire(t, s)
		put(t, connect(t, s), map[string]data{"a/1": {}})
		s.Inject(Fault{Method: "RunQuery", After: after, Code: codes.Internal})
		s.Inject(Fault{Method: "Listen", After: after, Code: codes.Internal})
		query := &pb.RunQueryRequest{Parent: testDocuments, QueryType: &pb.RunQueryRequest_StructuredQuery{
			StructuredQuery: &pb.StructuredQuery{From: from("a")},
		}}
		for _, want := range []codes.Code{codes.Internal, codes.OK} {
			stream, err := w.RunQuery(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			all, err := receive(stream.Recv)
			wantCode(t, "query", err, want)
			if got := len(all); (got > 0) != (want == codes.OK) {
				t.Errorf("the query that ended with %v gave %d answers", want, got)
			}
		}
		l := listen(t, w, listenTo("a/1"))
		if err := l.CloseSend(); err != nil {
			t.Fatal(err)
		}
		_, err := receive(l.Recv)
		wantCode(t, "listen", err, codes.Internal)
	}
}
