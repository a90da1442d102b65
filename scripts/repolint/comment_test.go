package repolint

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkPackageComment wants one file of each package to say what the package is. Where there are only tests, one of
// them does.
func checkPackageComment(t tree) []finding {
	packages := make(map[string][]file)
	for f := range t.written() {
		if !strings.HasSuffix(f.ast.Name.Name, "_test") {
			packages[f.dir()] = append(packages[f.dir()], f)
		}
	}
	var found []finding
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		var commented []file
		for _, f := range packages[dir] {
			if f.ast.Doc.Text() != "" {
				commented = append(commented, f)
			}
		}
		if len(commented) == 0 {
			found = append(found, finding{packages[dir][0].path, 0, "no file of the package has a package comment"})
			continue
		}
		for _, f := range commented[1:] {
			message := "the package comment already stands in " + commented[0].path
			found = append(found, finding{f.path, f.line(f.ast.Package), message})
		}
	}
	return found
}

// page matches the name of a page in a comment, and an address, so that those are not taken for one.
var page = regexp.MustCompile(`\S+://\S+|[\w./-]+\.md\b`)

// checkCitations wants the pages that comments cite to be there, by their path in the repository or beside the file.
func checkCitations(t tree) []finding {
	var found []finding
	for f := range t.written() {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				for _, name := range page.FindAllString(c.Text, -1) {
					there := strings.Contains(name, "://") || slices.Contains(t.pages, name) ||
						slices.Contains(t.pages, path.Join(f.dir(), name))
					if !there {
						found = append(found, finding{f.path, f.line(c.Pos()), "there is no " + name})
					}
				}
			}
		}
	}
	return found
}
