package firestoretest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(serveVariable); file != "" {
		serve(file)
	}
	goleak.VerifyTestMain(m)
}

const (
	testDatabase  = "projects/test/databases/(default)"
	testDocuments = testDatabase + documents
)

// start starts a server that ends with the test.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// connect gives the real client of a server.
func connect(t testing.TB, s *Server) *firestore.Client {
	t.Helper()
	t.Setenv("FIRESTORE_EMULATOR_HOST", s.Addr())
	c, err := firestore.NewClient(context.Background(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// client is the real client of a server of its own.
func client(t testing.TB) *firestore.Client {
	t.Helper()
	return connect(t, start(t, Options{}))
}

// wire speaks to a server without a client's help, retries and checks.
func wire(t testing.TB, s *Server) pb.FirestoreClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return pb.NewFirestoreClient(conn)
}

type data = map[string]any

// put stores documents, given by path.
func put(t testing.TB, c *firestore.Client, all map[string]data) {
	t.Helper()
	for path, d := range all {
		if _, err := c.Doc(path).Set(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
}

// get gives the fields of a document.
func get(t testing.TB, c *firestore.Client, path string) data {
	t.Helper()
	snapshot, err := c.Doc(path).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Data()
}

// ids are those of documents, in their order.
func ids(all []*firestore.DocumentSnapshot) string {
	var names []string
	for _, s := range all {
		names = append(names, s.Ref.ID)
	}
	return strings.Join(names, " ")
}

func wantCode(t testing.TB, what string, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s: got %v (%v), want %v", what, got, err, want)
	}
}

func wantSame(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestManyAtOnce(t *testing.T) {
	one, other := client(t), client(t)
	put(t, one, map[string]data{"a/1": {"n": 1}})
	_, err := other.Doc("a/1").Get(t.Context())
	wantCode(t, "read from another server", err, codes.NotFound)
}

func TestDatabasesAreApart(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s)
	put(t, c, map[string]data{"a/1": {"n": 1}})
	second, err := firestore.NewClientWithDatabase(t.Context(), "test", "second")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	_, err = second.Doc("a/1").Get(t.Context())
	wantCode(t, "read from another database", err, codes.NotFound)
}

// Close ends calls that are under way: one that waits, and one that listens.
func TestCloseEndsCalls(t *testing.T) {
	s, err := NewServer(Options{})
	if err != nil {
		t.Fatal(err)
	}
	waiting, ended := make(chan struct{}), atomic.Bool{}
	s.Inject(Fault{Method: "GetDocument", Wait: func(ctx context.Context, _ proto.Message) {
		close(waiting)
		<-ctx.Done()
		runtime.Gosched()
		ended.Store(true)
	}})
	w := wire(t, s)
	read := make(chan error, 1)
	go func() {
		_, err := w.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: testDocuments + "/a/1"})
		read <- err
	}()
	<-waiting
	listening, err := w.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := listening.Send(listenTo("a/1")); err != nil {
		t.Fatal(err)
	}
	if _, err := listening.Recv(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if !ended.Load() {
		t.Error("a call outlived its server")
	}
	wantCode(t, "the call that waited", <-read, codes.Unavailable)
	for err = nil; err == nil; {
		_, err = listening.Recv()
	}
	wantCode(t, "the stream", err, codes.Unavailable)
}

// A server that begins as another is has its documents, in all collections, and then both go their own ways.
func TestFromAnother(t *testing.T) {
	first := start(t, Options{})
	a := connect(t, first)
	put(t, a, map[string]data{"a/1": {"n": 1}, "a/2": {"n": 2}, "a/1/b/3": {"n": 3}})
	if _, err := a.Doc("a/2").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := connect(t, start(t, Options{From: first}))
	found := func(q firestore.Query) (got []string) {
		t.Helper()
		all, err := q.Documents(t.Context()).GetAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			got = append(got, fmt.Sprint(d.Ref.ID, d.Data()["n"]))
		}
		return got
	}
	if got := found(b.Collection("a").Query); !slices.Equal(got, []string{"11"}) {
		t.Errorf("the copy has %q", got)
	}
	if got := found(b.CollectionGroup("b").Where("n", ">", 2)); !slices.Equal(got, []string{"33"}) {
		t.Errorf("the copy has %q further down", got)
	}
	before, err := a.Doc("a/1").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	result, err := b.Doc("a/1").Set(t.Context(), data{"n": 5}, firestore.MergeAll)
	if err != nil || !result.UpdateTime.After(before.UpdateTime) {
		t.Errorf("a write to the copy: %v, at %v, after %v", err, result, before.UpdateTime)
	}
	put(t, a, map[string]data{"a/4": {"n": 4}})
	for name, tt := range map[string]struct {
		client *firestore.Client
		want   []string
	}{"first": {a, []string{"11", "44"}}, "copy": {b, []string{"15"}}} {
		if got := found(tt.client.Collection("a").Query); !slices.Equal(got, tt.want) {
			t.Errorf("the %s has %q, want %q", name, got, tt.want)
		}
	}
}
