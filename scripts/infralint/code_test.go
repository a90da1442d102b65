package infralint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const modulePath = "earshot.dev/"

// code is the Go files of functions/ and shared/, tests left out, by folder.
type code map[string][]source

type source struct {
	path string
	*ast.File
}

// parsed are files by their path and text: a planted mistake changes one of them, and the others are read once.
var parsed = map[[2]string]*ast.File{}

func parse(p, text string) (*ast.File, error) {
	if f, ok := parsed[[2]string{p, text}]; ok {
		return f, nil
	}
	f, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err == nil {
		parsed[[2]string{p, text}] = f
	}
	return f, err
}

func loadCode(root fs.FS) (code, error) {
	c := code{}
	for _, top := range []string{"functions", "shared"} {
		err := fs.WalkDir(root, top, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(root, p)
			if err != nil {
				return err
			}
			f, err := parse(p, string(text))
			if err != nil {
				return err
			}
			c[path.Dir(p)] = append(c[path.Dir(p)], source{p, f})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// functions are the names of the folders that have a config.go: each is a service.
func (c code) functions() []string {
	var names []string
	for dir, files := range c {
		configured := slices.ContainsFunc(files, func(f source) bool { return path.Base(f.path) == "config.go" })
		if path.Dir(dir) == "functions" && configured {
			names = append(names, path.Base(dir))
		}
	}
	slices.Sort(names)
	return names
}

// below gives the files of a folder and of those below it.
func (c code) below(top string) []source {
	var files []source
	for dir, more := range c {
		if dir == top || strings.HasPrefix(dir, top+"/") {
			files = append(files, more...)
		}
	}
	return files
}

// main is the main.go of a function.
func (c code) main(function string) source {
	for _, f := range c["functions/"+function] {
		if path.Base(f.path) == "main.go" {
			return f
		}
	}
	return source{function, &ast.File{}}
}

// imports says whether a file imports a package of this module.
func (f source) imports(pkg string) bool {
	return slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == strconv.Quote(modulePath+pkg) })
}

// A setting is an environment variable that a service reads.
type setting struct {
	name     string
	required bool
}

// settings are those of a struct type, and of the structs in it.
func (c code) settings(dir, typeName string) ([]setting, error) {
	f, fields := c.structType(dir, typeName)
	if fields == nil {
		return nil, fmt.Errorf("%s: there is no struct type %s", dir, typeName)
	}
	return c.fieldSettings(f, fields)
}

func (c code) fieldSettings(f source, fields *ast.FieldList) ([]setting, error) {
	var found []setting
	for _, field := range fields.List {
		if tag := tagOf(field, "env"); tag != "" {
			name, options, _ := strings.Cut(tag, ",")
			found = append(found, setting{name, slices.Contains(strings.Split(options, ","), "required")})
			continue
		}
		more, err := c.innerSettings(f, field.Type)
		if err != nil {
			return nil, err
		}
		for _, s := range more {
			found = append(found, setting{tagOf(field, "envPrefix") + s.name, s.required})
		}
	}
	return found, nil
}

// innerSettings are those of a field that is a struct itself.
func (c code) innerSettings(f source, fieldType ast.Expr) ([]setting, error) {
	switch inner := fieldType.(type) {
	case *ast.StructType:
		return c.fieldSettings(f, inner.Fields)
	case *ast.Ident:
		return c.settings(path.Dir(f.path), inner.Name)
	case *ast.SelectorExpr:
		return c.settings(f.dirOf(inner.X), inner.Sel.Name)
	}
	return nil, fmt.Errorf("%s: a field of a configuration has no env tag, and is no struct", f.path)
}

func (c code) structType(dir, name string) (source, *ast.FieldList) {
	for _, f := range c[dir] {
		for _, decl := range f.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok || t.Name.Name != name {
					continue
				}
				if s, ok := t.Type.(*ast.StructType); ok {
					return f, s.Fields
				}
			}
		}
	}
	return source{}, nil
}

// dirOf is the folder of the package of this module that a file calls by a name.
func (f source) dirOf(name ast.Expr) string {
	called, ok := name.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, s := range f.Imports {
		if dir, ok := strings.CutPrefix(strings.Trim(s.Path.Value, `"`), modulePath); ok && path.Base(dir) == called.Name {
			return dir
		}
	}
	return ""
}

func tagOf(field *ast.Field, key string) string {
	if field.Tag == nil {
		return ""
	}
	return reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get(key)
}

// literal is the value of a string literal.
func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// selected gives the name that is selected from a package: X of event.X.
func selected(n ast.Node, pkg string) (string, bool) {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	from, ok := s.X.(*ast.Ident)
	return s.Sel.Name, ok && from.Name == pkg
}
