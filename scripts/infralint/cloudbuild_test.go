package infralint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/api/cloudbuild/v1"
)

// builtIn are the substitutions that Cloud Build makes by itself, and that are used.
// https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values
var builtIn = []string{"PROJECT_ID"}

var (
	substitution = regexp.MustCompile(`\$\{?([A-Z_][A-Z0-9_]*)\}?`)
	scriptCall   = regexp.MustCompile(`(?:go run \./)?(scripts/[a-z]+)`)
	// secretVersion finds the name of a secret that a build is given.
	secretVersion = regexp.MustCompile(`/secrets/([a-z-]+)/versions/`)
	ownTime       = regexp.MustCompile(`timeout ([0-9]+) `)
	flag          = regexp.MustCompile(`(?:^| )(--[a-z-]+)`)
)

func TestCloudBuild(t *testing.T) {
	text, err := os.ReadFile("../../cloudbuild.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range checkCloudBuild(t, string(text)) {
		t.Error(found)
	}
}

func TestCloudBuildPlanted(t *testing.T) {
	text, err := os.ReadFile("../../cloudbuild.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"a field that there isn't", "allowFailure:", "allowFailures:", `unknown field "allowFailures"`},
		{"a number for a name", "machineType: E2_HIGHCPU_8", "machineType: 8", "cannot unmarshal number"},
		{"a substitution of another name", "${_REGION}", "${_PLACE}", "_PLACE is used"},
		{"a substitution that nobody uses", "  _VERSION:", "  _EXTRA: x\n  _VERSION:", "_EXTRA is declared"},
		{"a script that there isn't", "scripts/images", "scripts/image", "scripts/image isn't there"},
		{"a flag that there isn't", "--settle", "--finish", "scripts/release doesn't take --finish"},
		{"a flag of a program that there isn't", "--account=", "--user=", "scripts/smoke doesn't take --user"},
		{"a secret that isn't there", "env: SIGN_IN_API_KEY", "env: API_KEY", "SIGN_IN_API_KEY is no secret"},
		{"a step without a time", "    timeout: 300s\n", "", "step infra: has no time"},
		{"less time than the steps take", "timeout: 9000s", "timeout: 3600s", "the steps may take 2h25m0s, and the build 1h0m0s"},
		{"a test that is ended from outside", "timeout 400 go", "go", "step smoke: may fail, and doesn't end by itself"},
		{"a test that is longer than its step", "timeout 400 go", "timeout 700 go", "step smoke: ends by itself after 11m40s"},
		{"a test that nobody looks after", "    timeout: 1200s", "    timeout: 1200s\n    allowFailure: true", "step deploy: may fail, and the next one doesn't look after it"},
		{"traffic before the smoke test", "- id: smoke", "- id: smoked", "steps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(string(text), tt.old) {
				t.Fatalf("there is no %q: the change can't be made", tt.old)
			}
			found := strings.Join(checkCloudBuild(t, strings.ReplaceAll(string(text), tt.old, tt.new)), "\n")
			if !strings.Contains(found, tt.want) {
				t.Errorf("got %q, want %q in it", found, tt.want)
			}
		})
	}
}

// checkCloudBuild reads a build as Cloud Build's API does, which knows its fields.
func checkCloudBuild(t *testing.T, text string) []string {
	var anything any
	if err := yaml.Unmarshal([]byte(text), &anything); err != nil {
		return []string{err.Error()}
	}
	encoded, err := json.Marshal(anything)
	if err != nil {
		return []string{err.Error()}
	}
	var build cloudbuild.Build
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&build); err != nil {
		return []string{err.Error()}
	}
	var ids []string
	secrets := map[string]bool{}
	for _, s := range build.AvailableSecrets.SecretManager {
		secrets[s.Env] = true
	}
	found := checkSubstitutions(text, build.Substitutions)
	for _, step := range build.Steps {
		ids = append(ids, step.Id)
		found = append(found, checkCalls(t, step)...)
		for _, name := range step.SecretEnv {
			if !secrets[name] {
				found = append(found, fmt.Sprintf("step %s: %s is no secret of the build", step.Id, name))
			}
		}
	}
	if want := strings.Fields("infra check test build deploy smoke migrate prove settle"); !slices.Equal(ids, want) {
		found = append(found, fmt.Sprintf("got the steps %q, want %q", ids, want))
	}
	return append(found, checkTimeouts(build)...)
}

// Each step has its time, and all of them together fit into the build's, which would else end without a roll back. What
// may fail ends by itself before its time is up, and is looked after by the next step.
func checkTimeouts(build cloudbuild.Build) []string {
	var found []string
	var all time.Duration
	for i, step := range build.Steps {
		limit, err := time.ParseDuration(step.Timeout)
		if err != nil {
			found = append(found, fmt.Sprintf("step %s: has no time: %v", step.Id, err))
		}
		all += limit
		if !step.AllowFailure {
			continue
		}
		own := ownTime.FindStringSubmatch(strings.Join(step.Args, " "))
		if own == nil {
			found = append(found, fmt.Sprintf("step %s: may fail, and doesn't end by itself", step.Id))
		} else if seconds, err := time.ParseDuration(own[1] + "s"); err != nil || seconds >= limit {
			found = append(found, fmt.Sprintf("step %s: ends by itself after %v, which is not before %v", step.Id, seconds, limit))
		}
		if i+1 == len(build.Steps) || !strings.Contains(strings.Join(build.Steps[i+1].Args, " "), "scripts/release") {
			found = append(found, fmt.Sprintf("step %s: may fail, and the next one doesn't look after it", step.Id))
		}
	}
	if limit, err := time.ParseDuration(build.Timeout); err != nil || limit < all {
		found = append(found, fmt.Sprintf("the steps may take %v, and the build %v", all, limit))
	}
	return found
}

func checkSubstitutions(text string, declared map[string]string) []string {
	var found []string
	used := map[string]bool{}
	for _, match := range substitution.FindAllStringSubmatch(strings.ReplaceAll(text, "$$", ""), -1) {
		used[match[1]] = true
		if _, ok := declared[match[1]]; !ok && !slices.Contains(builtIn, match[1]) {
			found = append(found, match[1]+" is used, and declared nowhere")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !used[name] {
			found = append(found, name+" is declared, and used nowhere")
		}
	}
	return found
}

// checkCalls sees to it that each script that a step calls is there and takes the flags it is given.
func checkCalls(t *testing.T, step *cloudbuild.BuildStep) []string {
	var found []string
	for command := range strings.SplitSeq(strings.Join(step.Args, " "), ";") {
		call := scriptCall.FindStringSubmatch(command)
		if call == nil {
			continue
		}
		script := call[1]
		if _, err := os.Stat("../../" + script); err != nil {
			found = append(found, script+" isn't there")
			continue
		}
		flags := flag.FindAllStringSubmatch(command, -1)
		if len(flags) == 0 {
			continue
		}
		help := helpOf(t, call[0])
		for _, f := range flags {
			if !strings.Contains(help, f[1]+"=") && !strings.Contains(help, f[1]+" ") && !strings.Contains(help, f[1]+"|") {
				found = append(found, script+" doesn't take "+f[1])
			}
		}
	}
	return found
}

// help is what the scripts say of themselves, asked once.
var help = map[string]string{}

func helpOf(t *testing.T, call string) string {
	t.Helper()
	if _, known := help[call]; !known {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", call+" --help")
		cmd.Dir = "../.."
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s --help: %v", call, err)
		}
		help[call] = string(output)
	}
	return help[call]
}
