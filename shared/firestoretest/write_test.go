package firestoretest

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestPreconditions(t *testing.T) {
	c, ctx := client(t), t.Context()
	there, missing := c.Doc("a/there"), c.Doc("a/missing")
	first, err := there.Create(ctx, data{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	second, err := there.Set(ctx, data{"n": 2})
	if err != nil {
		t.Fatal(err)
	}
	if !second.UpdateTime.After(first.UpdateTime) {
		t.Errorf("update time %v is not after %v", second.UpdateTime, first.UpdateTime)
	}
	change := []firestore.Update{{Path: "n", Value: 3}}
	old, latest := firestore.LastUpdateTime(first.UpdateTime), firestore.LastUpdateTime(second.UpdateTime)
	future := firestore.LastUpdateTime(time.Now().Add(time.Hour))
	for _, tt := range []struct {
		name string
		do   func() (*firestore.WriteResult, error)
		want codes.Code
	}{
		{"create what is there", func() (*firestore.WriteResult, error) { return there.Create(ctx, data{}) }, codes.AlreadyExists},
		{"update what isn't", func() (*firestore.WriteResult, error) { return missing.Update(ctx, change) }, codes.NotFound},
		{"delete what must exist", func() (*firestore.WriteResult, error) { return missing.Delete(ctx, firestore.Exists) }, codes.NotFound},
		{"delete what isn't there", func() (*firestore.WriteResult, error) { return missing.Delete(ctx) }, codes.OK},
		{"update an old version", func() (*firestore.WriteResult, error) { return there.Update(ctx, change, old) }, codes.FailedPrecondition},
		{"delete an old version", func() (*firestore.WriteResult, error) { return there.Delete(ctx, old) }, codes.FailedPrecondition},
		{"a version of what isn't there", func() (*firestore.WriteResult, error) { return missing.Update(ctx, change, old) }, codes.FailedPrecondition},
		{"a version to come", func() (*firestore.WriteResult, error) { return there.Update(ctx, change, future) }, codes.InvalidArgument},
		{"update the latest version", func() (*firestore.WriteResult, error) { return there.Update(ctx, change, latest) }, codes.OK},
	} {
		_, err := tt.do()
		wantCode(t, tt.name, err, tt.want)
	}
	wantSame(t, "what is left", get(t, c, "a/there"), data{"n": int64(3)})
	if _, err := c.Doc("a/missing").Get(ctx); err == nil {
		t.Error("a refused write made a document")
	}
}

// What was written and refused together is refused together, and the writes of a commit see each other.
func TestCommitIsAtomic(t *testing.T) {
	c, ctx := client(t), t.Context()
	_, err := c.Batch().Set(c.Doc("a/0"), data{}).Set(c.Doc("a/1"), data{"x": 1}).Create(c.Doc("a/1"), data{"x": 2}).Commit(ctx) //nolint:staticcheck // one commit
	wantCode(t, "a create after a set of the same", err, codes.AlreadyExists)
	for _, path := range []string{"a/0", "a/1"} {
		_, err = c.Doc(path).Get(ctx)
		wantCode(t, "read of what was half written", err, codes.NotFound)
	}
	results, err := c.Batch().Set(c.Doc("a/0"), data{"x": 1}).Set(c.Doc("a/1"), data{"x": 1}).Commit(ctx) //nolint:staticcheck // one commit
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{"a/0", "a/1"} {
		snapshot, err := c.Doc(path).Get(ctx)
		if err != nil || !snapshot.UpdateTime.Equal(results[i].UpdateTime) || !snapshot.UpdateTime.Equal(results[0].UpdateTime) {
			t.Errorf("%s is of %v (%v), want %v as all of the commit", path, snapshot.UpdateTime, err, results[0].UpdateTime)
		}
	}
}

func TestWriteThatChangesNothingKeepsItsTime(t *testing.T) {
	c, ctx := client(t), t.Context()
	doc := c.Doc("a/1")
	first, err := doc.Set(ctx, data{"n": 1, "m": data{"x": 1.5}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := doc.Update(ctx, []firestore.Update{{Path: "m.x", Value: 1.5}}, firestore.LastUpdateTime(first.UpdateTime))
	if err != nil || !again.UpdateTime.Equal(first.UpdateTime) {
		t.Errorf("the same again is of %v (%v), want %v", again.UpdateTime, err, first.UpdateTime)
	}
	if other, err := doc.Set(ctx, data{"n": 1.0, "m": data{"x": 1.5}}); err != nil || !other.UpdateTime.After(first.UpdateTime) {
		t.Errorf("1.0 in place of 1 is of %v (%v), want later than %v", other.UpdateTime, err, first.UpdateTime)
	}
}

// Times of commits grow while the clock stands still, and when it goes back.
func TestTimesGrow(t *testing.T) {
	now := time.Unix(1e9, 999)
	c := connect(t, start(t, Options{Now: func() time.Time { return now }}))
	var last time.Time
	for i := range 50 {
		now = now.Add(-time.Duration(i) * time.Second)
		result, err := c.Doc("a/1").Set(t.Context(), data{"at": firestore.ServerTimestamp})
		if err != nil {
			t.Fatal(err)
		}
		at := get(t, c, "a/1")["at"].(time.Time)
		if !at.After(last) || !at.Equal(result.UpdateTime) || at.Nanosecond()%1000 != 0 {
			t.Fatalf("commit %d is of %v, after %v, with the server time %v", i, result.UpdateTime, last, at)
		}
		last = at
	}
}

func TestMasksAndTransforms(t *testing.T) {
	c, ctx := client(t), t.Context()
	doc := c.Doc("a/1")
	put(t, c, map[string]data{"a/1": {
		"m":    data{"keep": true, "drop": 1, "a.b": 1, "odd`\\ ü": 1},
		"tags": []any{1, 2.0, "x"}, "n": 1, "text": "t", "peak": 5,
	}})
	_, err := doc.Update(ctx, []firestore.Update{
		{FieldPath: firestore.FieldPath{"m", "a.b"}, Value: 2},
		{FieldPath: firestore.FieldPath{"m", "odd`\\ ü"}, Value: 3},
		{Path: "m.drop", Value: firestore.Delete},
		{Path: "m.new.deep", Value: "x"},
		{Path: "n", Value: firestore.Increment(2.5)},
		{Path: "text", Value: firestore.Increment(7)},
		{Path: "peak", Value: firestore.FieldTransformMaximum(4)},
		{Path: "least", Value: firestore.FieldTransformMinimum(-1)},
		{Path: "tags", Value: firestore.ArrayUnion(2, "y", "y")},
		{Path: "none", Value: firestore.ArrayRemove("y")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := data{
		"m":    data{"keep": true, "a.b": int64(2), "odd`\\ ü": int64(3), "new": data{"deep": "x"}},
		"tags": []any{int64(1), 2.0, "x", "y"}, "none": []any{},
		"n": 3.5, "text": int64(7), "peak": int64(5), "least": int64(-1),
	}
	wantSame(t, "after the update", get(t, c, "a/1"), want)
	if _, err := doc.Set(ctx, data{"m": data{"keep": 9}, "tags": firestore.ArrayRemove(1, 2)}, firestore.MergeAll); err != nil {
		t.Fatal(err)
	}
	want["m"].(data)["keep"], want["tags"] = int64(9), []any{"x", "y"}
	wantSame(t, "after the merge", get(t, c, "a/1"), want)
}

func TestNumericTransforms(t *testing.T) {
	type change = pb.DocumentTransform_FieldTransform
	add := func(v *pb.Value) *change {
		return &change{TransformType: &pb.DocumentTransform_FieldTransform_Increment{Increment: v}}
	}
	most := func(v *pb.Value) *change {
		return &change{TransformType: &pb.DocumentTransform_FieldTransform_Maximum{Maximum: v}}
	}
	least := func(v *pb.Value) *change {
		return &change{TransformType: &pb.DocumentTransform_FieldTransform_Minimum{Minimum: v}}
	}
	nan := doubleValue(math.NaN())
	for _, tt := range []struct {
		old    *pb.Value
		change *change
		want   *pb.Value
	}{
		{integer(2), add(integer(3)), integer(5)},
		{integer(2), add(doubleValue(0.5)), doubleValue(2.5)},
		{doubleValue(0.5), add(integer(2)), doubleValue(2.5)},
		{nil, add(integer(3)), integer(3)},
		{null, add(integer(3)), integer(3)},
		{integer(math.MaxInt64 - 1), add(integer(2)), integer(math.MaxInt64)},
		{integer(math.MinInt64 + 1), add(integer(-2)), integer(math.MinInt64)},
		{integer(3), most(doubleValue(3)), integer(3)},
		{integer(3), most(doubleValue(3.5)), doubleValue(3.5)},
		{integer(3), least(doubleValue(2.5)), doubleValue(2.5)},
		{doubleValue(0), least(integer(0)), doubleValue(0)},
		{nan, least(integer(3)), nan},
		{integer(3), least(nan), nan},
		{nan, most(integer(3)), nan},
		{integer(3), most(nan), nan},
	} {
		tt.change.FieldPath = "n"
		f := fields{}
		if tt.old != nil {
			f["n"] = tt.old
		}
		got, results, err := transform(f, []*change{tt.change}, time.Now())
		if err != nil || !proto.Equal(got["n"], tt.want) || !proto.Equal(results[0], tt.want) {
			t.Errorf("%v on %v: got %v, result %v (%v), want %v", tt.change, tt.old, got["n"], results, err, tt.want)
		}
	}
}

// Documents are kept as Firestore keeps them, to the microsecond.
func TestStoresMicroseconds(t *testing.T) {
	c := client(t)
	put(t, c, map[string]data{"a/1": {"at": time.Unix(1, 1999), "list": []any{time.Unix(2, 1)}}})
	wantSame(t, "times", get(t, c, "a/1"), data{"at": time.Unix(1, 1000).UTC(), "list": []any{time.Unix(2, 0).UTC()}})
}

// replace is a write of fields.
func replace(path string, f fields) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: testDocuments + "/" + path, Fields: f}}}
}

func longText(n int) *pb.Value { return stringValue(strings.Repeat("x", n)) }

func stringValue(s string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}}
}

func mapValue(f fields) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: f}}}
}

