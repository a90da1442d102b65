package firestoretest

import (
	"math"
	"testing"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func compareField(path string, op pb.StructuredQuery_FieldFilter_Operator, v *pb.Value) *pb.StructuredQuery_Filter {
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
		Field: &pb.StructuredQuery_FieldReference{FieldPath: path}, Op: op, Value: v,
	}}}
}

func compound(op pb.StructuredQuery_CompositeFilter_Operator, filters ...*pb.StructuredQuery_Filter) *pb.StructuredQuery_Filter {
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{
		CompositeFilter: &pb.StructuredQuery_CompositeFilter{Op: op, Filters: filters},
	}}
}

func orderBy(path string) []*pb.StructuredQuery_Order {
	return []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: path}}}
}

func counting(collection string) *pb.StructuredAggregationQuery {
	return &pb.StructuredAggregationQuery{
		QueryType: &pb.StructuredAggregationQuery_StructuredQuery{StructuredQuery: &pb.StructuredQuery{From: from(collection)}},
		Aggregations: []*pb.StructuredAggregationQuery_Aggregation{{
			Alias: "n", Operator: &pb.StructuredAggregationQuery_Aggregation_Count_{Count: &pb.StructuredAggregationQuery_Aggregation_Count{}},
		}},
	}
}

func wrapped(n int32) *wrapperspb.Int32Value { return wrapperspb.Int32(n) }

func where(path, op string, value any) firestore.PropertyFilter {
	return firestore.PropertyFilter{Path: path, Operator: op, Value: value}
}

