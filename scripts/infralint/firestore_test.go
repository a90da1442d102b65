package infralint

import (
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// There is an index for each query of shared/store, and no other.
func checkIndexes(s system) []string {
	want, got := map[string]bool{}, map[string]bool{}
	for _, q := range s.code.queries() {
		for _, index := range q.indexes() {
			want[index] = true
		}
	}
	for _, b := range s.module.of("google_firestore_field") {
		for _, index := range b.all("index_config", "indexes") {
			got[strings.Join([]string{b.value("collection"), index.value("query_scope"), b.value("field"), index.value("order")}, " ")] = true
		}
	}
	for _, b := range s.module.of("google_firestore_index") {
		scope := b.value("query_scope")
		if scope == "" {
			scope = "COLLECTION"
		}
		index := []string{b.value("collection"), scope}
		for _, field := range b.all("fields") {
			index = append(index, field.value("field_path"), field.value("order"))
		}
		got[strings.Join(index, " ")] = true
	}
	return differ("the index", want, got)
}

var quoted = regexp.MustCompile(`"[^"]*"`)

// No collection of the store is indexed but for those.
func checkUnindexed(s system) []string {
	want, got := map[string]bool{}, map[string]bool{}
	for _, f := range s.code["shared/store"] {
		ast.Inspect(f.File, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 1 {
				method, ok := call.Fun.(*ast.SelectorExpr)
				if ok && strings.HasPrefix(method.Sel.Name, "Collection") {
					name, _ := literal(call.Args[0])
					want[name] = true
				}
			}
			return true
		})
	}
	b, ok := s.module.find("google_firestore_field", "unindexed")
	if !ok || b.value("field") != "*" || len(b.all("index_config")) != 1 || len(b.all("index_config", "indexes")) != 0 {
		return []string{"infra/firestore.tf: no resource takes the indexes off all fields"}
	}
	for _, name := range quoted.FindAllString(b.value("for_each"), -1) {
		got[strings.Trim(name, `"`)] = true
	}
	return differ("the collection", want, got)
}

// ttlCollections are the collections of the types in shared/account whose fields say TTL.
var ttlCollections = map[string]string{"Delivery": "deliveries"}

// What says TTL beside it in shared/account goes by itself.
func checkTimeToLive(s system) []string {
	want, got := map[string]bool{}, map[string]bool{}
	for _, f := range s.code["shared/account"] {
		ast.Inspect(f.File, func(n ast.Node) bool {
			t, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			fields, ok := t.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range fields.Fields.List {
				if strings.Contains(field.Comment.Text(), "TTL") {
					name, _, _ := strings.Cut(tagOf(field, "firestore"), ",")
					want[ttlCollections[t.Name.Name]+" "+name] = true
				}
			}
			return true
		})
	}
	for _, b := range s.module.of("google_firestore_field") {
		if len(b.all("ttl_config")) > 0 {
			got[b.value("collection")+" "+b.value("field")] = true
		}
	}
	return differ("the time to live", want, got)
}

func TestIndexes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		query query
		want  []string
	}{
		{"order", query{"c", false, []clause{{"a", descending, false}}}, []string{"c COLLECTION a DESCENDING"}},
		{"interval and order", query{"c", true, []clause{{"a", interval, false}, {"a", ascending, false}}}, []string{"c COLLECTION_GROUP a ASCENDING"}},
		{"interval", query{"c", false, []clause{{"a", interval, false}, {"a", interval, false}}}, []string{"c COLLECTION a ASCENDING"}},
		{"equality", query{"c", false, []clause{{"a", equal, false}}}, []string{"c COLLECTION a ASCENDING"}},
		{"equality and order", query{"c", false, []clause{{"a", equal, false}, {"b", descending, false}}}, []string{"c COLLECTION a ASCENDING b DESCENDING"}},
		{
			"all of it optional",
			query{"c", false, []clause{{"a", equal, true}, {"b", interval, true}}},
			[]string{"c COLLECTION a ASCENDING", "c COLLECTION a ASCENDING b ASCENDING", "c COLLECTION b ASCENDING"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := slices.Sorted(maps.Keys(set(tt.query.indexes()...))); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
