package repolint

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"path"
	"regexp"
	"strings"
)

// A tree is a checkout: its Go files, parsed, the paths of its pages (.md), and the names at its top.
type tree struct {
	root  fs.FS
	top   []string
	files []file
	pages []string
}

// A file is one parsed Go file. Its path is slash separated and relative to the top of the tree.
type file struct {
	path  string
	lines []string
	set   *token.FileSet
	ast   *ast.File
}

// load parses every Go file below root that the go command would build. Its error names every file that doesn't
// parse.
func load(root fs.FS) (tree, error) {
	t := tree{root: root}
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return t, err
	}
	for _, e := range entries {
		t.top = append(t.top, e.Name())
	}
	set := token.NewFileSet()
	var broken []error
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && unbuilt.MatchString(p):
			return fs.SkipDir
		case path.Ext(p) == ".md":
			t.pages = append(t.pages, p)
			return nil
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		f, err := parse(root, p, set)
		if err != nil {
			broken = append(broken, err)
			return nil
		}
		t.files = append(t.files, f)
		return nil
	})
	return t, errors.Join(append(broken, err)...)
}

// unbuilt matches folders that the go command leaves out.
var unbuilt = regexp.MustCompile(`(^|/)(testdata|vendor|_[^/]*|\.[^/]+)$`)

func parse(root fs.FS, p string, set *token.FileSet) (file, error) {
	text, err := fs.ReadFile(root, p)
	if err != nil {
		return file{}, err
	}
	parsed, err := parser.ParseFile(set, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	return file{path: p, lines: lines, set: set, ast: parsed}, nil
}

// written yields the files that a person wrote.
func (t tree) written() iter.Seq[file] {
	return func(yield func(file) bool) {
		for _, f := range t.files {
			if !ast.IsGenerated(f.ast) && !yield(f) {
				return
			}
		}
	}
}

// mentions shows broken every name of another package that a written file mentions, as in time.Sleep, and every
// builtin that it calls; function is the one it stands in, empty outside of any. What broken answers, unless it
// is empty, becomes a finding.
func (t tree) mentions(broken func(f file, function, name string) string) []finding {
	var found []finding
	for f := range t.written() {
		for _, decl := range f.ast.Decls {
			function := ""
			if d, ok := decl.(*ast.FuncDecl); ok {
				function = d.Name.Name
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if name := f.mentioned(n); name != "" {
					if message := broken(f, function, name); message != "" {
						found = append(found, finding{f.path, f.line(n.Pos()), message})
					}
				}
				return true
			})
		}
	}
	return found
}

// mentioned names what a node mentions, by import path: "time.Sleep", "println". It is empty for any other node.
func (f file) mentioned(n ast.Node) string {
	switch n := n.(type) {
	case *ast.CallExpr:
		if builtin, ok := n.Fun.(*ast.Ident); ok {
			return builtin.Name
		}
	case *ast.SelectorExpr:
		qualifier, ok := n.X.(*ast.Ident)
		if !ok {
			return ""
		}
		for _, spec := range f.ast.Imports {
			if localName(spec) == qualifier.Name {
				return pathOf(spec) + "." + n.Sel.Name
			}
		}
	}
	return ""
}

func (f file) dir() string          { return path.Dir(f.path) }
func (f file) test() bool           { return strings.HasSuffix(f.path, "_test.go") }
func (f file) line(p token.Pos) int { return f.set.PositionFor(p, false).Line }

func pathOf(spec *ast.ImportSpec) string { return strings.Trim(spec.Path.Value, "\"`") }

// localName is the name by which a file calls what it imports.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p := pathOf(spec)
	if majorVersion.MatchString(path.Base(p)) {
		p = path.Dir(p)
	}
	return path.Base(p)
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)
