package firestoretest

import (
	"strings"
	"testing"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
)

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
		"all":                            {a.Query, codes.OK},
		"equalities":                     {a.Where("w", "==", 1).Where("v", "==", 1), codes.OK},
		"one order":                      {a.OrderBy("w", firestore.Desc), codes.OK},
		"an inequality":                  {a.Where("w", ">", 1), codes.OK},
		"equal and ordered by it":        {a.Where("w", "==", 1).OrderBy("w", firestore.Asc), codes.OK},
		"an index":                       {a.Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.OK},
		"an index, by inequality":        {a.Where("x", "==", 1).Where("n", ">", 1), codes.OK},
		"the other direction":            {a.Where("x", "==", 1).OrderBy("n", firestore.Desc), codes.FailedPrecondition},
		"another field":                  {a.Where("w", "==", 1).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
		"merged":                         {a.Where("y", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.OK},
		"one of two":                     {a.Where("w", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
		"three":                          {a.Where("z", "==", 1).Where("y", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Desc), codes.OK},
		"less than an index has":         {a.Where("y", "==", 1).Where("x", "==", 1).OrderBy("n", firestore.Desc), codes.FailedPrecondition},
		"two orders":                     {a.OrderBy("n", firestore.Asc).OrderBy("m", firestore.Desc), codes.OK},
		"two orders the other way":       {a.OrderBy("n", firestore.Asc).OrderBy("m", firestore.Asc), codes.FailedPrecondition},
		"the name the other way":         {a.OrderBy("w", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Desc), codes.FailedPrecondition},
		"equal and the name, descending": {a.Where("w", "==", 1).OrderBy(firestore.DocumentID, firestore.Desc), codes.OK},
		"the name, descending":           {a.OrderBy(firestore.DocumentID, firestore.Desc), codes.FailedPrecondition},
		"or, one without":                {a.WhereEntity(or).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
		"in":                             {a.Where("x", "in", []int{1, 2}).OrderBy("n", firestore.Asc), codes.OK},
		"every index":                    {c.Collection("every").Where("w", "==", 1).OrderBy("n", firestore.Asc), codes.OK},
		"another collection":             {c.Collection("b").Where("x", "==", 1).OrderBy("n", firestore.Asc), codes.FailedPrecondition},
	} {
		_, err := tt.query.Documents(t.Context()).GetAll()
		wantCode(t, name, err, tt.want)
	}
}