// nested is a value that many maps lie around.
func nested(depth int) *pb.Value {
	v := integer(1)
	for range depth {
		v = mapValue(fields{"m": v})
	}
	return v
}

// The limits are those of https://firebase.google.com/docs/firestore/quotas.
func TestRefused(t *testing.T) {
	w, ctx := wire(t, start(t, Options{})), t.Context()
	increments := func(n int) *pb.Write {
		write := replace("a/1", nil)
		for range n {
			write.UpdateTransforms = append(write.UpdateTransforms, &pb.DocumentTransform_FieldTransform{
				FieldPath: "n", TransformType: &pb.DocumentTransform_FieldTransform_Increment{Increment: integer(1)},
			})
		}
		return write
	}
	masked := func(paths ...string) *pb.Write {
		write := replace("a/1", nil)
		write.UpdateMask = &pb.DocumentMask{FieldPaths: paths}
		return write
	}
	elements := func(n int, more fields) *pb.Write {
		values := make([]*pb.Value, n)
		for i := range values {
			values[i] = integer(int64(i))
		}
		more["list"] = array(append(values, values[0])) // what is there twice is indexed once
		return replace("a/1", fields{"m": mapValue(more)})
	}
	// A name of a/1 takes 16+2+2 bytes, a field x 2, the string one more than it has, the document 32.
	const overhead = 16 + 2 + 2 + 32 + 2 + 1
	const ok, bad = codes.OK, codes.InvalidArgument
	for name, tt := range map[string]struct {
		write *pb.Write
		want  codes.Code
	}{
		"1 MiB":                    {replace("a/1", fields{"x": longText(1<<20 - overhead)}), ok},
		"a byte more":              {replace("a/1", fields{"x": longText(1<<20 - overhead + 1)}), bad},
		"500 transforms":           {increments(500), ok},
		"501 transforms":           {increments(501), bad},
		"20 deep":                  {replace("a/1", fields{"x": nested(19)}), ok},
		"21 deep":                  {replace("a/1", fields{"x": nested(20)}), bad},
		"an array in an array":     {replace("a/1", fields{"x": array([]*pb.Value{array(nil)})}), bad},
		"a reserved field":         {replace("a/1", fields{"__x__": integer(1)}), bad},
		"a reserved field, nested": {replace("a/1", fields{"m": mapValue(fields{"__x__": integer(1)})}), bad},
		"a field without a name":   {replace("a/1", fields{"": integer(1)}), bad},
		"a field of 1501 bytes":    {replace("a/1", fields{strings.Repeat("x", 1501): integer(1)}), bad},
		"a value of no type":       {replace("a/1", fields{"x": {}}), bad},
		"a collection":             {replace("a", nil), bad},
		"no document":              {replace("", nil), bad},
		"an empty segment":         {replace("a//b/c", nil), bad},
		"a dot":                    {replace("a/.", nil), bad},
		"a reserved id":            {replace("a/__1__", nil), bad},
		"an id of 1500 bytes":      {replace("a/"+strings.Repeat("x", 1500), nil), ok},
		"an id of 1501 bytes":      {replace("a/"+strings.Repeat("x", 1501), nil), bad},
		"101 collections deep":     {replace(strings.Repeat("a/b/", 100)+"a/b", nil), bad},
		"a bad mask":               {masked("a..b"), bad},
		"an unquoted path":         {masked("a b"), bad},
		"paths that overlap":       {masked("m.x", "n", "m"), bad},
		"paths that don't":         {masked("m.x", "m.y", "mx", "n"), ok},
		"40000 index entries":      {elements(39_998, fields{"x": integer(1)}), ok},
		"40001 index entries":      {elements(39_999, fields{"x": integer(1)}), bad},
		"another database":         {&pb.Write{Operation: &pb.Write_Delete{Delete: "projects/test/databases/other/documents/a/1"}}, bad},
		"no operation":             {&pb.Write{}, bad},
		"a time out of range":      {replace("a/1", fields{"x": {ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Nanos: -1}}}}), bad},
	} {
		_, err := w.Commit(ctx, &pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{tt.write}})
		wantCode(t, name, err, tt.want)
	}
}

