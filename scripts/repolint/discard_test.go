package repolint

import (
	"go/ast"
	"slices"
	"strings"
)

// checkDiscarded wants a reason beside every result that is thrown away: _ = f() // reason, or the reason on the
// line above.
func checkDiscarded(t tree) []finding {
	var found []finding
	for f := range t.written() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok || !discards(assign) {
				return true
			}
			line := f.line(assign.Pos())
			above := strings.TrimSpace(f.lines[line-2]) // there is one: the package clause comes first
			if !strings.HasPrefix(above, "//") && !f.commented(line) && !f.commented(f.line(assign.End())) {
				found = append(found, finding{f.path, line, "a result is thrown away and no comment says why"})
			}
			return true
		})
	}
	return found
}

// discards says whether an assignment throws away everything that a call returns.
func discards(assign *ast.AssignStmt) bool {
	for _, left := range assign.Lhs {
		if name, ok := left.(*ast.Ident); !ok || name.Name != "_" {
			return false
		}
	}
	return slices.ContainsFunc(assign.Rhs, func(right ast.Expr) bool {
		_, ok := right.(*ast.CallExpr)
		return ok
	})
}

// commented says whether a comment starts on a line.
func (f file) commented(line int) bool {
	return slices.ContainsFunc(f.ast.Comments, func(c *ast.CommentGroup) bool { return f.line(c.Pos()) == line })
}