func TestQueries(t *testing.T) {
	c, ctx := client(t), t.Context()
	put(t, c, map[string]data{
		"u/1/c/a": {"n": 1, "s": "x", "t": []any{"red"}, "m": data{"k": 2}},
		"u/1/c/b": {"n": 2.5, "s": "y", "m": data{"k": 1}},
		"u/2/c/c": {"n": 3, "s": "x", "t": []any{"red", "blue", nil, math.NaN(), data{"a": 1}}},
		"u/2/c/d": {"n": "text"}, "u/2/c/e": {"n": nil}, "u/2/c/f": {"s": "x"}, "u/2/c/h": {"n": math.NaN()},
		"u/2/other/g": {"n": 1}, "u/2/c/a/d/i": {"n": 1},
	})
	group := c.CollectionGroup("c")
	or := firestore.OrFilter{Filters: []firestore.EntityFilter{where("s", "==", "y"), where("n", "==", 3)}}
	and := firestore.AndFilter{Filters: []firestore.EntityFilter{or, where("n", ">", 2.5)}}
	atA, err := c.Doc("u/1/c/a").Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		query firestore.Query
		want  string
	}{
		"all":                      {group.Query, "a b c d e f h"},
		"one collection":           {c.Collection("u/1/c").Query, "a b"},
		"equal across numbers":     {group.Where("n", "==", 1.0), "a"},
		"inequality":               {group.Where("n", ">", 1), "b c"},
		"at most":                  {group.Where("n", "<=", 2.5).Where("n", ">=", 1), "a b"},
		"strings alone":            {group.Where("n", ">", "a"), "d"},
		"order across types":       {group.OrderBy("n", firestore.Asc), "e h a b c d"},
		"descending":               {group.OrderBy("n", firestore.Desc).Limit(3), "d c b"},
		"name goes with the order": {group.OrderBy("s", firestore.Desc), "b f c a"},
		"two orders":               {group.OrderBy("s", firestore.Desc).OrderBy("n", firestore.Asc), "b a c"},
		"nested":                   {group.OrderBy("m.k", firestore.Asc), "b a"},
		"last":                     {group.OrderBy("n", firestore.Asc).LimitToLast(2), "c d"},
		"cursors":                  {group.OrderBy("n", firestore.Asc).StartAt(1).EndBefore(3), "a b"},
		"cursors the other way":    {group.OrderBy("n", firestore.Desc).StartAfter(3).EndAt(1), "b a"},
		"cursor at a document":     {group.OrderBy("s", firestore.Asc).StartAfter(atA), "c f b"},
		"cursors on two fields":    {group.OrderBy("s", firestore.Asc).OrderBy("n", firestore.Asc).StartAfter("x", 1), "c b"},
		"offset":                   {group.OrderBy("n", firestore.Asc).Offset(4), "c d"},
		"limit 0":                  {group.Limit(0), ""},
		"and":                      {group.Where("s", "==", "x").Where("n", ">=", 1), "a c"},
		"or":                       {group.WhereEntity(or), "b c"},
		"or in and":                {group.WhereEntity(and), "c"},
		"in":                       {group.Where("s", "in", []string{"y", "z"}), "b"},
		"in with null and NaN":     {group.Where("n", "in", []any{1, nil, math.NaN()}), "a"},
		"not in":                   {group.Where("n", "not-in", []any{1, 3}), "h b d"},
		"not in with NaN":          {group.Where("n", "not-in", []any{math.NaN()}), "a b c d"},
		"not in with null":         {group.Where("n", "not-in", []any{1, nil}), ""},
		"not equal":                {group.Where("n", "!=", 1), "h b c d"},
		"not null":                 {group.Where("n", "!=", nil), "h a b c d"},
		"not NaN":                  {group.Where("n", "!=", math.NaN()), "a b c d"},
		"null":                     {group.Where("n", "==", nil), "e"},
		"NaN":                      {group.Where("n", "==", math.NaN()), "h"},
		"array contains":           {group.Where("t", "array-contains", "blue"), "c"},
		"array contains a map":     {group.Where("t", "array-contains", data{"a": 1}), "c"},
		"array contains any":       {group.Where("t", "array-contains-any", []any{"blue", "red", nil}), "a c"},
		"array contains any null":  {group.Where("t", "array-contains-any", []any{nil, math.NaN()}), ""},
		"by name":                  {group.Where(firestore.DocumentID, ">", c.Doc("u/2/c/d")), "e f h"},
		"names in":                 {group.Where(firestore.DocumentID, "in", []any{c.Doc("u/1/c/a"), c.Doc("u/2/c/f")}), "a f"},
		"by name, descending":      {group.OrderBy(firestore.DocumentID, firestore.Desc).Limit(2), "h f"},
	} {
		found, err := tt.query.Documents(ctx).GetAll()
		if got := ids(found); err != nil || got != tt.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, tt.want)
		}
	}
	selected, err := group.Where("s", "==", "y").Select("m.k", "none").Documents(ctx).GetAll()
	if err != nil || len(selected) != 1 {
		t.Fatalf("projection: %v, %v", selected, err)
	}
	wantSame(t, "projection", selected[0].Data(), data{"m": data{"k": int64(1)}})
}

func TestAggregations(t *testing.T) {
	c, ctx := client(t), t.Context()
	put(t, c, map[string]data{
		"a/1": {"n": math.MaxInt64, "k": 1}, "a/2": {"n": 1, "k": 2}, "a/3": {"n": "text"}, "a/4": {"k": 0.5},
		"b/1": {"x": 1e308}, "b/2": {"x": 1e308}, "b/3": {"x": -1e308}, "b/4": {"x": -1e308},
	})
	a, b := c.Collection("a"), c.Collection("b")
	type ask = firestore.AggregationQuery
	count := func(q *ask) *ask { return q.WithCount("v") }
	sumOfField := func(path string) func(*ask) *ask { return func(q *ask) *ask { return q.WithSum(path, "v") } }
	average := func(path string) func(*ask) *ask { return func(q *ask) *ask { return q.WithAvg(path, "v") } }
	for name, tt := range map[string]struct {
		query firestore.Query
		want  *pb.Value
		ask   func(*ask) *ask
	}{
		"count":                   {a.Query, integer(4), count},
		"count of a limit":        {a.Limit(2), integer(2), count},
		"count of nothing":        {a.Where("n", "==", 7), integer(0), count},
		"sum of integers":         {a.Where("n", "<", 9), integer(1), sumOfField("n")},
		"sum over the range":      {a.Query, doubleValue(1 << 63), sumOfField("n")},
		"sum of a mixture":        {a.Query, doubleValue(3.5), sumOfField("k")},
		"sum of nothing":          {a.Query, integer(0), sumOfField("none")},
		"sum beyond and back":     {b.Query, doubleValue(0), sumOfField("x")},
		"average":                 {a.Query, doubleValue(3.5 / 3), average("k")},
		"average of no number":    {a.Where("n", "==", "text"), null, average("n")},
		"only what has all":       {a.Query, integer(3), func(q *ask) *ask { return q.WithSum("k", "v").WithAvg("n", "other") }},
		"a count of what has all": {a.Query, integer(3), func(q *ask) *ask { return q.WithSum("k", "other").WithCount("v") }},
	} {
		got, err := tt.ask(tt.query.NewAggregationQuery()).Get(ctx)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v := got["v"].(*pb.Value); !proto.Equal(v, tt.want) {
			t.Errorf("%s: got %v, want %v", name, v, tt.want)
		}
	}
	_, err := c.Collection("a").NewAggregationQuery().WithCount("1").WithCount("2").WithCount("3").WithCount("4").WithCount("5").
		WithCount("6").Get(ctx)
	wantCode(t, "six aggregations", err, codes.InvalidArgument)
}

