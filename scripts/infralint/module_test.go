package infralint

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A module is infra/ as it is written: nothing in it is evaluated.
type module struct {
	files  map[string][]byte // by path
	blocks []block
}

// A block is a resource, a variable or the like, or one within another.
type block struct {
	file   string
	source []byte
	*hclsyntax.Block
}

func loadModule(root fs.FS) (module, error) {
	m := module{files: map[string][]byte{}}
	paths, err := fs.Glob(root, "infra/*.tf")
	if err != nil {
		return m, err
	}
	for _, p := range paths {
		source, err := fs.ReadFile(root, p)
		if err != nil {
			return m, err
		}
		parsed, diagnostics := hclsyntax.ParseConfig(source, p, hcl.InitialPos)
		if diagnostics.HasErrors() {
			return m, diagnostics
		}
		m.files[p] = source
		for _, b := range parsed.Body.(*hclsyntax.Body).Blocks {
			m.blocks = append(m.blocks, block{p, source, b})
		}
	}
	return m, nil
}

// of gives the resources of a type.
func (m module) of(kind string) []block {
	return slices.DeleteFunc(slices.Clone(m.blocks), func(b block) bool {
		return b.Type != "resource" || b.Labels[0] != kind
	})
}

// find gives the resource of a type and a name.
func (m module) find(kind, name string) (block, bool) {
	all := m.of(kind)
	i := slices.IndexFunc(all, func(b block) bool { return b.name() == name })
	if i < 0 {
		return block{}, false
	}
	return all[i], true
}

// local gives a local value as it is written; empty where there is none.
func (m module) local(name string) string {
	for _, b := range m.blocks {
		if _, ok := b.Body.Attributes[name]; ok && b.Type == "locals" {
			return b.value(name)
		}
	}
	return ""
}

// name is the last label of a block.
func (b block) name() string {
	if len(b.Labels) == 0 {
		return ""
	}
	return b.Labels[len(b.Labels)-1]
}

// address is how expressions call a resource.
func (b block) address() string { return b.Labels[0] + "." + b.name() }

// all gives the blocks at a path of types below b.
func (b block) all(types ...string) []block {
	found := []block{b}
	for _, t := range types {
		var below []block
		for _, outer := range found {
			for _, inner := range outer.Body.Blocks {
				if inner.Type == t {
					below = append(below, block{b.file, b.source, inner})
				}
			}
		}
		found = below
	}
	return found
}

// value is an attribute as it is written, a plain string without its quotes; empty where there is none.
func (b block) value(name string) string {
	attribute, ok := b.Body.Attributes[name]
	if !ok {
		return ""
	}
	return b.text(attribute.Expr)
}

func (b block) text(e hclsyntax.Expression) string {
	if template, ok := e.(*hclsyntax.TemplateExpr); ok && template.IsStringLiteral() {
		if v, diagnostics := template.Value(nil); !diagnostics.HasErrors() {
			return v.AsString()
		}
	}
	return string(bytes.TrimSpace(e.Range().SliceBytes(b.source)))
}

// at gives the value of an attribute of the only block at a path below b; empty where there is none.
func (b block) at(where string) string {
	types := strings.Split(where, ".")
	below := b.all(types[:len(types)-1]...)
	if len(below) != 1 {
		return ""
	}
	return below[0].value(types[len(types)-1])
}

// service is the name of the function that a resource's file is for, by the file's own name.
func (b block) service() string { return strings.TrimSuffix(path.Base(b.file), ".tf") }

func (b block) String() string {
	return fmt.Sprintf("%s:%d: %s", b.file, b.TypeRange.Start.Line, b.name())
}

// references are the names that an expression or a block refers to, such as var.region and
// google_service_account.listen.
func references(node hclsyntax.Node, names map[string]bool) {
	// Nothing to report: the visitor never fails.
	_ = hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		e, ok := n.(*hclsyntax.ScopeTraversalExpr)
		if !ok {
			return nil
		}
		name := e.Traversal.RootName()
		if len(e.Traversal) > 1 {
			if step, ok := e.Traversal[1].(hcl.TraverseAttr); ok {
				name += "." + step.Name
			}
		}
		names[name] = true
		return nil
	})
}
