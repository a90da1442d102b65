package stack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// Function is a function's binary and the processes that run it.
type Function struct {
	Name string

	binary     string
	env        []string
	logs       *logs
	unexpected chan<- error // told of a process that ends by itself

	mu        sync.Mutex
	processes []*Process    // those that were healthy once, without most that have ended
	next      atomic.Uint64 // whose turn it is
	watching  sync.WaitGroup
}

// With is the same function with variables more, or other ones, as NAME=value. It has no process yet; whoever starts any
// stops them before the system ends.
func (f *Function) With(env ...string) *Function {
	return &Function{Name: f.Name, binary: f.binary, env: slices.Concat(f.env, env), logs: f.logs, unexpected: f.unexpected}
}

// Start starts one more process on a port of the loopback address, 0 for any that is free, and returns when it is
// healthy.
func (f *Function) Start(ctx context.Context, port int) (*Process, error) {
	if port == 0 {
		var err error
		if port, err = freePort(ctx); err != nil {
			return nil, err
		}
	}
	p, err := spawn(ctx, f.Name, f.binary, port, f.env, f.logs.prefixed(f.Name))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.processes = append(f.processes, p)
	f.mu.Unlock()
	f.watching.Go(func() { f.watch(p) })
	return p, nil
}

// watch takes a process off the list when it has ended, and tells of it if nobody wanted it to.
func (f *Function) watch(p *Process) {
	<-p.Exited()
	f.mu.Lock()
	f.processes = slices.DeleteFunc(f.processes, func(other *Process) bool { return other == p })
	f.mu.Unlock()
	if p.told.Load() {
		return
	}
	select {
	case f.unexpected <- fmt.Errorf("%s ended by itself: %w", f.Name, p.exitError()):
	default: // one is enough
	}
}

// Processes are those that run.
func (f *Function) Processes() []*Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.processes), func(p *Process) bool { return !p.Running() })
}

// URL is the address of a process that runs, each in turn, as Cloud Run would choose one.
func (f *Function) URL() (string, error) {
	processes := f.Processes()
	if len(processes) == 0 {
		return "", fmt.Errorf("no process of %s runs", f.Name)
	}
	return processes[f.next.Add(1)%uint64(len(processes))].URL, nil
}

// Stop has all processes drain, at once, and returns when they have ended.
func (f *Function) Stop() error {
	processes := f.Processes()
	errs := make([]error, len(processes))
	var ending sync.WaitGroup
	for i, p := range processes {
		ending.Go(func() {
			if err := p.Terminate(); err != nil {
				errs[i] = fmt.Errorf("stop %s: %w", f.Name, err)
			}
		})
	}
	ending.Wait()
	f.watching.Wait()
	return errors.Join(errs...)
}

// The ports that processes are given: below those that the kernel gives to whoever connects.
const (
	firstPort = 10_000
	ports     = 20_000
)

// taken counts the ports that were tried, from a random one on, so that two systems of one process, such as tests
// that run at once, never choose the same.
var taken = func() *atomic.Int64 {
	n := new(atomic.Int64)
	n.Store(rand.Int64N(ports))
	return n
}()

// freePort finds a port that nobody listens on and that was not given before.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	var err error
	for range ports {
		port := int(firstPort + taken.Add(1)%ports)
		var l net.Listener
		if l, err = config.Listen(ctx, "tcp", fmt.Sprintf(":%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}
