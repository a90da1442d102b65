package infralint

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fake stands for gcloud, tofu and curl. It notes how it was called, and answers with the first line of $FAKE/answers
// that the call begins with: the call|the exit code|the output, in which \n begins a line.
const fake = `#!/usr/bin/env bash
call="$(basename "$0") $*"
echo "$call" >>"$FAKE/calls"
if [[ -p /dev/stdin ]]; then cat >/dev/null; fi
while IFS='|' read -r pattern code output; do
	if [[ $pattern && $call == "$pattern"* ]]; then
		printf "$output"
		exit "$code"
	fi
done <"$FAKE/answers"
`

// A sandbox is a copy of what scripts/deploy and scripts/release read, with fakes for what they call.
type sandbox struct{ dir, key, says string }

func newSandbox(t *testing.T, answers ...string) sandbox {
	t.Helper()
	s := sandbox{t.TempDir(), "k3y", "p2"}
	for _, name := range []string{"gcloud", "tofu", "curl"} {
		s.write(t, "bin/"+name, fake, 0o755)
	}
	for _, name := range []string{"scripts/deploy", "scripts/release", "infra/project.tf"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, name, string(text), 0o755)
	}
	s.write(t, "scripts/images", fake, 0o755)
	for _, service := range releaseOrder {
		s.write(t, "functions/"+service+"/config.go", "", 0o600)
	}
	s.write(t, "infra/terraform.tfvars", "project_id  = \"p1\"\nregion = \"r1\"\nalert_email = \"a@example.com\"\n", 0o600)
	s.write(t, "answers", strings.Join(answers, "\n")+"\n", 0o600)
	s.write(t, "calls", "", 0o600)
	return s
}

func (s sandbox) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// run gives what a script printed and whether it succeeded.
func (s sandbox) run(t *testing.T, script string, arguments ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.dir, script), arguments...)
	cmd.Env = append(os.Environ(), "PATH="+s.dir+"/bin:"+os.Getenv("PATH"), "FAKE="+s.dir, "DEEPGRAM_API_KEY="+s.key)
	s.write(t, "stdin", s.says+"\n", 0o600)
	stdin, err := os.Open(filepath.Join(s.dir, "stdin"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }() // it is only read
	cmd.Stdin = stdin
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err = cmd.Run()
	return output.String(), err == nil
}

// calls are those that change something, without what the version is.
func (s sandbox) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var changing []string
	for call := range strings.Lines(string(text)) {
		asking := false
		for _, word := range []string{" describe ", " list ", "print-access-token", "testIamPermissions", " state ", "https://identitytoolkit"} {
			asking = asking || strings.Contains(call, word)
		}
		if !asking {
			changing = append(changing, strings.TrimSpace(call))
		}
	}
	return changing
}

// begin says whether each of the calls begins as it should.
func begin(calls, want []string) bool {
	if len(calls) != len(want) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(calls[i], want[i]) {
			return false
		}
	}
	return true
}

// ask is how each question to an API of Google's begins.
const ask = "curl --silent --show-error --fail --header @- --header Content-Type: application/json https://"

// A project where all that has to be there is, and nothing is left of an earlier setup.
var ready = []string{
	"gcloud auth list|0|me@example.com\\n",
	"gcloud billing|0|True\\n",
	"gcloud services list|0|" + allOf("../../infra/project.tf", `"([a-z]+)"`, "%s.googleapis.com\\n"),
	"gcloud kms|1|",
	ask + "identitytoolkit|22|",
	ask + "iam.googleapis.com/v1/projects/p1/serviceAccounts/earshot-build@p1.iam.gserviceaccount.com|0|" +
		`{"permissions":["iam.serviceAccounts.actAs"]}`,
	ask + "cloudresourcemanager|0|" + allOf("../deploy", `\b([a-z]+\.[a-zA-Z]+\.[a-zA-Z]+)\b`, `"%s",`),
}

// allOf gives all that a file has of something, each in a form.
func allOf(file, something, form string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	var all strings.Builder
	for _, match := range regexp.MustCompile(something).FindAllStringSubmatch(string(text), -1) {
		fmt.Fprintf(&all, form, match[1])
	}
	return all.String()
}

