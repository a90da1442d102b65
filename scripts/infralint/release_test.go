package infralint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// releaseOrder is that of the traffic: who takes events comes before who makes them.
var releaseOrder = []string{"integrations", "usage", "finalize", "conversations", "sweep", "listen"}

func serving() string {
	var answers []string
	for _, service := range releaseOrder {
		answers = append(answers,
			fmt.Sprintf("gcloud run services describe %s --region=r1 --flatten|0|0,%[1]s2,candidate,https://candidate---%[1]s\\n100,%[1]s1,,\\n", service),
			fmt.Sprintf("gcloud run services describe %s --region=r1 --format|0|https://%[1]s\\n", service),
			fmt.Sprintf("gcloud run revisions describe %s1 --region=r1|0|h/r/%[1]s@sha256:old\\n", service),
		)
	}
	return strings.Join(answers, "\n")
}

// Each function has its place in a release.
func TestReleaseOrder(t *testing.T) {
	s, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../release")
	if err != nil {
		t.Fatal(err)
	}
	if list := "services=(" + strings.Join(releaseOrder, " ") + ")"; !strings.Contains(string(script), list) {
		t.Errorf("scripts/release doesn't have %s", list)
	}
	if got := slices.Sorted(slices.Values(releaseOrder)); !slices.Equal(got, s.code.functions()) {
		t.Errorf("released are %q, and the functions are %q", got, s.code.functions())
	}
}

// deploying, moving and back are the calls of the steps of a release, in their order.
func deploying() (calls []string) {
	for _, service := range releaseOrder {
		calls = append(calls, fmt.Sprintf("gcloud run deploy %s --region=r1 --image=h/r/%[1]s:v1 --no-traffic --tag=candidate", service))
	}
	return calls
}

func moving() (calls []string) {
	for _, service := range releaseOrder {
		calls = append(calls, fmt.Sprintf("gcloud run services update-traffic %s --region=r1 --to-latest", service))
	}
	return calls
}

// back gives the traffic back before anything else, and then restores each service as it was.
func back() (calls []string) {
	for _, service := range slices.Backward(releaseOrder) {
		calls = append(calls, fmt.Sprintf("gcloud run services update-traffic %s --region=r1 --quiet --to-revisions=%[1]s1=100", service))
	}
	for _, service := range releaseOrder {
		calls = append(calls,
			fmt.Sprintf("gcloud run services update %s --region=r1 --image=h/r/%[1]s@sha256:old", service),
			fmt.Sprintf("gcloud run services update-traffic %s --region=r1 --to-latest --clear-tags", service))
	}
	return calls
}

func (s sandbox) release(t *testing.T, step string, more ...string) (string, bool) {
	t.Helper()
	return s.run(t, "scripts/release", append([]string{step, "--region=r1"}, more...)...)
}

func TestRelease(t *testing.T) {
	for _, tt := range []struct {
		name, answer, step string
		mark               string // in .release/
		fails              bool
		want               []string
	}{
		{"traffic moves", "", "--migrate", "understood", false, moving()},
		{"the candidate doesn't understand", "", "--migrate", "", true, back()},
		{"traffic moves halfway", "gcloud run services update-traffic listen --region=r1 --to-latest --quiet|1|", "--migrate", "understood", true, slices.Concat(moving(), back())},
		{"it works", "", "--settle", "proven", false, nil},
		{"it doesn't", "", "--settle", "", true, back()},
		{"one can't be moved back", "gcloud run services update-traffic usage --region=r1 --quiet|1|", "--settle", "", true, back()},
		{"by hand", "", "--rollback", "", false, back()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSandbox(t, tt.answer, serving())
			if output, ok := s.release(t, "--deploy", "--repository=h/r", "--version=v1"); !ok {
				t.Fatal(output)
			}
			for name, want := range map[string]string{
				"candidate-listen": "https://candidate---listen", "live-listen": "https://listen",
				"candidate-conversations": "https://candidate---conversations", "live-conversations": "https://conversations",
			} {
				if got, err := os.ReadFile(filepath.Join(s.dir, ".release", name)); err != nil || strings.TrimSpace(string(got)) != want {
					t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
				}
			}
			if tt.mark != "" {
				s.write(t, ".release/"+tt.mark, "", 0o600)
			}
			output, ok := s.release(t, tt.step)
			if ok == tt.fails {
				t.Errorf("got success %v:\n%s", ok, output)
			}
			if got, want := s.calls(t), slices.Concat(deploying(), tt.want); !begin(got, want) {
				t.Errorf("got the calls\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if tt.mark != "" && tt.fails && strings.Contains(output, "NOT as before") {
				t.Errorf("it says that it couldn't roll back:\n%s", output)
			}
		})
	}
}

// A candidate that doesn't start leaves no service with the image that failed.
func TestReleaseOfWhatDoesNotStart(t *testing.T) {
	s := newSandbox(t, "gcloud run deploy finalize|1|", serving())
	output, ok := s.release(t, "--deploy", "--repository=h/r", "--version=v1")
	if got, want := s.calls(t), slices.Concat(deploying()[:3], back()); ok || !begin(got, want) {
		t.Errorf("got success %v and the calls\n%s\nwant\n%s\n\n%s", ok, strings.Join(got, "\n"), strings.Join(want, "\n"), output)
	}
}

// A service that can't be put back doesn't keep the others from it, and is named.
func TestRollbackOfOneFails(t *testing.T) {
	s := newSandbox(t, "gcloud run services update usage|1|", serving())
	if output, ok := s.release(t, "--deploy", "--repository=h/r", "--version=v1"); !ok {
		t.Fatal(output)
	}
	output, ok := s.release(t, "--rollback")
	want := slices.DeleteFunc(back(), func(call string) bool { return strings.Contains(call, "usage --region=r1 --to-latest --clear-tags") })
	if ok || !strings.Contains(output, "NOT as before: usage") || !begin(s.calls(t), slices.Concat(deploying(), want)) {
		t.Errorf("got success %v and the calls\n%s\n\n%s", ok, strings.Join(s.calls(t), "\n"), output)
	}
}

// A service that isn't there stops a release before anything is deployed.
func TestReleaseOfNothing(t *testing.T) {
	s := newSandbox(t, "gcloud run services describe usage|1|", serving())
	output, ok := s.run(t, "scripts/release", "--deploy", "--region=r1", "--repository=h/r", "--version=v1")
	if calls := s.calls(t); ok || len(calls) > 0 {
		t.Errorf("got success %v and the calls %q:\n%s", ok, calls, output)
	}
}
