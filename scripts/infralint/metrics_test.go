package infralint

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// measures is the package that makes instruments: what kind each of its functions makes.
const measures = "shared/measure"

var makers = map[string]string{
	"Counter": "counter", "Sum": "counter", "Observed": "counter", "ObservedSum": "counter",
	"UpDown": "up-down counter", "Gauge": "gauge", "Histogram": "histogram",
}

// otherMakers are those of the API, which nobody else calls.
var otherMakers = regexp.MustCompile(`^(Int64|Float64)(Observable)?(Counter|UpDownCounter|Gauge|Histogram)$`)

// An instrument is as it is made, or listed.
type instrument struct{ name, kind, unit, meaning string }

// instruments are those that the code makes, by the folder that makes them, and the attributes that the folder has.
func (c code) instruments() (made map[string][]instrument, attributes map[string]map[string]bool, found []string) {
	made, attributes = map[string][]instrument{}, map[string]map[string]bool{}
	for dir, files := range c {
		if dir == measures {
			continue
		}
		attributes[dir] = map[string]bool{}
		for _, f := range files {
			ast.Inspect(f.File, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if s, ok := call.Fun.(*ast.SelectorExpr); ok && otherMakers.MatchString(s.Sel.Name) {
					found = append(found, f.path+": makes an instrument by "+s.Sel.Name+", and not by "+measures)
				}
				called, _ := selected(call.Fun, path.Base(measures))
				if kind := makers[called]; kind != "" {
					i, ok := instrumentOf(call, kind)
					if !ok {
						found = append(found, f.path+": an instrument's name, unit and meaning are to be literals")
					}
					made[dir] = append(made[dir], i)
				}
				for n := 0; called == "By" && n < len(call.Args); n += 2 {
					key, _ := literal(call.Args[n])
					attributes[dir][key] = true
				}
				return true
			})
		}
	}
	return made, attributes, found
}

func instrumentOf(call *ast.CallExpr, kind string) (i instrument, ok bool) {
	if len(call.Args) < 4 {
		return i, false
	}
	i.kind = kind
	for n, field := range []*string{&i.name, &i.unit, &i.meaning} {
		if *field, ok = literal(call.Args[n+1]); !ok {
			return i, false
		}
	}
	return i, true
}

// listed matches a row of the list: name, kind, unit, attributes, and meaning, after which it says what for.
var listed = regexp.MustCompile("(?m)^\\| `(earshot[^`]*)` \\| ([^|]*) \\| `([^`]*)` \\|([^|]*)\\| ([^|]*) \\|$")

// Each instrument is in the list of infra/README.md, in the words of the code, with the attributes that it is given, and
// no other is.
func checkMetrics(s system) []string {
	made, attributes, found := s.code.instruments()
	rows := map[string][]string{}
	for _, match := range listed.FindAllStringSubmatch(s.runbook, -1) {
		rows[match[1]] = match[2:]
	}
	for _, dir := range slices.Sorted(maps.Keys(made)) {
		given := map[string]bool{}
		for _, i := range made[dir] {
			row, ok := rows[i.name]
			delete(rows, i.name)
			switch {
			case !ok:
				found = append(found, "infra/README.md doesn't list the metric "+i.name)
				continue
			case row[0] != i.kind || row[1] != i.unit:
				found = append(found, fmt.Sprintf("infra/README.md: %s is a %s in %s, not a %s in %s", i.name, i.kind, i.unit, row[0], row[1]))
			case !strings.HasPrefix(row[3], i.meaning+"."):
				found = append(found, fmt.Sprintf("infra/README.md: %s doesn't begin with what the code says of it: %s", i.name, i.meaning))
			}
			for key := range strings.FieldsSeq(strings.ReplaceAll(row[2], ",", " ")) {
				given[strings.Trim(key, "`")] = true
			}
		}
		found = append(found, differ("the attribute, in "+dir, attributes[dir], given)...)
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		found = append(found, "infra/README.md lists the metric "+name+", which nobody measures")
	}
	return found
}

var (
	queried = regexp.MustCompile(`\{\\*"(earshot\.[a-z0-9_.]+)\\*"`)
	parts   = regexp.MustCompile(`_(bucket|count|sum)$`)
)

// What dashboards and alerts ask for is measured. Of a histogram that is one of its parts.
func checkQueries(s system) []string {
	made, _, _ := s.code.instruments()
	kinds := map[string]string{}
	for _, instruments := range made {
		for _, i := range instruments {
			kinds[i.name] = i.kind
		}
	}
	var found []string
	for _, file := range slices.Sorted(maps.Keys(s.module.files)) {
		for _, match := range queried.FindAllSubmatch(s.module.files[file], -1) {
			name := string(match[1])
			whole := parts.ReplaceAllString(name, "")
			if kinds[name] != "" && kinds[name] != "histogram" || kinds[whole] == "histogram" && whole != name {
				continue
			}
			found = append(found, file+": asks for "+name+", which nobody measures")
		}
	}
	return found
}