// What is there before a first deployment, which is nothing, and after it.
var (
	absent = []string{
		"gcloud run services describe|1|", "gcloud secrets versions list|0|", "gcloud storage buckets describe|1|",
		"gcloud services list|0|run.googleapis.com\\n", "gcloud artifacts docker images describe|1|",
	}
	present = []string{"gcloud secrets versions list|0|1\\n"}
)

func TestDeploy(t *testing.T) {
	unguarded := "-chdir=infra state show"
	for _, tt := range []struct {
		name    string
		answers []string
		flags   []string
		want    []string
	}{
		{"the first time", absent, []string{"--yes"}, []string{
			"gcloud services enable apikeys.googleapis.com artifactregistry.googleapis.com",
			"gcloud storage buckets create gs://p1-earshot-state --project=p1 --location=r1",
			"gcloud storage buckets update gs://p1-earshot-state --versioning",
			"tofu -chdir=infra init -input=false -backend-config=bucket=p1-earshot-state",
			"tofu -chdir=infra apply -var=release=",
			"gcloud secrets versions add deepgram-api-key --project=p1 --data-file=-",
			"images --repository=r1-docker.pkg.dev/p1/earshot --version=",
			"tofu -chdir=infra apply -var=release=",
			"tofu -chdir=infra output -raw next_steps",
		}},
		{"again", present, []string{"--yes"}, []string{
			"tofu -chdir=infra init", "tofu -chdir=infra apply -var=release=", "tofu -chdir=infra output -raw next_steps",
		}},
		{"after the first time stopped halfway", append([]string{
			"gcloud run services describe sweep|1|", "gcloud artifacts docker images describe r1-docker.pkg.dev/p1/earshot/usage|1|",
		}, present...), []string{"--yes"}, []string{
			"tofu -chdir=infra init", "tofu -chdir=infra apply -var=release=",
			"images --repository=r1-docker.pkg.dev/p1/earshot --version=",
			"tofu -chdir=infra apply -var=release=", "tofu -chdir=infra output",
		}},
		{"after all was destroyed", append([]string{
			"gcloud kms keys describe data --keyring=earshot --location=r1 --project=p1 --format|0|DESTROY_SCHEDULED\\n",
			"gcloud kms|0|", ask + "identitytoolkit|0|{}", "gcloud storage buckets describe|0|",
		}, absent...), []string{"--yes"}, []string{
			"gcloud services enable", "tofu -chdir=infra init",
			"tofu -chdir=infra import -input=false -var=release=",
			"tofu -chdir=infra import -input=false -var=release=",
			"gcloud kms keys versions create --key=data --keyring=earshot --location=r1 --project=p1 --primary",
			"tofu -chdir=infra import -input=false -var=release=",
			"tofu -chdir=infra apply -var=release=", "gcloud secrets versions add", "images ",
			"tofu -chdir=infra apply -var=release=", "tofu -chdir=infra output",
		}},
		{"again, with what can't be deleted in the state", append([]string{
			"gcloud kms keys describe data --keyring=earshot --location=r1 --project=p1 --format|0|ENABLED\\n",
			"gcloud kms|0|", ask + "identitytoolkit|0|{}",
			"tofu -chdir=infra state list|0|google_kms_crypto_key.data\\ngoogle_kms_key_ring.earshot\\ngoogle_identity_platform_config.default[0]\\n",
		}, present...), []string{"--yes"}, []string{
			"tofu -chdir=infra init", "tofu -chdir=infra apply -var=release=", "tofu -chdir=infra output",
		}},
		{"release", present, []string{"--release"}, []string{
			"gcloud builds submit --project=p1 --region=r1 --config=cloudbuild.yaml --gcs-source-staging-dir=gs://p1-earshot-source/source --substitutions=_ACCOUNT=earshot-build@p1.iam.gserviceaccount.com,_ISSUER=,_REGION=r1,_REPOSITORY=r1-docker.pkg.dev/p1/earshot,_VERSION=",
		}},
		{"destroy", append([]string{
			"tofu -chdir=infra state list|0|google_cloud_run_v2_service.usage\\ngoogle_firestore_database.default\\ngoogle_redis_instance.earshot\\n",
			"tofu " + unguarded + " -no-color google_cloud_run_v2_service.usage|0|    deletion_protection   = true\\n",
			"tofu " + unguarded + " -no-color google_firestore_database.default|0|    delete_protection_state = \"DELETE_PROTECTION_ENABLED\"\\n",
		}, present...), []string{"--destroy", "--yes"}, []string{
			"tofu -chdir=infra init",
			"tofu -chdir=infra apply -var=release=unknown -auto-approve -var=deletion_protection=false -target=google_cloud_run_v2_service.usage -target=google_firestore_database.default",
			"tofu -chdir=infra destroy",
		}},
		{"destroy, for the second time", append([]string{
			"tofu -chdir=infra state list|0|google_cloud_run_v2_service.usage\\ngoogle_compute_subnetwork.services\\n",
			"tofu " + unguarded + " -no-color google_cloud_run_v2_service.usage|0|    deletion_protection   = false\\n",
		}, present...), []string{"--destroy", "--yes"}, []string{
			"tofu -chdir=infra init", "tofu -chdir=infra destroy",
		}},
		{"destroy, and another name is typed", present, []string{"--destroy"}, nil},
		{"dry run of the first time", absent, []string{"--dry-run"}, nil},
		{"dry run of a release", present, []string{"--release", "--dry-run"}, nil},
		{"dry run of a change", present, []string{"--dry-run"}, []string{
			"tofu -chdir=infra init", "tofu -chdir=infra plan -input=false -lock=false -var=release=",
		}},
		{"dry run of destroying", present, []string{"--destroy", "--dry-run"}, []string{
			"tofu -chdir=infra init", "tofu -chdir=infra plan -input=false -lock=false -var=release=unknown -destroy",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSandbox(t, append(tt.answers, ready...)...)
			output, ok := s.run(t, "scripts/deploy", tt.flags...)
			if declined := strings.Contains(tt.name, "another name"); ok == declined {
				t.Errorf("got success %v:\n%s", ok, output)
			}
			if got := s.calls(t); !begin(got, tt.want) {
				t.Errorf("got the calls\n%s\nwant\n%s\n\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"), output)
			}
			if dry := strings.Contains(tt.name, "dry"); dry && !strings.Contains(output, "would run: ") {
				t.Errorf("it doesn't say what it would do:\n%s", output)
			}
			if text, err := os.ReadFile(filepath.Join(s.dir, "calls")); err != nil || strings.Contains(string(text)+output, "k3y") {
				t.Errorf("the key is in an argument or in the output (%v)", err)
			}
		})
	}
}