func TestRefusedQueries(t *testing.T) {
	w, ctx := wire(t, start(t, Options{})), t.Context()
	const (
		ne    = pb.StructuredQuery_FieldFilter_NOT_EQUAL
		in    = pb.StructuredQuery_FieldFilter_IN
		notIn = pb.StructuredQuery_FieldFilter_NOT_IN
		lt    = pb.StructuredQuery_FieldFilter_LESS_THAN
		has   = pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS
		and   = pb.StructuredQuery_CompositeFilter_AND
		or    = pb.StructuredQuery_CompositeFilter_OR
	)
	values := func(n int) *pb.Value {
		var all []*pb.Value
		for i := range n {
			all = append(all, integer(int64(i)))
		}
		return array(all)
	}
	one := integer(1)
	unary := func(op pb.StructuredQuery_UnaryFilter_Operator) *pb.StructuredQuery_Filter {
		return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_UnaryFilter{UnaryFilter: &pb.StructuredQuery_UnaryFilter{
			OperandType: &pb.StructuredQuery_UnaryFilter_Field{Field: &pb.StructuredQuery_FieldReference{FieldPath: "x"}}, Op: op,
		}}}
	}
	notNull, notNaN := unary(pb.StructuredQuery_UnaryFilter_IS_NOT_NULL), unary(pb.StructuredQuery_UnaryFilter_IS_NOT_NAN)
	ranges := func(fields int) *pb.StructuredQuery_Filter {
		var all []*pb.StructuredQuery_Filter
		for i := range fields { // with two bounds each: it is fields that are counted
			f := string(rune('a' + i))
			all = append(all, compareField(f, pb.StructuredQuery_FieldFilter_GREATER_THAN, one), compareField(f, lt, integer(9)))
		}
		return compound(and, all...)
	}
	for name, tt := range map[string]struct {
		query *pb.StructuredQuery
		want  codes.Code
	}{
		"in 30":                         {&pb.StructuredQuery{Where: compareField("x", in, values(30))}, codes.OK},
		"in 31":                         {&pb.StructuredQuery{Where: compareField("x", in, values(31))}, codes.InvalidArgument},
		"in nothing":                    {&pb.StructuredQuery{Where: compareField("x", in, values(0))}, codes.InvalidArgument},
		"in and in: 30":                 {&pb.StructuredQuery{Where: compound(and, compareField("x", in, values(5)), compareField("y", in, values(6)))}, codes.OK},
		"in and in: 36":                 {&pb.StructuredQuery{Where: compound(and, compareField("x", in, values(6)), compareField("y", in, values(6)))}, codes.InvalidArgument},
		"not in 10":                     {&pb.StructuredQuery{Where: compareField("x", notIn, values(10))}, codes.OK},
		"not in 11":                     {&pb.StructuredQuery{Where: compareField("x", notIn, values(11))}, codes.InvalidArgument},
		"not in and !=":                 {&pb.StructuredQuery{Where: compound(and, compareField("x", notIn, values(1)), compareField("x", ne, one))}, codes.InvalidArgument},
		"not in and in":                 {&pb.StructuredQuery{Where: compound(and, compareField("x", notIn, values(1)), compareField("y", in, values(1)))}, codes.InvalidArgument},
		"!= twice":                      {&pb.StructuredQuery{Where: compound(and, compareField("x", ne, one), compareField("y", ne, one))}, codes.InvalidArgument},
		"!=, and its order":             {&pb.StructuredQuery{Where: compareField("x", ne, one), OrderBy: append(orderBy("x"), orderBy("y")...)}, codes.OK},
		"!=, and another order":         {&pb.StructuredQuery{Where: compareField("x", ne, one), OrderBy: append(orderBy("y"), orderBy("x")...)}, codes.InvalidArgument},
		"!= inside, and another order":  {&pb.StructuredQuery{Where: compound(and, compareField("y", lt, one), compareField("x", ne, one)), OrderBy: orderBy("y")}, codes.InvalidArgument},
		"not in, and another order":     {&pb.StructuredQuery{Where: compareField("x", notIn, values(1)), OrderBy: orderBy("y")}, codes.InvalidArgument},
		"not null, and its order":       {&pb.StructuredQuery{Where: notNull, OrderBy: orderBy("x")}, codes.OK},
		"not null, and another order":   {&pb.StructuredQuery{Where: notNull, OrderBy: orderBy("y")}, codes.InvalidArgument},
		"not NaN, and another order":    {&pb.StructuredQuery{Where: notNaN, OrderBy: orderBy("y")}, codes.InvalidArgument},
		"not NaN, and the name's order": {&pb.StructuredQuery{Where: notNaN, OrderBy: orderBy(nameField)}, codes.InvalidArgument},
		"a range, and another order":    {&pb.StructuredQuery{Where: compareField("x", lt, one), OrderBy: orderBy("y")}, codes.OK},
		"ranges of 10 fields":           {&pb.StructuredQuery{Where: ranges(10)}, codes.OK},
		"ranges of 11 fields":           {&pb.StructuredQuery{Where: ranges(11)}, codes.InvalidArgument},
		"contains twice":                {&pb.StructuredQuery{Where: compound(and, compareField("x", has, one), compareField("y", has, one))}, codes.InvalidArgument},
		"contains or contains":          {&pb.StructuredQuery{Where: compound(or, compareField("x", has, one), compareField("y", has, one))}, codes.OK},
		"an empty and":                  {&pb.StructuredQuery{Where: compound(and)}, codes.InvalidArgument},
		"no operator":                   {&pb.StructuredQuery{Where: compareField("x", 0, one)}, codes.InvalidArgument},
		"a negative limit":              {&pb.StructuredQuery{Limit: wrapped(-1)}, codes.InvalidArgument},
		"a negative offset":             {&pb.StructuredQuery{Offset: -1}, codes.InvalidArgument},
		"a limit of 0":                  {&pb.StructuredQuery{Limit: wrapped(0)}, codes.OK},
		"a bad path":                    {&pb.StructuredQuery{OrderBy: orderBy("a..b")}, codes.InvalidArgument},
		"a long cursor":                 {&pb.StructuredQuery{StartAt: &pb.Cursor{Values: []*pb.Value{one, one}}}, codes.InvalidArgument},
		"a name that is none":           {&pb.StructuredQuery{Where: compareField(nameField, pb.StructuredQuery_FieldFilter_EQUAL, one)}, codes.InvalidArgument},
	} {
		tt.query.From = from("a")
		stream, err := w.RunQuery(ctx, &pb.RunQueryRequest{
			Parent: testDocuments, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: tt.query},
		})
		if err == nil {
			_, err = receive(stream.Recv)
		}
		wantCode(t, name, err, tt.want)
	}
}
