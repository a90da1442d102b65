package firestoretest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// reopened ends a server and starts another on its file.
func reopened(t *testing.T, s *Server) *Server {
	t.Helper()
	s.Close()
	return start(t, s.options)
}

// open starts a server that the test may close.
func open(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFileKeepsDocuments(t *testing.T) {
	now := time.Now()
	s := open(t, Options{File: filepath.Join(t.TempDir(), "db"), Now: func() time.Time { return now }})
	c, ctx := connect(t, s), t.Context()
	all := data{
		"null": nil, "bool": true, "int": int64(1), "float": 1.0, "time": now.UTC().Truncate(time.Microsecond), "text": "\x00ü",
		"bytes": []byte{0, 1}, "list": []any{int64(1), data{"a": nil}}, "map": data{}, "vector": firestore.Vector64{1, 2},
	}
	put(t, c, map[string]data{"a/1": {"old": true}, "a/2/b/ü": all, "a/3": {}})
	last, err := c.Batch().Set(c.Doc("a/1"), data{}).Delete(c.Doc("a/3")).Commit(ctx) //nolint:staticcheck // one commit
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(-time.Hour) // the clock of the next server is behind
	s = reopened(t, s)
	c = connect(t, s)
	wantSame(t, "every type", get(t, c, "a/2/b/ü"), all)
	kept, err := c.Doc("a/1").Get(ctx)
	if err != nil || !kept.UpdateTime.Equal(last[0].UpdateTime) || !kept.CreateTime.Before(kept.UpdateTime) || len(kept.Data()) != 0 {
		t.Errorf("an empty document: got %v of %v (%v), want %v", kept.Data(), kept.UpdateTime, err, last[0].UpdateTime)
	}
	_, err = c.Doc("a/3").Get(ctx)
	wantCode(t, "a deleted document", err, codes.NotFound)
	found, err := c.CollectionGroup("b").Documents(ctx).GetAll()
	if err != nil || ids(found) != "ü" {
		t.Errorf("a query: got %q (%v), want ü", ids(found), err)
	}
	next, err := c.Doc("a/1").Set(ctx, data{"n": 1}, firestore.MergeAll)
	if err != nil || !next.UpdateTime.After(last[0].UpdateTime) {
		t.Errorf("the next commit is of %v (%v), not after %v", next.UpdateTime, err, last[0].UpdateTime)
	}
	_, err = wire(t, s).GetDocument(ctx, &pb.GetDocumentRequest{
		Name: testDocuments + "/a/1", ConsistencySelector: &pb.GetDocumentRequest_ReadTime{ReadTime: timestamppb.New(last[0].UpdateTime)},
	})
	wantCode(t, "a read of the time before", err, codes.FailedPrecondition)
}

func TestFilesThatCanNotBeOpened(t *testing.T) {
	dir := t.TempDir()
	used := filepath.Join(dir, "used")
	start(t, Options{File: used})
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("garbage", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{used, garbage, filepath.Join(dir, "no", "such", "folder")} {
		if s, err := NewServer(Options{File: file}); err == nil {
			s.Close()
			t.Errorf("%s: no error", file)
		} else if !strings.Contains(err.Error(), file) {
			t.Errorf("got %q, want the file in it: %s", err, file)
		}
	}
}

// serveVariable makes this test binary a server on the file that it names.
const serveVariable = "FIRESTORETEST_SERVE"

// serve serves until the process is killed.
func serve(file string) {
	s, err := NewServer(Options{File: file})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	select {}
}

// A server is killed in the middle of commits, again and again. What was acknowledged is there, and each commit is whole
// or not there at all.
func TestKillLosesNothing(t *testing.T) {
	const writers, documents, rounds = 4, 5, 4
	file := filepath.Join(t.TempDir(), "db")
	var acknowledged [writers]int64
	for round := range rounds {
		writeUntilKilled(t, file, 30*(round+1), &acknowledged, documents)
		s := open(t, Options{File: file})
		c := connect(t, s)
		for w := range writers {
			var seen []int64
			for d := range documents {
				snapshot, err := c.Doc(fmt.Sprintf("w/%d-%d", w, d)).Get(t.Context())
				if err != nil {
					t.Fatalf("round %d: %v, of commit %d", round, err, acknowledged[w])
				}
				seen = append(seen, snapshot.Data()["n"].(int64))
			}
			for _, n := range seen {
				if n != seen[0] {
					t.Errorf("round %d, writer %d: half a commit, %v", round, w, seen)
				}
			}
			if seen[0] != acknowledged[w] && seen[0] != acknowledged[w]+1 {
				t.Errorf("round %d, writer %d: commit %d is there, %d was acknowledged", round, w, seen[0], acknowledged[w])
			}
			acknowledged[w] = seen[0]
		}
		s.Close()
	}
}

// writeUntilKilled starts a server in a process of its own, has each writer commit several documents at a time with the
// number of the commit, and kills the server after a number of commits, while others are under way.
func writeUntilKilled(t *testing.T, file string, enough int, acknowledged *[4]int64, documents int) {
	t.Helper()
	server := exec.CommandContext(t.Context(), os.Args[0])
	server.Env = append(os.Environ(), serveVariable+"="+file)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	w := wire(t, &Server{addr: strings.TrimSpace(addr)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var commits atomic.Int64
	var group errgroup.Group
	for i := range acknowledged {
		group.Go(func() error {
			for {
				r := &pb.CommitRequest{Database: testDatabase}
				for d := range documents {
					r.Writes = append(r.Writes, replace(fmt.Sprintf("w/%d-%d", i, d), fields{"n": integer(acknowledged[i] + 1)}))
				}
				if _, err := w.Commit(ctx, r); err != nil {
					return ctx.Err() // killed
				}
				acknowledged[i]++
				if commits.Add(1) == int64(enough) {
					if err := server.Process.Kill(); err != nil {
						return err
					}
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err == nil {
		t.Error("the server ended by itself")
	}
}
