package firestoretest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func FuzzFieldPath(f *testing.F) {
	for _, s := range []string{"a.b", "`a.b`.c", "`\\``", "`\\\\`", "a..b", "`", "", "1a", "`a`b", "`ü\x00`"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := fieldPath(text)
		if err != nil {
			return
		}
		if len(path) == 0 || slices.Contains(path, "") {
			t.Fatalf("%q gave %q", text, path)
		}
		if again, err := fieldPath(joinPath(path)); err != nil || !slices.Equal(again, path) {
			t.Errorf("%q is %q, which is written %q, which is %q (%v)", text, path, joinPath(path), again, err)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"", "/a", "/a/b", "/a/b/c/d", "/a//b", "/a/__b__", "/a/b\x00", "/a/ü"} {
		f.Add(testDocuments + s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		db := &database{name: testDatabase}
		k, err := db.document(name)
		if err != nil {
			wantCode(t, name, err, codes.InvalidArgument)
			return
		}
		if got := db.resource(k); got != name {
			t.Errorf("%q came back as %q", name, got)
		}
		if k.collection() != collectionOf(name) || key(k.parent()+separator) > k {
			t.Errorf("%q: collection %q of %q", name, k.collection(), k.parent())
		}
	})
}

// Values come back as they were written, to the microsecond, and sort as their encodings do.
func FuzzValue(f *testing.F) {
	all := ordered()
	for i, v := range all {
		a, err := proto.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(all[(i*7+3)%len(all)])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a, b)
	}
	s := start(f, Options{})
	f.Fuzz(func(t *testing.T, one, other []byte) {
		var a, b pb.Value
		if proto.Unmarshal(one, &a) != nil || proto.Unmarshal(other, &b) != nil {
			return
		}
		if checkFields("a\x001", fields{"a": &a, "b": &b}) != nil {
			return
		}
		if got, want := bytes.Compare(appendValue(nil, &a), appendValue(nil, &b)), compare(&a, &b); got != want {
			t.Errorf("%v and %v: encodings compare as %d, values as %d", &a, &b, got, want)
		}
		if back := compare(&b, &a); back != -compare(&a, &b) {
			t.Errorf("%v and %v: %d one way and %d the other", &a, &b, compare(&a, &b), back)
		}
		written := proto.CloneOf(&a)
		if _, err := s.Commit(t.Context(), &pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{replace("a/1", fields{"v": &a})}}); err != nil {
			t.Fatal(err)
		}
		read, err := s.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: testDocuments + "/a/1"})
		if err != nil || !proto.Equal(read.GetFields()["v"], written) {
			t.Errorf("wrote %v, read %v (%v)", written, read, err)
		}
	})
}

// calls are good requests, for the fuzzer to spoil.
func calls() []proto.Message {
	parent, doc := testDocuments, testDocuments+"/c/1"
	query := &pb.StructuredQuery{
		From: from("c"), OrderBy: orderBy("x"), Limit: wrapped(3), Offset: 1,
		Where: compound(pb.StructuredQuery_CompositeFilter_AND,
			compareField("x", pb.StructuredQuery_FieldFilter_GREATER_THAN, integer(0)),
			compareField("l", pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY, array([]*pb.Value{integer(1)}))),
		StartAt: &pb.Cursor{Values: []*pb.Value{integer(1), reference(doc)}, Before: true},
		Select:  &pb.StructuredQuery_Projection{Fields: []*pb.StructuredQuery_FieldReference{{FieldPath: "`x`"}}},
	}
	near := &pb.StructuredQuery{From: from("c"), FindNearest: &pb.StructuredQuery_FindNearest{
		VectorField: &pb.StructuredQuery_FieldReference{FieldPath: "v"}, QueryVector: vector(doubleValue(1), doubleValue(2)),
		DistanceMeasure: pb.StructuredQuery_FindNearest_COSINE, Limit: wrapped(3), DistanceResultField: "d",
	}}
	write := replace("c/1", fields{"x": integer(1), "l": array([]*pb.Value{integer(1)}), "v": vector(doubleValue(1), doubleValue(2))})
	write.UpdateMask = &pb.DocumentMask{FieldPaths: []string{"x", "m.y"}}
	write.UpdateTransforms = []*pb.DocumentTransform_FieldTransform{{
		FieldPath: "n", TransformType: &pb.DocumentTransform_FieldTransform_Increment{Increment: doubleValue(1)},
	}}
	write.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_UpdateTime{UpdateTime: timestamppb.New(timestamppb.Now().AsTime())}}
	return []proto.Message{
		&pb.GetDocumentRequest{Name: doc, Mask: write.GetUpdateMask()},
		&pb.ListDocumentsRequest{Parent: parent, CollectionId: "c", PageSize: 1, OrderBy: "x desc, y", PageToken: "x"},
		&pb.ListDocumentsRequest{Parent: parent, CollectionId: "c", ShowMissing: true},
		&pb.UpdateDocumentRequest{Document: write.GetUpdate(), UpdateMask: write.GetUpdateMask()},
		&pb.DeleteDocumentRequest{Name: doc},
		&pb.BatchGetDocumentsRequest{Database: testDatabase, Documents: []string{doc, doc}, ConsistencySelector: &pb.BatchGetDocumentsRequest_NewTransaction{}},
		&pb.BeginTransactionRequest{Database: testDatabase, Options: &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadOnly_{}}},
		&pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{write, {Operation: &pb.Write_Transform{Transform: &pb.DocumentTransform{
			Document: doc, FieldTransforms: write.GetUpdateTransforms(),
		}}}}},
		&pb.RollbackRequest{Database: testDatabase, Transaction: []byte("x")},
		&pb.RunQueryRequest{Parent: parent, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: query}},
		&pb.RunQueryRequest{Parent: parent, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: near}},
		&pb.RunAggregationQueryRequest{Parent: parent, QueryType: &pb.RunAggregationQueryRequest_StructuredAggregationQuery{
			StructuredAggregationQuery: counting("c"),
		}},
		&pb.PartitionQueryRequest{Parent: parent, PartitionCount: 3, QueryType: &pb.PartitionQueryRequest_StructuredQuery{
			StructuredQuery: &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c", AllDescendants: true}}},
		}},
		listenTo("c/1"), add(listenQuery(query)),
		&pb.ListCollectionIdsRequest{Parent: parent, PageToken: "c"},
		&pb.BatchWriteRequest{Database: testDatabase, Writes: []*pb.Write{write}},
		&pb.CreateDocumentRequest{Parent: parent, CollectionId: "c", DocumentId: "1", Document: &pb.Document{Fields: fields{"x": null}}},
	}
}

