package firestoretest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
)

func TestBatchGet(t *testing.T) {
	s := start(t, Options{})
	put(t, connect(t, s), map[string]data{"a/1": {"x": 1, "m": data{"y": 2, "z": 3}}})
	w := wire(t, s)
	name := func(path string) string { return testDocuments + "/" + path }
	stream, err := w.BatchGetDocuments(t.Context(), &pb.BatchGetDocumentsRequest{
		Database: testDatabase, Documents: []string{name("a/2"), name("a/1"), name("a/1")},
		Mask:                &pb.DocumentMask{FieldPaths: []string{"m.y", "none"}},
		ConsistencySelector: &pb.BatchGetDocumentsRequest_NewTransaction{NewTransaction: &pb.TransactionOptions{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := receive(stream.Recv)
	if err != nil || len(all) != 3 { // the transaction, and one answer for each document
		t.Fatalf("got %v (%v), want three answers", all, err)
	}
	if len(all[0].GetTransaction()) == 0 || all[1].GetMissing() != name("a/2") {
		t.Errorf("got %v, want a transaction and then what is missing", all[:2])
	}
	if f := all[2].GetFound().GetFields(); len(f) != 1 || len(f["m"].GetMapValue().GetFields()) != 1 {
		t.Errorf("got %v, want m.y alone", f)
	}
}

func TestListing(t *testing.T) {
	s := start(t, Options{})
	c, ctx := connect(t, s), t.Context()
	put(t, c, map[string]data{
		"a/1": {"n": 3}, "a/2!/sub/x": {}, "a/2/sub/x": {}, "a/2/tub/x": {}, "b/1": {}, "a/3": {"n": 1}, "a/2/sub/x/deep/y": {}, "a/4": {"n": 2},
	})
	refs, err := c.Collection("a").DocumentRefs(ctx).GetAll()
	var names []string
	for _, r := range refs {
		names = append(names, r.ID)
	}
	if err != nil || !slices.Equal(names, []string{"1", "2", "2!", "3", "4"}) {
		t.Errorf("documents: got %q, %v, want those too that only have documents below them", names, err)
	}
	collections, err := c.Doc("a/2").Collections(ctx).GetAll()
	if err != nil || len(collections) != 2 || collections[0].ID != "sub" || collections[1].ID != "tub" {
		t.Errorf("collections: got %v, %v", collections, err)
	}
	for name, tt := range map[string]struct {
		request *pb.ListDocumentsRequest
		want    string
	}{
		"by name": {&pb.ListDocumentsRequest{}, "1 3 4"}, "ordered": {&pb.ListDocumentsRequest{OrderBy: "n desc"}, "1 4 3"},
		"missing too": {&pb.ListDocumentsRequest{ShowMissing: true}, "1 2 2! 3 4"},
	} {
		tt.request.Parent, tt.request.CollectionId, tt.request.PageSize = testDocuments, "a", 1
		if got := pages(t, wire(t, s), tt.request); got != tt.want {
			t.Errorf("%s, page by page: got %q, want %q", name, got, tt.want)
		}
	}
	_, err = wire(t, s).ListDocuments(ctx, &pb.ListDocumentsRequest{Parent: testDocuments, CollectionId: "a", PageToken: "x"})
	wantCode(t, "a foreign page token", err, codes.InvalidArgument)
}

// pages lists page by page.
func pages(t *testing.T, w pb.FirestoreClient, r *pb.ListDocumentsRequest) string {
	t.Helper()
	var names []string
	for {
		page, err := w.ListDocuments(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.GetDocuments() {
			names = append(names, d.GetName()[strings.LastIndex(d.GetName(), "/")+1:])
		}
		if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
			return strings.Join(names, " ")
		}
	}
}

// The parts of a collection group have all of it, once.
func TestPartitions(t *testing.T) {
	const documents, parts = 1500, 5
	s := start(t, Options{})
	c, ctx := connect(t, s), t.Context()
	w := wire(t, s)
	for i := 0; i < documents; i += maxBatch {
		r := &pb.CommitRequest{Database: testDatabase}
		for n := range maxBatch {
			r.Writes = append(r.Writes, replace(fmt.Sprintf("u/%d/c/%d", n%7, i+n), nil))
		}
		if _, err := w.Commit(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	queries, err := c.CollectionGroup("c").GetPartitionedQueries(ctx, parts-1) // so many cuts
	if err != nil || len(queries) != parts {
		t.Fatalf("%d queries (%v), want %d", len(queries), err, parts)
	}
	seen := make(map[string]bool)
	for _, q := range queries {
		found, err := q.Documents(ctx).GetAll()
		if err != nil || len(found) < documents/parts/2 || len(found) > documents/parts*2 {
			t.Errorf("a part has %d documents (%v), want about %d", len(found), err, documents/parts)
		}
		for _, f := range found {
			seen[f.Ref.Path] = true
		}
	}
	if len(seen) != documents {
		t.Errorf("the parts have %d documents, want %d", len(seen), documents)
	}
}

func TestNearest(t *testing.T) {
	c, ctx := client(t), t.Context()
	put(t, c, map[string]data{
		"a/1": {"v": firestore.Vector64{1, 0}, "s": "x"}, "a/2": {"v": firestore.Vector64{3, 4}, "s": "x"}, "a/3": {"v": firestore.Vector64{0, -2}},
		"a/4": {"v": firestore.Vector64{1, 0, 0}}, "a/5": {"v": []any{1.0, 0.0}}, "a/6": {"s": "x"},
	})
	threshold := func(d float64) *firestore.FindNearestOptions {
		return &firestore.FindNearestOptions{DistanceThreshold: &d, DistanceResultField: "d"}
	}
	result := &firestore.FindNearestOptions{DistanceResultField: "d"}
	all := c.Collection("a")
	const (
		euclidean = firestore.DistanceMeasureEuclidean
		cosine    = firestore.DistanceMeasureCosine
		dot       = firestore.DistanceMeasureDotProduct
	)
	for name, tt := range map[string]struct {
		query     firestore.Query
		limit     int
		measure   firestore.DistanceMeasure
		options   *firestore.FindNearestOptions
		want      string
		distances []float64
	}{
		"euclidean":           {all.Query, 9, euclidean, result, "1 3 2", []float64{0, math.Sqrt(5), math.Sqrt(20)}},
		"cosine":              {all.Query, 9, cosine, result, "1 2 3", []float64{0, 0.4, 1}},
		"dot product":         {all.Query, 9, dot, result, "2 1 3", []float64{3, 1, 0}},
		"the first":           {all.Query, 1, euclidean, result, "1", []float64{0}},
		"near enough":         {all.Query, 9, euclidean, threshold(3), "1 3", []float64{0, math.Sqrt(5)}},
		"great enough":        {all.Query, 9, dot, threshold(1), "2 1", []float64{3, 1}},
		"among what is found": {all.Where("s", "==", "x"), 9, euclidean, result, "1 2", []float64{0, math.Sqrt(20)}},
	} {
		q := tt.query.FindNearest("v", firestore.Vector64{1, 0}, tt.limit, tt.measure, tt.options)
		found, err := q.Documents(ctx).GetAll()
		if got := ids(found); err != nil || got != tt.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, tt.want)
			continue
		}
		for i, f := range found {
			if d := f.Data()["d"].(float64); math.Abs(d-tt.distances[i]) > 1e-12 {
				t.Errorf("%s: the distance of %s is %v, want %v", name, f.Ref.ID, d, tt.distances[i])
			}
		}
	}
	_, err := all.FindNearest("v", firestore.Vector64{1, 0}, 1001, euclidean, nil).Documents(ctx).GetAll()
	wantCode(t, "1001 neighbours", err, codes.InvalidArgument)
}

func TestComposite(t *testing.T) {
	fields := func(paths ...string) []IndexField {
		var all []IndexField
		for _, p := range paths {
			name, desc := strings.CutSuffix(p, " desc")
			all = append(all, IndexField{Path: name, Descending: desc})
		}
		return all
	}
	c := connect(t, start(t, Options{Indexes: []Index{
		{"a", fields("x", "n")}, {"a", fields("y", "n")}, {"a", fields("x", "y", "z", "n desc")}, {"a", fields("n", "m desc")}, {"every", nil},
	}}))
	a := c.Collection("a")
	or := firestore.OrFilter{Filters: []firestore.EntityFilter{where("x", "==", 1), where("w", "==", 1)}}
	for name, tt := range map[string]struct {
		query firestore.Query
		want  codes.Code
	}{
		"all":                      {a.Query, codes.OK},
		"equalities":               {a.Where("w", "==", 1).Where("v", "==", 1), codes.OK},
		"one order":                {a.OrderBy("w", firestore.Desc), codes.OK},
		"an inequality":            {a.Where("w", ">", 1), codes.OK},
		"equal and ordered by it":  {a.Where("w", "==", 1).OrderBy("w", firestore.Asc), codes.OK},
		"an index":                 {a.Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.OK},
		"an index, by inequality":  {a.Where("x", "==", 1).Where("n", ">", 1), codes.OK},
		"the other direction":      {a.Where("x", "==", 1).OrderBy("n", firestore.Desc), codes.FailedPrecondition},
		"another field":            {a.Where("w", "==", 1).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
		"merged":                   {a.Where("y", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.OK},
		"one of two":               {a.Where("w", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
		"three":                    {a.Where("z", "==", 1).Where("y", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Desc), codes.OK},
		"less than an index has":   {a.Where("y", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Desc), codes.FailedPrecondition},
		"two orders":               {a.OrderBy("n", firestore.Asc).OrderBy("m", firestore.Desc), codes.OK},
		"two orders the other way": {a.OrderBy("n", firestore.Asc).OrderBy("m", firestore.Asc), codes.FailedPrecondition},
		"the name the other way":   {a.OrderBy("w", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Desc), codes.FailedPrecondition},
		"or, one without":          {a.WhereEntity(or).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
		"in":                       {a.Where("x", "in", []int{1, 2}).OrderBy("n", firestore.Asc), codes.OK},
		"every index":              {c.Collection("every").Where("w", "==", 1).OrderBy("n", firestore.Asc), codes.OK},
		"another collection":       {c.Collection("b").Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
	} {
		_, err := tt.query.Documents(t.Context()).GetAll()
		wantCode(t, name, err, tt.want)
	}
}