// Whoever types the project's name means it.
func TestDestroy(t *testing.T) {
	s := newSandbox(t, ready...)
	s.says = "p1"
	want := []string{"tofu -chdir=infra init", "tofu -chdir=infra destroy"}
	if output, ok := s.run(t, "scripts/deploy", "--destroy"); !ok || !begin(s.calls(t), want) {
		t.Errorf("got success %v and the calls %q:\n%s", ok, s.calls(t), output)
	}
}

// A subnet that is still held stops the first run, which says what to do, and that not all is gone.
func TestDestroyTakesTwoRuns(t *testing.T) {
	s := newSandbox(t, append([]string{"tofu -chdir=infra destroy|1|"}, ready...)...)
	output, ok := s.run(t, "scripts/deploy", "--destroy", "--yes")
	if ok || !strings.Contains(output, "hour or two") || !strings.Contains(output, "scripts/deploy --destroy --yes") || strings.Contains(output, "all is gone but") {
		t.Errorf("got success %v:\n%s", ok, output)
	}
}

// What to do next is said of what is there, also where Terraform stops halfway; and that it has.
func TestDeployStopsHalfway(t *testing.T) {
	s := newSandbox(t, slices.Concat([]string{
		"tofu -chdir=infra apply|1|", "tofu -chdir=infra output|0|Point your apps there\\n",
	}, present, ready)...)
	output, ok := s.run(t, "scripts/deploy", "--yes")
	if ok || !strings.Contains(output, "Point your apps there") || !strings.Contains(output, "run scripts/deploy again") {
		t.Errorf("got success %v:\n%s", ok, output)
	}
}

