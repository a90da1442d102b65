package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// The patience with a process: until it answers, and from SIGTERM to SIGKILL, a little over the 10 s that Cloud Run
// gives.
const (
	readyLimit = 30 * time.Second
	stopLimit  = 12 * time.Second
)

// Process is a running binary of a function, an instance as Cloud Run would have it.
type Process struct {
	URL string // http://127.0.0.1:{port}

	name   string
	cmd    *exec.Cmd
	told   atomic.Bool // to end, by us
	exited chan struct{}
	err    error // of its exit; to be read after exited
}

// spawn starts a binary that listens on a port and returns when it is healthy. Its output goes to logs.
func spawn(ctx context.Context, name, binary string, port int, env []string, logs *prefixer) (*Process, error) {
	p := &Process{
		URL: fmt.Sprintf("http://127.0.0.1:%d", port), name: name,
		cmd: exec.Command(binary), exited: make(chan struct{}), //nolint:noctx // it outlives the call that starts it
	}
	p.cmd.Env = slices.Concat(env, []string{fmt.Sprintf("PORT=%d", port)})
	p.cmd.Stdout, p.cmd.Stderr = logs, logs
	p.cmd.SysProcAttr = attributes()
	started := make(chan error, 1)
	go p.live(logs, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.healthy(ctx); err != nil {
		p.Kill()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// live starts the process and stays with it to its end. It keeps its thread, because the kernel ends the child when
// the thread that started it ends (see attributes).
func (p *Process) live(logs *prefixer, started chan<- error) {
	runtime.LockOSThread()
	defer close(p.exited)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		logs.flush()
	}
}

// healthEvery is the pace at which a process that starts is asked.
const healthEvery = 20 * time.Millisecond

// healthy asks until the process says that it is.
func (p *Process) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not healthy within %v", readyLimit))
	defer cancel()
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/healthz", nil)
		if err != nil {
			return err
		}
		if response, err := client.Do(r); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("it ended at once: %w", p.exitError())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Running reports whether it has not.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

var errExitedWell = errors.New("exit status 0")

// exitError is how the process ended, which is an error where nobody told it to.
func (p *Process) exitError() error {
	if p.err == nil {
		return errExitedWell
	}
	return p.err
}

// Terminate has the process drain, with SIGTERM, and returns when it has ended. One that doesn't is killed. The error
// is that of its exit, nil if all went in order.
func (p *Process) Terminate() error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return p.err
	case <-time.After(stopLimit):
		p.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.name, stopLimit)
	}
}

// Pause stops the process from running, as a machine does that is short of CPU: it keeps its connections, and answers
// nothing.
func (p *Process) Pause() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) } // it fails only if the process has ended

// Resume lets a paused process go on.
func (p *Process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) } // likewise

// Kill ends the process as a crash does, and returns when it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

func (p *Process) signal(signal syscall.Signal) {
	p.told.Store(true)
	if p.Running() {
		_ = p.cmd.Process.Signal(signal) // it fails only if the process has ended in between
	}
}