// requests is the stream of a client that has a number of requests and then no more.
type requests struct {
	grpc.ServerStream
	ctx  context.Context
	left [][]byte
}

func (r *requests) Context() context.Context { return r.ctx }

// SendMsg fails where gRPC would.
func (r *requests) SendMsg(m any) error {
	_, err := proto.Marshal(m.(proto.Message))
	return err
}

func (r *requests) RecvMsg(m any) error {
	if len(r.left) == 0 {
		return io.EOF
	}
	next := r.left[0]
	r.left = r.left[1:]
	return proto.Unmarshal(next, m.(proto.Message))
}

var errNotARequest = errors.New("not a request")

// No request, to whichever method and after whichever other, crashes the server, and the server says that it is bad
// and not that something is wrong with itself.
func FuzzRequests(f *testing.F) {
	methods := pb.Firestore_ServiceDesc.Methods
	streams := pb.Firestore_ServiceDesc.Streams
	encoded := func(i int) []byte {
		b, err := proto.Marshal(calls()[i%len(calls())])
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	for i := range calls() {
		for method := range len(methods) + len(streams) {
			f.Add(uint8(method), encoded(i), uint8(i), encoded(i*5+method)) //nolint:gosec // there are few
		}
	}
	s := start(f, Options{})
	f.Fuzz(func(t *testing.T, first uint8, a []byte, second uint8, b []byte) {
		s.mu.Lock()
		clear(s.databases)
		s.mu.Unlock()
		fill(t, s, "c", 3, func(i int) fields {
			return fields{"x": integer(int64(i)), "l": array([]*pb.Value{integer(1)}), "v": vector(doubleValue(1), doubleValue(2))}
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, call := range []struct {
			method  uint8
			request []byte
		}{{first, a}, {second, b}} {
			var err error
			if i := int(call.method) % (len(methods) + len(streams)); i < len(methods) {
				_, err = methods[i].Handler(s, ctx, func(m any) error {
					if proto.Unmarshal(call.request, m.(proto.Message)) != nil {
						return errNotARequest
					}
					return nil
				}, s.unary)
			} else {
				stream := streams[i-len(methods)]
				err = s.stream(s, &requests{ctx: ctx, left: [][]byte{call.request, call.request}}, &grpc.StreamServerInfo{
					FullMethod: "/" + stream.StreamName,
				}, stream.Handler)
			}
			switch status.Code(err) {
			case codes.Internal, codes.DataLoss:
				t.Errorf("method %d: %v", call.method, err)
			}
		}
		db, err := s.database(testDatabase)
		if err != nil {
			t.Fatal(err)
		}
		db.documents.Scan(func(k key, d *document) bool {
			if v := d.latest(); v.exists() {
				if err := checkFields(k, v.fields); err != nil {
					t.Errorf("%q was stored, though: %v", k, err)
				}
			}
			return true
		})
	})
}
