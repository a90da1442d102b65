package repolint

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// mapped are the folders whose entries README.md names, in its picture of the tree.
var mapped = []string{"functions", "shared", "scripts"}

// gap is what stands between two names in the picture. A description has single spaces.
var gap = regexp.MustCompile(` {2,}`)

func checkMap(t tree) []finding {
	text, err := fs.ReadFile(t.root, "README.md")
	if err != nil {
		return []finding{{"README.md", 0, err.Error()}}
	}
	named := make(map[string][]string) // by folder
	folder := ""
	for line := range strings.Lines(string(text)) {
		cells := gap.Split(strings.TrimRight(line, "\n"), -1)
		if cells[0] != "" {
			folder = cells[0]
		}
		named[folder] = append(named[folder], cells[1:]...)
	}
	var found []finding
	for _, folder := range mapped {
		entries, err := fs.ReadDir(t.root, folder)
		if err != nil {
			found = append(found, finding{folder, 0, err.Error()})
		}
		for _, e := range entries {
			names := named[folder+"/"]
			if !slices.Contains(names, e.Name()) && !slices.Contains(names, e.Name()+"/") {
				found = append(found, finding{folder + "/" + e.Name(), 0, "README.md doesn't name it in its picture of the tree"})
			}
		}
	}
	return found
}
