// Package repolint holds this repository to its own rules, those no general linter knows: who may import whom, how
// long a function or a file may be, what has to be explained, what stands at the top of the tree, and that README.md
// names what is in it. It is only tests: run it with
//
//	go test ./scripts/repolint
//
// The import table is in imports_test.go, to be read and changed there. Each rule is tried on a small tree that
// breaks it, in planted_test.go. Generated files are held to the import table and to nothing else.
package repolint