// Without the recogniser's key there is no first deployment, and there may be a second.
func TestDeployWithoutKey(t *testing.T) {
	s := newSandbox(t, append([]string{"gcloud secrets versions list|0|"}, ready...)...)
	s.key = ""
	if output, ok := s.run(t, "scripts/deploy", "--yes"); ok || len(s.calls(t)) > 0 || !strings.Contains(output, "DEEPGRAM_API_KEY") {
		t.Errorf("got success %v, %q", ok, output)
	}
	s.write(t, "answers", strings.Join(append(ready, "gcloud secrets versions list|0|1\\n"), "\n")+"\n", 0o600)
	if output, ok := s.run(t, "scripts/deploy", "--yes"); !ok {
		t.Error(output)
	}
}

// What is missing is said at once, and nothing is changed.
func TestDeployFindsWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name, answer string // the first answer
		values       string // of terraform.tfvars
		flags        []string
		want         []string
	}{
		{"values", "", "project_id = \"my-project\"\n", nil, []string{"project_id", "alert_email"}},
		{"nobody is signed in", "gcloud auth list|0|", "", nil, []string{"gcloud auth login"}},
		{"no credentials", "gcloud auth application-default|1|", "", nil, []string{"application-default login"}},
		{"no project and no billing", "gcloud projects describe|1|\ngcloud billing|0|False\\n", "", nil, []string{"the project p1", "billing"}},
		{"no permissions", ask + "cloudresourcemanager|0|{}", "", nil, []string{"the permission run.services.create", "the permission redis.instances.create"}},
		{"no answer of permissions", ask + "cloudresourcemanager|22|", "", nil, []string{"an answer of which permissions"}},
		{"APIs that may not be turned on", "gcloud services list|0|run.googleapis.com\\n\n" + ask + "cloudresourcemanager|0|{}", "", nil, []string{"the permission serviceusage.services.enable"}},
		{"no answer of APIs", "gcloud services list|1|", "", nil, []string{"serviceusage.services.list"}},
		{"no service to release", "gcloud run services describe usage|1|", "", []string{"--release"}, []string{"a deployment of every service"}},
		{"an API to release with", "gcloud services list|0|run.googleapis.com\\n", "", []string{"--release"}, []string{"cloudbuild.googleapis.com"}},
		{"no permission to release", ask + "cloudresourcemanager|0|{}", "", []string{"--release"}, []string{
			"the permission cloudbuild.builds.create", "the permission cloudbuild.builds.get", "the permission storage.objects.create",
			"the permission storage.buckets.get", "the permission run.services.get", "the permission logging.logEntries.list",
		}},
		{"may not act as the build", ask + "iam.googleapis.com|0|{}", "", []string{"--release"}, []string{
			"the permission iam.serviceAccounts.actAs on earshot-build@p1.iam.gserviceaccount.com",
		}},
		{"no permission to destroy", ask + "cloudresourcemanager|0|{}", "", []string{"--destroy", "--yes"}, []string{"the permission redis.instances.delete", "the permission datastore.databases.update"}},
		{"nothing to destroy", "gcloud storage buckets describe|1|", "", []string{"--destroy", "--yes"}, []string{"anything to destroy"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSandbox(t, append([]string{tt.answer}, ready...)...)
			if tt.values != "" {
				s.write(t, "infra/terraform.tfvars", tt.values, 0o600)
			}
			output, ok := s.run(t, "scripts/deploy", tt.flags...)
			if calls := s.calls(t); ok || len(calls) > 0 {
				t.Errorf("got success %v and the calls %q", ok, calls)
			}
			for _, want := range tt.want {
				if !strings.Contains(output, want) {
					t.Errorf("got %q, want %q in it", output, want)
				}
			}
		})
	}
}
