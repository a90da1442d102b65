package infralint

import (
	"go/ast"
	"slices"
	"strings"
)

// A query is what shared/store asks of a collection, or of all collections of a name.
type query struct {
	collection string
	group      bool
	clauses    []clause
}

// A clause is a condition or an order. It is optional where it is added under a condition.
type clause struct {
	field    string
	kind     kind
	optional bool
}

type kind string

const (
	equal      kind = "equal" // ==, in
	interval   kind = "interval"
	ascending  kind = "ASCENDING"
	descending kind = "DESCENDING"
)

// queries are those that are run: what Documents or NewAggregationQuery is called on.
func (c code) queries() []query {
	var found []query
	for _, f := range c["shared/store"] {
		for _, decl := range f.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Body != nil {
				r := reader{code: c, vars: map[string][]query{}}
				r.block(function.Body, false)
				found = append(found, r.run...)
			}
		}
	}
	return found
}

// A reader follows the queries through a function.
type reader struct {
	code code
	vars map[string][]query
	run  []query
	back []query // what is returned
}

func (r *reader) block(n ast.Node, optional bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt, *ast.CaseClause:
			r.under(n)
			return false
		case *ast.RangeStmt:
			if v, ok := n.Value.(*ast.Ident); ok {
				r.vars[v.Name] = r.eval(n.X, optional)
			}
		case *ast.AssignStmt:
			if v, ok := n.Lhs[0].(*ast.Ident); ok && len(n.Rhs) == 1 {
				if q := r.eval(n.Rhs[0], optional); q != nil {
					r.vars[v.Name] = q
				}
			}
		case *ast.ReturnStmt:
			if len(n.Results) > 0 {
				r.back = append(r.back, r.eval(n.Results[0], optional)...)
			}
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Documents", "NewAggregationQuery"}, s.Sel.Name) {
				r.run = append(r.run, r.eval(s.X, optional)...)
			}
		}
		return true
	})
}

// under reads what is done on a condition.
func (r *reader) under(n ast.Node) {
	switch n := n.(type) {
	case *ast.IfStmt:
		if n.Init != nil {
			r.block(n.Init, false)
		}
		r.block(n.Cond, false)
		r.block(n.Body, true)
		if n.Else != nil {
			r.block(n.Else, true)
		}
	case *ast.CaseClause:
		for _, s := range n.Body {
			r.block(s, true)
		}
	}
}

// eval gives the queries that an expression may be; none for what is no query.
func (r *reader) eval(e ast.Expr, optional bool) []query {
	switch e := e.(type) {
	case *ast.Ident:
		return r.vars[e.Name]
	case *ast.SelectorExpr:
		return r.eval(e.X, optional)
	case *ast.CompositeLit:
		var all []query
		for _, element := range e.Elts {
			all = append(all, r.eval(element, optional)...)
		}
		return all
	case *ast.CallExpr:
		return r.call(e, optional)
	}
	return nil
}

func (r *reader) call(e *ast.CallExpr, optional bool) []query {
	s, ok := e.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	switch name := s.Sel.Name; name {
	case "Collection", "CollectionGroup":
		collection, _ := literal(e.Args[0])
		return []query{{collection: collection, group: name == "CollectionGroup"}}
	case "Doc":
		return nil
	case "Where":
		field, _ := literal(e.Args[0])
		operator, _ := literal(e.Args[1])
		k := interval
		if operator == "==" || operator == "in" {
			k = equal
		}
		return with(r.eval(s.X, optional), clause{field, k, optional})
	case "OrderBy":
		field, ok := literal(e.Args[0])
		if !ok {
			return r.eval(s.X, optional) // firestore.DocumentID, which every index ends in
		}
		k := ascending
		if direction, ok := e.Args[1].(*ast.SelectorExpr); ok && direction.Sel.Name == "Desc" {
			k = descending
		}
		return with(r.eval(s.X, optional), clause{field, k, optional})
	}
	if known := r.eval(s.X, optional); known != nil {
		return known // Limit, StartAt and the like
	}
	return r.returned(s.Sel.Name)
}

// returned gives what a method of the store returns.
func (r *reader) returned(name string) []query {
	for _, f := range r.code["shared/store"] {
		for _, decl := range f.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || function.Name.Name != name || function.Recv == nil || function.Type.Results == nil {
				continue
			}
			if result, ok := selected(function.Type.Results.List[0].Type, "firestore"); ok && result == "Query" {
				inner := reader{code: r.code, vars: map[string][]query{}}
				inner.block(function.Body, false)
				return inner.back
			}
		}
	}
	return nil
}

func with(queries []query, c clause) []query {
	extended := make([]query, len(queries))
	for i, q := range queries {
		q.clauses = append(slices.Clone(q.clauses), c)
		extended[i] = q
	}
	return extended
}

// indexes are those that a query needs, as "collection scope field DIRECTION ...". Conditions that are optional may be
// there or not; several for equality are met by merging, which takes one index for each with the same end.
// https://firebase.google.com/docs/firestore/query-data/index-overview
func (q query) indexes() []string {
	end, endless := q.end()
	var needed []string
	add := func(fields ...string) {
		scope := "COLLECTION"
		if q.group {
			scope = "COLLECTION_GROUP"
		}
		needed = append(needed, strings.Join(append([]string{q.collection, scope}, fields...), " "))
	}
	alone := true // without a condition for equality
	for _, c := range q.clauses {
		if c.kind != equal {
			continue
		}
		alone = alone && c.optional
		if endless {
			add(c.field, string(ascending))
		}
		if len(end) > 0 {
			add(append([]string{c.field, string(ascending)}, end...)...)
		}
	}
	if alone && len(end) > 0 {
		add(end...)
	}
	return needed
}

// end is what the index of a query ends in: its order, or else the field of its interval. Endless says that the query
// may have neither.
func (q query) end() (fields []string, endless bool) {
	endless = true
	for _, c := range q.clauses {
		if c.kind == ascending || c.kind == descending {
			fields = append(fields, c.field, string(c.kind))
			endless = endless && c.optional
		}
	}
	if len(fields) > 0 {
		return fields, endless
	}
	for _, c := range q.clauses {
		if c.kind == interval && !slices.Contains(fields, c.field) {
			fields = append(fields, c.field, string(ascending))
		}
		endless = endless && (c.kind != interval || c.optional)
	}
	return fields, endless
}
