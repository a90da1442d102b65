package infralint

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// unreachable matches what tofu and terraform say where the registry of providers can't be asked at all.
var unreachable = regexp.MustCompile(`(?i)could not connect|no such host|connection refused|network is unreachable|i/o timeout|context deadline exceeded`)

// tool is tofu or terraform, with the folder of a copy of infra/.
type tool struct{ path, dir string }

func newTool(t *testing.T) tool {
	t.Helper()
	for _, name := range []string{"tofu", "terraform"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		dir := t.TempDir()
		files, err := filepath.Glob("../../infra/*.tf")
		if err != nil || len(files) == 0 {
			t.Fatalf("got no files of infra/ (%v)", err)
		}
		for _, file := range append(files, "../../infra/.terraform.lock.hcl") {
			text, err := os.ReadFile(file)
			if os.IsNotExist(err) {
				continue // the first init makes the lock
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return tool{path, dir}
	}
	t.Skip("there is no tofu and no terraform here; cloudbuild.yaml has one")
	return tool{}
}

// run gives what the tool said, and whether it was content.
func (o tool) run(t *testing.T, arguments ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.path, append([]string{"-chdir=" + o.dir}, arguments...)...)
	// A machine's settings stay out of it, but for those that say where providers are.
	cmd.Env = append(os.Environ(), "TF_IN_AUTOMATION=1", "TF_INPUT=0", "TF_DATA_DIR="+filepath.Join(o.dir, ".terraform"), "CHECKPOINT_DISABLE=1")
	if path := os.Getenv("TF_CLI_CONFIG_FILE"); path != "" {
		if _, err := os.Stat(path); err != nil {
			cmd.Env = append(cmd.Env, "TF_CLI_CONFIG_FILE=") // else it warns of the missing file
		}
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	return output.String(), err == nil
}

// What tofu or terraform itself says of the format. The rule "format" says the same where there is none.
func TestToolFormat(t *testing.T) {
	if output, ok := newTool(t).run(t, "fmt", "-check", "-diff", "-no-color"); !ok {
		t.Errorf("run tofu fmt or terraform fmt in infra/:\n%s", output)
	}
}

// The files are a module: blocks that the language has, with what it wants in them, and providers that are declared.
// This needs no provider.
func TestToolReads(t *testing.T) {
	o := newTool(t)
	o.withoutBackend(t)
	output, ok := o.run(t, "providers", "-no-color")
	if !ok {
		t.Fatal(output)
	}
	for line := range strings.Lines(output) {
		if strings.Contains(line, "provider[") && !strings.HasSuffix(strings.TrimSpace(line), "terraform.io/builtin/terraform]") &&
			!strings.Contains(line, "] ~> ") {
			t.Errorf("a provider without a version: %s", line)
		}
	}
	o.add(t, "resource \"google_pubsub_topic\" \"a\" {\n  count    = 1\n  for_each = {}\n}\n")
	if output, ok := o.run(t, "providers", "-no-color"); ok {
		t.Errorf("got no error for a resource with count and for_each, so nothing is looked at:\n%s", output)
	}
}

// Every argument is one that its provider has, of the right type. The providers are large and come from a registry: where
// that can't be asked and no mirror is set up, there is nothing to validate with.
func TestToolValidates(t *testing.T) {
	o := newTool(t)
	if output, ok := o.run(t, "init", "-backend=false", "-input=false", "-no-color"); !ok {
		if unreachable.MatchString(output) {
			t.Skipf("the providers can't be had here; cloudbuild.yaml validates:\n%s", output)
		}
		t.Fatal(output)
	}
	if output, ok := o.run(t, "validate", "-no-color"); !ok {
		t.Fatal(output)
	}
	o.add(t, "resource \"google_pubsub_topic\" \"a\" {\n  nmae = \"a\"\n}\n")
	if output, ok := o.run(t, "validate", "-no-color"); ok {
		t.Errorf("got no error for an argument that there isn't:\n%s", output)
	}
}

func (o tool) add(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, "added.tf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// withoutBackend takes out the bucket of the state, which would have to be there.
func (o tool) withoutBackend(t *testing.T) {
	t.Helper()
	path := filepath.Join(o.dir, "versions.tf")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	backend := regexp.MustCompile(`(?s)backend "gcs" \{.*?\n  \}`)
	if !backend.Match(text) {
		t.Fatal("versions.tf has no backend")
	}
	if err := os.WriteFile(path, backend.ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}
