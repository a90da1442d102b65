package repolint

import (
	"fmt"
	"path"
	"strings"
)

const module = "earshot.dev/"

// Lists of packages of this module. "*" stands for one name, a last "..." for everything at and below a folder.
const (
	domain   = "shared/transcript shared/usage shared/conversation shared/account shared/event"
	basics   = domain + " shared/fault shared/logging shared/measure shared/tracing"
	adapters = "shared/store/... shared/cache/... shared/lock/... shared/publisher/... shared/subscriber/... " +
		"shared/auth/... shared/server/... shared/logging/... shared/redisclient shared/broadcast shared/telemetry shared/tracing"
	servers = "shared/firestoretest/... shared/redistest/... shared/otlptest shared/pipetest" // for tests and the local run
)

// A row of the import table: who may import which packages of this module, and whether libraries too.
type row struct {
	who       string
	own       string
	libraries bool
}

// imports is the import table. The first row that names a package decides for it; a package that no row names has
// no place in the tree. Everybody may import the standard library, and what shares their folder: shared/x or
// functions/x. Tests may import any library besides, and the servers.
var imports = []row{
	{"shared/transcript", "", false},
	{"shared/usage", "shared/transcript", false},
	{"shared/conversation", "shared/transcript shared/usage", false},
	{"shared/account", "shared/transcript shared/usage shared/conversation", false},
	{"shared/event", "shared/transcript shared/usage shared/conversation shared/account", false},
	{"shared/fault", domain, false},
	{"shared/measure", "", true},
	{adapters, basics, true},
	{"shared/cached", basics + " shared/store shared/cache", true}, // the two together
	{servers, basics, true},
	{"functions/e2e/... scripts/...", "...", true},
	{"functions/*", "shared/*", true}, // package main
	{"functions/*/...", basics, true},
}

// owners says who alone may import a path, or one below it. Tests are free to.
var owners = []struct{ path, who string }{
	{"C", "scripts/local/... functions/listen/audio"}, // there behind build tags: scripts/test sees that no function needs it
	{module + "shared/firestoretest", "shared/firestoretest/... scripts/local/... scripts/emulator scripts/workload"},
	{module + "shared/redistest", "shared/redistest/... scripts/local/... scripts/workload"},
	{module + "shared/otlptest", "scripts/local/... scripts/workload"},
	{module + "shared/pipetest", ""},
	{"cloud.google.com/go/firestore", "shared/store/... shared/firestoretest/... scripts/..."},
	{"cloud.google.com/go/pubsub", "shared/publisher functions/* scripts/..."},
	{"github.com/bsm/redislock", "shared/lock"},
	{"github.com/coreos/go-oidc", "shared/auth"},
	{"github.com/lmittmann/tint", "shared/logging"},
	{"github.com/maypok86/otter", "shared/cache"},
	{"go.opentelemetry.io/otel/sdk", "shared/telemetry"},
	{"go.opentelemetry.io/otel/exporters", "shared/telemetry"},
	{"github.com/redis/go-redis", "shared/broadcast shared/cache shared/cached shared/lock shared/redisclient scripts/..."},
}

func checkImports(t tree) []finding {
	var found []finding
	for _, f := range t.files {
		r, ok := rowOf(f.dir())
		if !ok {
			found = append(found, finding{f.path, 0, "no row of the import table names " + f.dir()})
			continue
		}
		for _, spec := range f.ast.Imports {
			if imported := pathOf(spec); !r.allows(f, imported) {
				found = append(found, finding{f.path, f.line(spec.Pos()), fmt.Sprintf("%s may not import %s", f.dir(), imported)})
			}
		}
	}
	return found
}

func checkOwners(t tree) []finding {
	var found []finding
	for _, f := range t.files {
		if f.test() {
			continue
		}
		for _, spec := range f.ast.Imports {
			imported := pathOf(spec)
			for _, o := range owners {
				if within(o.path, imported) && !matches(o.who, f.dir()) {
					found = append(found, finding{f.path, f.line(spec.Pos()), fmt.Sprintf("only %s may import %s", o.who, imported)})
				}
			}
		}
	}
	return found
}

func rowOf(pkg string) (row, bool) {
	for _, r := range imports {
		if matches(r.who, pkg) {
			return r, true
		}
	}
	return row{}, false
}

func (r row) allows(f file, imported string) bool {
	if own, ok := strings.CutPrefix(imported, module); ok {
		return matches(r.own, own) || folder(own) == folder(f.dir()) ||
			f.test() && matches(servers, own)
	}
	first, _, _ := strings.Cut(imported, "/")
	standard := !strings.Contains(first, ".")
	return standard || r.libraries || f.test()
}

// matches says whether one of the patterns, separated by spaces, names the package.
func matches(patterns, pkg string) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		name := pkg
		if pattern == "..." {
			return true
		}
		if top, below := strings.CutSuffix(pattern, "/..."); below {
			pattern = top
			name = first(pkg, strings.Count(top, "/")+1)
		}
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

// within says whether p is top or lies below it.
func within(top, p string) bool { return p == top || strings.HasPrefix(p, top+"/") }

// folder is where the packages live that belong together: functions/listen of functions/listen/stt/deepgram.
func folder(pkg string) string { return first(pkg, 2) }

// first returns the first n elements of a path.
func first(p string, n int) string {
	elements := strings.Split(p, "/")
	return strings.Join(elements[:min(n, len(elements))], "/")
}
