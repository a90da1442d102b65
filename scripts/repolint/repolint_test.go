package repolint

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"testing"
)

// A rule looks at the whole tree and returns what breaks it.
type rule struct {
	name  string
	check func(tree) []finding
}

// A finding is one break of a rule. Line is 0 where it concerns a file or folder as a whole.
type finding struct {
	path    string
	line    int
	message string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s", f.path, max(f.line, 1), f.message)
}

var rules = []rule{
	{"imports", checkImports},
	{"owners", checkOwners},
	{"function length", checkFunctionLength},
	{"file length", checkFileLength},
	{"package comment", checkPackageComment},
	{"cited pages", checkCitations},
	{"print", checkPrint},
	{"sleep in tests", checkSleep},
	{"discarded result", checkDiscarded},
	{"environment", checkEnvironment},
	{"top level", checkTopLevel},
	{"map", checkMap},
}

func TestRepository(t *testing.T) {
	repo, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			found := r.check(repo)
			slices.SortFunc(found, func(a, b finding) int {
				return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.line, b.line))
			})
			for _, f := range found {
				t.Error(f)
			}
		})
	}
}