// A request of 10 MiB is taken, and one with a byte more is not.
func TestLargestRequest(t *testing.T) {
	w, ctx := wire(t, start(t, Options{})), t.Context()
	const writes = 11 // so that no document comes near its own limit
	commit := func(last int) *pb.CommitRequest {
		r := &pb.CommitRequest{Database: testDatabase}
		for i := range writes {
			r.Writes = append(r.Writes, replace("a/"+string(rune('a'+i)), fields{"x": longText(950_000)}))
		}
		r.Writes = append(r.Writes, replace("a/z", fields{"x": longText(last)}))
		return r
	}
	const some = 20_000
	exact := some + 10<<20 - proto.Size(commit(some)) // the lengths have as many bytes
	for over, want := range []codes.Code{codes.OK, codes.InvalidArgument} {
		r := commit(exact + over)
		if got := proto.Size(r); got != 10<<20+over {
			t.Fatalf("the request has %d bytes, want %d", got, 10<<20+over)
		}
		_, err := w.Commit(ctx, r)
		wantCode(t, "a request with more than 10 MiB by "+strconv.Itoa(over), err, want)
	}
}

// A batch write is as many commits as it has writes.
func TestBatchWriteFailsOneByOne(t *testing.T) {
	w, ctx := wire(t, start(t, Options{})), t.Context()
	exists := func(there bool, write *pb.Write) *pb.Write {
		write.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: there}}
		return write
	}
	writes := []*pb.Write{replace("a/1", nil), exists(true, replace("a/2", nil)), exists(false, replace("a/3", nil))}
	response, err := w.BatchWrite(ctx, &pb.BatchWriteRequest{Database: testDatabase, Writes: writes})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []codes.Code{codes.OK, codes.NotFound, codes.OK} {
		got, at := codes.Code(response.GetStatus()[i].GetCode()), response.GetWriteResults()[i].GetUpdateTime()
		if got != want || (at != nil) != (want == codes.OK) {
			t.Errorf("write %d: got %v with the time %v, want %v", i, got, at, want)
		}
	}
	_, err = w.BatchWrite(ctx, &pb.BatchWriteRequest{Database: testDatabase, Writes: []*pb.Write{replace("a/1", nil), replace("a/1", nil)}})
	wantCode(t, "a document twice", err, codes.InvalidArgument)
}

