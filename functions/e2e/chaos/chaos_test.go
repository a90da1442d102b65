package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/stack"
)

// The shape of a run. Times that are minutes in the cloud are seconds here.
const (
	copies   = 2 // processes of each function
	talkers  = 6
	editors  = 2
	lockTTL  = 3 * time.Second
	claimTTL = 4 * time.Second
	patience = 2 * time.Minute // until all is quiet, once the faults are over
)

// plan is how long the faults go on, and what they are drawn from.
type plan struct {
	length time.Duration
	seed   uint64
}

// planned is a short run, unless scripts/chaos asks for another.
func planned(t *testing.T) plan {
	t.Helper()
	p := plan{length: 40 * time.Second, seed: 1}
	if text := os.Getenv("CHAOS_MINUTES"); text != "" {
		minutes, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		p.length = time.Duration(minutes * float64(time.Minute))
	}
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		p.seed = seed
	}
	return p
}

// system is what is broken, with all lines that can be cut.
type system struct {
	*stack.Stack
	lines   map[string][]*line // by what they connect
	talkers []*talker
	editors []*editor
	logs    string // a file
}

func begin(t *testing.T, seed uint64) *system {
	t.Helper()
	s := &system{lines: make(map[string][]*line), logs: filepath.Join(t.ArtifactDir(), "logs")}
	logs, err := os.Create(s.logs)
	if err != nil {
		t.Fatal(err)
	}
	times := []string{"LOCK_TTL=" + lockTTL.String(), "CLAIM_TTL=" + claimTTL.String(), "ANNOUNCE_AFTER=3s"}
	env := map[string][]string{"listen": {"MIN_CONVERSATION_TIMEOUT=2s"}}
	for _, name := range []string{"finalize", "usage", "integrations", "sweep"} {
		env[name] = times
	}
	s.Stack, err = stack.Start(t.Context(), stack.Options{
		Recognizer: &deepgram.Handler{Engine: deepgram.Exact{}, Key: stack.RecognizerKey},
		Race:       os.Getenv("CHAOS_MINUTES") == "", // it costs too much for long
		Logs:       logs, LogFormat: "json", Env: env, SweepEvery: 2 * time.Second,
		Retry: stack.Retry{First: 200 * time.Millisecond, Longest: 2 * time.Second, Deliveries: 50, Deadline: lockTTL},
		Through: func(function string, server stack.Server, address string) (string, error) {
			return s.lay(t, function, server, func() (string, error) { return address, nil }), nil
		},
		Called: func(function string, url func() (string, error)) func() (string, error) {
			caller := "pubsub"
			if function == "sweep" {
				caller = "scheduler"
			}
			address := s.lay(t, caller, "function", func() (string, error) { return host(url()) })
			return func() (string, error) { return "http://" + address, nil }
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stop the system: %v", err)
		}
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, f := range s.functions() {
		if err := s.start(t, f); err != nil {
			t.Fatal(err)
		}
	}
	for i := range talkers {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		p := newTalker(t, s.Stack, fmt.Sprintf("talker%d", i), random)
		s.talkers = append(s.talkers, p)
		s.lines["client-listen"] = append(s.lines["client-listen"], p.line)
	}
	for i := range editors {
		e := newEditor(t, s.Stack, fmt.Sprintf("editor%d", i), rand.New(rand.NewPCG(seed, uint64(talkers+i))))
		s.editors = append(s.editors, e)
		s.lines["client-listen"] = append(s.lines["client-listen"], e.line)
		s.lines["client-conversations"] = append(s.lines["client-conversations"], e.app)
	}
	return s
}

// lay lays a line between two parts and gives its address. All functions that are in this are one kind of part towards
// what they all stand on.
func (s *system) lay(t *testing.T, from string, to stack.Server, target func() (string, error)) string {
	l := newLine(t, target)
	switch to {
	case stack.Redis, stack.Firestore, stack.PubSub, stack.Keys:
		from = "function"
	}
	kind := fmt.Sprintf("%s-%s", from, to)
	s.lines[kind] = append(s.lines[kind], l)
	return l.addr()
}

// functions are those that die.
func (s *system) functions() []*stack.Function {
	return []*stack.Function{s.Listen, s.Finalize, s.Usage, s.Integrations, s.Conversations, s.Sweeper}
}

func (s *system) start(t *testing.T, f *stack.Function) error {
	_, err := f.Start(context.WithoutCancel(t.Context()), 0)
	return err
}

func (s *system) lanes(t *testing.T) []lane {
	lanes := []lane{forgetting(s.Stack), failing(s.Documents), telling(s.Stack)}
	for kind, lines := range s.lines {
		lanes = append(lanes, cutting(kind, 6*time.Second, lines))
	}
	for _, f := range s.functions() {
		lanes = append(lanes, dying(f, func() error { return s.start(t, f) }))
	}
	return lanes
}

func TestChaos(t *testing.T) {
	p := planned(t)
	s := begin(t, p.seed)
	faults := tally{counts: make(map[string]int)}
	ctx, cancel := context.WithTimeout(t.Context(), p.length)
	defer cancel()
	var going sync.WaitGroup
	lanes := s.lanes(t)
	for _, l := range lanes {
		going.Go(func() {
			if err := l.run(ctx, p.seed, faults.count); err != nil {
				t.Error(err)
			}
		})
	}
	for _, person := range s.people() {
		going.Go(func() { person.talk(ctx) })
	}
	for _, e := range s.editors {
		going.Go(func() { e.edit(ctx) })
	}
	going.Wait()
	select {
	case err := <-s.Unexpected():
		t.Errorf("a part ended by itself: %v", err)
	default:
	}
	t.Logf("%v with seed %d; faults:%s", p.length, p.seed, faults.String())
	if p.length >= thorough {
		faults.complete(t, lanes)
	}
	s.finish(t)
	s.check(t)
	s.checkEdited(t)
	s.checkAgain(t)
}

// people are all who speak.
func (s *system) people() []*talker {
	people := slices.Clone(s.talkers)
	for _, e := range s.editors {
		people = append(people, e.talker)
	}
	return people
}

// thorough is a length in which everything happens.
const thorough = 5 * time.Minute

// complete wants every fault to have happened.
func (t *tally) complete(test *testing.T, lanes []lane) {
	test.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range lanes {
		for _, f := range l.faults {
			if name := l.name + " " + f.name; t.counts[name] == 0 {
				test.Errorf("%s never happened", name)
			}
		}
	}
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	sum := 0
	for _, name := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&b, "\n%6d %s", t.counts[name], name)
		sum += t.counts[name]
	}
	fmt.Fprintf(&b, "\n%6d in all", sum)
	return b.String()
}

// finish has all end what they say, and waits until nothing is left to do.
func (s *system) finish(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var ending sync.WaitGroup
	for _, p := range s.people() {
		ending.Go(func() {
			if err := p.finish(ctx); err != nil {
				t.Errorf("%s: %v", p.uid, err)
			}
		})
	}
	ending.Wait()
	for _, e := range s.editors {
		if err := e.finish(ctx); err != nil {
			t.Error(err)
		}
	}
	for ctx.Err() == nil {
		if open, err := s.open(ctx); err == nil && open == "" {
			return
		}
		wait(ctx, 500*time.Millisecond)
	}
	open, err := s.open(t.Context())
	t.Errorf("not quiet within %v: %s %v", patience, open, err)
}
