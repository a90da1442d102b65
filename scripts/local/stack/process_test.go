package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// roleVariable, in the environment, has this test's binary be the binary of a function.
const roleVariable = "STACK_TEST_ROLE"

// play is the life of a function in a role. It says whether there was one to play.
func play(role string) bool {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := http.Server{
		Addr: "127.0.0.1:" + os.Getenv("PORT"),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/crash" {
				os.Exit(3)
			}
		}),
	}
	switch role {
	case "":
		return false
	case "refuses":
		fmt.Println("no such thing")
		os.Exit(1)
	case "hangs":
		signal.Ignore(syscall.SIGTERM)
	case "serves":
		context.AfterFunc(ctx, func() { server.Close() }) // ListenAndServe tells
	}
	fmt.Println("serving")
	fmt.Fprintln(os.Stderr, "in role", role)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		os.Exit(1)
	}
	fmt.Print("drained, without the end of a line")
	return true
}

// recorder is a writer that can be read while it is written to.
type recorder struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func function(t *testing.T, role string) (*Function, *recorder, chan error) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said, unexpected := &recorder{}, make(chan error, 1)
	f := &Function{
		Name: "actor", binary: binary, env: append(os.Environ(), roleVariable+"="+role),
		logs: &logs{w: said}, unexpected: unexpected,
	}
	t.Cleanup(func() {
		for _, p := range f.Processes() {
			p.Kill()
		}
		f.watching.Wait()
	})
	return f, said, unexpected
}

func start(t *testing.T, f *Function) *Process {
	t.Helper()
	p, err := f.Start(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFunctionServesUntilItIsTerminated(t *testing.T) {
	f, said, unexpected := function(t, "serves")
	p := start(t, f)
	if url, err := f.URL(); err != nil || url != p.URL {
		t.Errorf("URL %q, %v; want %q", url, err, p.URL)
	}
	if err := f.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if _, err := f.URL(); err == nil || p.Running() {
		t.Errorf("after Stop: URL error %v, running %v", err, p.Running())
	}
	want := []string{"actor        | serving\n", "actor        | in role serves\n", "actor        | drained, without the end of a line\n"}
	for _, line := range want {
		if !strings.Contains(said.String(), line) {
			t.Errorf("the log %q has no line %q", said, line)
		}
	}
	if len(unexpected) != 0 {
		t.Errorf("told of %v, want nothing: it was asked to end", <-unexpected)
	}
}

func TestFunctionThatDoesNotStartSaysWhy(t *testing.T) {
	f, said, _ := function(t, "refuses")
	if _, err := f.Start(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got error %v, want its exit status", err)
	}
	if !strings.Contains(said.String(), "no such thing") {
		t.Errorf("the log %q hides what it said", said)
	}
}

func TestExitOfItsOwnIsTold(t *testing.T) {
	f, _, unexpected := function(t, "serves")
	p := start(t, f)
	if response, err := http.Get(p.URL + "/crash"); err == nil { //nolint:noctx // it ends with the process
		response.Body.Close()
	}
	select {
	case err := <-unexpected:
		if !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "actor") {
			t.Errorf("told %v, want who and how", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
	}
}

func TestKilledProcessIsReplacedOnItsPort(t *testing.T) {
	f, _, unexpected := function(t, "hangs")
	first := start(t, f)
	other := start(t, f)
	first.Kill()
	eventually(t, "only the other is left", func() bool { return len(f.Processes()) == 1 })
	for range 3 {
		if url, err := f.URL(); err != nil || url != other.URL {
			t.Errorf("URL %q, %v; want that of the process that runs", url, err)
		}
	}
	port, err := strconv.Atoi(first.URL[strings.LastIndex(first.URL, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.Start(t.Context(), port); err != nil || again.URL != first.URL {
		t.Errorf("started again as %v, %v; want at %s", again, err, first.URL)
	}
	if len(unexpected) != 0 {
		t.Errorf("told of %v, want nothing: it was killed by us", <-unexpected)
	}
}

// TestChildrenDieWithUs starts a process that starts a function, and kills the first.
func TestChildrenDieWithUs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no such thing as Pdeathsig here")
	}
	if os.Getenv(roleVariable+"_PARENT") != "" {
		f, _, _ := function(t, "hangs")
		fmt.Println("child", start(t, f).cmd.Process.Pid)
		<-t.Context().Done()
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), binary, "-test.run=^TestChildrenDieWithUs$")
	parent.Env = append(os.Environ(), roleVariable+"_PARENT=1")
	said := &recorder{}
	parent.Stdout = said
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	eventually(t, "the child is there", func() bool {
		n, err := fmt.Sscanf(said.String(), "child %d\n", &pid)
		return n == 1 && err == nil
	})
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	eventually(t, "the child is gone", func() bool { return !lives(pid) })
}

// lives reports whether a process runs: one that nobody has waited for yet doesn't.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return err == nil && !bytes.HasPrefix(state, []byte("Z"))
}
