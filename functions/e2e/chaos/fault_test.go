package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc/codes"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/shared/firestoretest"
)

// lane is a part of the system that one fault at a time befalls; those of several lanes overlap.
type lane struct {
	name   string
	gap    time.Duration // between two faults, on average
	faults []fault
}

// fault happens, and is over when do returns, which it does early when ctx ends.
type fault struct {
	name string
	do   func(ctx context.Context, random *rand.Rand) error
}

// run has faults happen until ctx ends.
func (l lane) run(ctx context.Context, seed uint64, happened func(name string)) error {
	h := fnv.New64()
	_, _ = h.Write([]byte(l.name)) // it never fails
	random := rand.New(rand.NewPCG(seed, h.Sum64()))
	var bag []int // the faults that are left of this round: each happens as often as the others
	for {
		wait(ctx, l.gap/2+time.Duration(random.Int64N(int64(l.gap))))
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		if len(bag) == 0 {
			bag = random.Perm(len(l.faults))
		}
		f := l.faults[bag[0]]
		bag = bag[1:]
		happened(l.name + " " + f.name)
		if err := f.do(ctx, random); err != nil {
			return fmt.Errorf("%s %s: %w", l.name, f.name, err)
		}
	}
}

// between draws a duration.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

// dying is what befalls the processes of a function, which are several before and after.
func dying(f *stack.Function, start func() error) lane {
	one := func(random *rand.Rand) *stack.Process {
		processes := f.Processes()
		return processes[random.IntN(len(processes))] // it panics where all have ended by themselves: see the logs
	}
	return lane{f.Name, 8 * time.Second, []fault{
		{"SIGKILL", func(ctx context.Context, random *rand.Rand) error {
			one(random).Kill()
			wait(ctx, between(random, 0, 2*time.Second))
			return start()
		}},
		{"SIGKILL of all", func(ctx context.Context, random *rand.Rand) error {
			for range copies {
				one(random).Kill()
			}
			wait(ctx, between(random, 0, time.Second))
			var errs []error
			for range copies {
				errs = append(errs, start())
			}
			return errors.Join(errs...)
		}},
		{"SIGSTOP", func(ctx context.Context, random *rand.Rand) error {
			p := one(random)
			p.Pause()
			defer p.Resume()
			wait(ctx, between(random, lockTTL*11/10, lockTTL*2))
			return nil
		}},
		{"SIGTERM", func(_ context.Context, random *rand.Rand) error {
			p := one(random)
			if err := start(); err != nil {
				return err
			}
			_ = p.Terminate() // what it couldn't do in its time is what is tested
			return nil
		}},
	}}
}

// forgetting is what befalls Redis.
func forgetting(s *stack.Stack) lane {
	client := redis.NewClient(&redis.Options{Addr: s.Redis.Addr()})
	return lane{"redis", 6 * time.Second, []fault{
		{"killed", func(ctx context.Context, random *rand.Rand) error {
			s.Redis.Kill()
			wait(ctx, between(random, 0, 3*time.Second))
			return s.Redis.Restart()
		}},
		{"paused", func(ctx context.Context, random *rand.Rand) error {
			s.Redis.Pause()
			defer s.Redis.Resume()
			wait(ctx, between(random, 0, lockTTL*2))
			return nil
		}},
		{"flushed", func(ctx context.Context, _ *rand.Rand) error {
			return client.FlushAll(context.WithoutCancel(ctx)).Err()
		}},
	}}
}

// cutting is what befalls lines of one kind.
func cutting(name string, gap time.Duration, lines []*line) lane {
	one := func(random *rand.Rand) *line { return lines[random.IntN(len(lines))] }
	return lane{name, gap, []fault{
		{"cut", func(_ context.Context, random *rand.Rand) error {
			one(random).cut()
			return nil
		}},
		{"stalled", func(ctx context.Context, random *rand.Rand) error {
			defer one(random).stall(there, back)()
			wait(ctx, between(random, 0, 4*time.Second))
			return nil
		}},
		{"stalled and cut", func(ctx context.Context, random *rand.Rand) error {
			l := one(random)
			defer l.stall(there, back)()
			wait(ctx, between(random, 0, 2*time.Second))
			l.cut()
			return nil
		}},
		{"answers lost", func(ctx context.Context, random *rand.Rand) error {
			l := one(random)
			defer l.stall(back)()
			wait(ctx, between(random, 0, 2*time.Second))
			l.cut()
			return nil
		}},
		{"refused", func(ctx context.Context, random *rand.Rand) error {
			l := one(random)
			l.refuse(true)
			defer l.refuse(false)
			l.cut()
			wait(ctx, between(random, 0, 3*time.Second))
			return nil
		}},
	}}
}

// passing are codes that Firestore may answer with at any time.
var passing = []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted, codes.Internal}

// failing is what befalls calls to Firestore.
func failing(documents *firestoretest.Server) lane {
	inject := func(after bool, methods ...string) func(context.Context, *rand.Rand) error {
		return func(ctx context.Context, random *rand.Rand) error {
			f := firestoretest.Fault{
				Method: methods[random.IntN(len(methods))], Times: 1 + random.IntN(6), After: after,
				Code: passing[random.IntN(len(passing))],
			}
			defer documents.Inject(f)()
			wait(ctx, between(random, 0, 3*time.Second))
			return nil
		}
	}
	return lane{"firestore", 2 * time.Second, []fault{
		{"fails", inject(false, "", "Commit", "BatchGetDocuments", "RunQuery", "BeginTransaction")},
		{"answer lost", inject(true, "Commit")},
		{"slow", func(ctx context.Context, random *rand.Rand) error {
			slow := firestoretest.Fault{Times: -1, Delay: between(random, 0, 2*time.Second), After: random.IntN(2) == 0}
			defer documents.Inject(slow)()
			wait(ctx, between(random, 0, 4*time.Second))
			return nil
		}},
	}}
}

// telling is what befalls events, and the receiver of webhooks.
func telling(s *stack.Stack) lane {
	var names []string
	for name := range s.Pushes {
		names = append(names, name)
	}
	slices.Sort(names)
	one := func(random *rand.Rand) *stack.Push { return s.Pushes[names[random.IntN(len(names))]] }
	return lane{"pubsub", 4 * time.Second, []fault{
		{"repeats", func(ctx context.Context, random *rand.Rand) error {
			push := one(random)
			push.Repeat(1 + random.IntN(3))
			defer push.Repeat(0)
			wait(ctx, between(random, time.Second, 8*time.Second))
			return nil
		}},
		{"holds back and turns around", func(ctx context.Context, random *rand.Rand) error {
			push := one(random)
			push.Hold()
			defer push.Release()
			wait(ctx, between(random, time.Second, 10*time.Second))
			return nil
		}},
		{"delivers again what is long done", func(ctx context.Context, random *rand.Rand) error {
			push := one(random)
			for range 1 + random.IntN(5) {
				if done := push.Done(); len(done) > 0 {
					_ = push.Again(ctx, done[random.IntN(len(done))]) // it fails if the faults are over
				}
			}
			return nil
		}},
		{"receiver refuses", func(_ context.Context, random *rand.Rand) error {
			s.Webhooks.FailNext(1+random.IntN(4), http.StatusServiceUnavailable)
			return nil
		}},
	}}
}

// tally counts by name.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) count(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[name]++
}
