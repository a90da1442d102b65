package repolint

import (
	"slices"
	"strings"
)

// topLevel is what stands at the top of the tree, beside names that start with a dot.
var topLevel = strings.Fields("functions shared infra scripts go.mod go.sum cloudbuild.yaml README.md LICENSE")

func checkTopLevel(t tree) []finding {
	var found []finding
	for _, name := range t.top {
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) {
			found = append(found, finding{name, 0, "the top of the tree is for " + strings.Join(topLevel, " ")})
		}
	}
	return found
}
