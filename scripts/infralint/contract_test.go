package infralint

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// A system is both sides.
type system struct {
	module  module
	code    code
	runbook string
	values  string // terraform.tfvars.example
	build   string // cloudbuild.yaml
	deploy  string // scripts/deploy
}

func load(root fs.FS) (system, error) {
	var s system
	var err error
	if s.module, err = loadModule(root); err != nil {
		return s, err
	}
	if s.code, err = loadCode(root); err != nil {
		return s, err
	}
	for path, text := range map[string]*string{
		"infra/README.md": &s.runbook, "infra/terraform.tfvars.example": &s.values,
		"cloudbuild.yaml": &s.build, "scripts/deploy": &s.deploy,
	} {
		read, err := fs.ReadFile(root, path)
		if err != nil {
			return s, err
		}
		*text = string(read)
	}
	return s, nil
}

// A rule says what is wrong.
type rule struct {
	name  string
	check func(system) []string
}

var rules = []rule{
	{"format", checkFormat},
	{"references", checkReferences},
	{"services", checkServices},
	{"environment", checkEnvironment},
	{"secrets", checkSecrets},
	{"capacity", checkCapacity},
	{"topics", checkTopics},
	{"subscriptions", checkSubscriptions},
	{"pushes", checkPushes},
	{"grants", checkGrants},
	{"invokers", checkInvokers},
	{"key", checkKey},
	{"indexes", checkIndexes},
	{"unindexed", checkUnindexed},
	{"time to live", checkTimeToLive},
	{"log events", checkLogEvents},
	{"runbook", checkRunbook},
	{"metrics", checkMetrics},
	{"queries", checkQueries},
	{"objectives", checkObjectives},
	{"new metrics", checkNewMetrics},
	{"redis", checkRedis},
	{"permissions", checkPermissions},
}

func TestRepository(t *testing.T) {
	s, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.code.functions()) == 0 || len(s.module.blocks) == 0 || len(s.code.queries()) == 0 {
		t.Fatal("there is nothing to look at")
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, found := range r.check(s) {
				t.Error(found)
			}
		})
	}
}

// differ says what is in one set and not in the other.
func differ(what string, wanted, got map[string]bool) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !got[name] {
			found = append(found, "the code needs "+what+" "+name+", which infra/ hasn't")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !wanted[name] {
			found = append(found, "infra/ has "+what+" "+name+", which the code doesn't use")
		}
	}
	return found
}

func set(names ...string) map[string]bool {
	s := map[string]bool{}
	for _, name := range names {
		s[name] = true
	}
	return s
}

// resource gives the name of the resource of a type that an expression is an attribute of: listen of
// google_service_account.listen.email.
func resource(expression, kind string) string {
	rest, ok := strings.CutPrefix(expression, kind+".")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, ".")
	return name
}