func TestSingleDocumentCalls(t *testing.T) {
	w, ctx := wire(t, start(t, Options{})), t.Context()
	made, err := w.CreateDocument(ctx, &pb.CreateDocumentRequest{
		Parent: testDocuments, CollectionId: "a", Document: &pb.Document{Fields: fields{"x": integer(1), "y": integer(2)}},
		Mask: &pb.DocumentMask{FieldPaths: []string{"y"}},
	})
	if err != nil || len(made.GetFields()) != 1 || made.GetFields()["y"].GetIntegerValue() != 2 {
		t.Fatalf("create: got %v (%v), want y alone", made, err)
	}
	updated, err := w.UpdateDocument(ctx, &pb.UpdateDocumentRequest{
		Document: &pb.Document{Name: made.GetName(), Fields: fields{"x": integer(3)}}, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"x"}},
	})
	if err != nil || updated.GetFields()["x"].GetIntegerValue() != 3 || updated.GetFields()["y"].GetIntegerValue() != 2 {
		t.Errorf("update: got %v (%v), want x 3 and y 2", updated, err)
	}
	_, err = w.UpdateDocument(ctx, &pb.UpdateDocumentRequest{
		Document: updated, Mask: &pb.DocumentMask{FieldPaths: []string{"a..b"}}, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"x", "y"}},
	})
	wantCode(t, "a bad mask of the answer", err, codes.InvalidArgument)
	if _, err := w.DeleteDocument(ctx, &pb.DeleteDocumentRequest{Name: made.GetName()}); err != nil {
		t.Fatal(err)
	}
	_, err = w.GetDocument(ctx, &pb.GetDocumentRequest{Name: made.GetName()})
	wantCode(t, "read of what was deleted", err, codes.NotFound)
}
