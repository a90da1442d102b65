package repolint

import (
	"fmt"
	"go/ast"
)

const (
	maxFunctionLines = 100
	maxFileLines     = 400
)

func checkFunctionLength(t tree) []finding {
	var found []finding
	for f := range t.written() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			name := "function literal"
			switch n := n.(type) {
			case *ast.FuncDecl:
				name = n.Name.Name
			case *ast.FuncLit:
			default:
				return true
			}
			if lines := f.line(n.End()) - f.line(n.Pos()) + 1; lines > maxFunctionLines {
				message := fmt.Sprintf("%s has %d lines, the limit is %d", name, lines, maxFunctionLines)
				found = append(found, finding{f.path, f.line(n.Pos()), message})
			}
			return false // what is inside a function counts with it
		})
	}
	return found
}

func checkFileLength(t tree) []finding {
	var found []finding
	for f := range t.written() {
		if n := len(f.lines); n > maxFileLines {
			found = append(found, finding{f.path, 0, fmt.Sprintf("%d lines, the limit is %d", n, maxFileLines)})
		}
	}
	return found
}
