package finalizer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
)

// errLost is the answer that never came.
var errLost = fault.New(fault.Unavailable, "commit", errors.New("connection reset"))

// Each of the three writes (the claim, the completion, clearing the marker) may be refused or lose its answer, having
// taken effect or not. One delivery gets over it.
func TestWritesOfUnknownOutcome(t *testing.T) {
	echo := fault.New(fault.Conflict, "commit", errors.New("failed precondition"))
	for write, name := range []string{1: "claim", 2: "complete", 3: "clear"} {
		if name == "" {
			continue
		}
		for _, tt := range []struct {
			name   string
			effect bool
			err    error
		}{
			{"answer lost", true, errLost},
			{"echo of its own success", true, echo},
			{"request lost", false, errLost},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				r := newRig(t)
				r.store.onWrite = func(n int, apply func() error) error {
					if n != write {
						return apply()
					}
					if tt.effect {
						if err := apply(); err != nil {
							return err
						}
					}
					return tt.err
				}
				if err := r.deliver(t); err != nil {
					t.Fatal(err)
				}
				if name == "clear" && !tt.effect {
					r.store.edit(func(c *conversation.Conversation) { c.Pending = nil }) // as the sweep does
				}
				r.wantCompleted(t, "main")
				if r.main.calls != 1 || r.store.stored.Attempts != 1 {
					t.Errorf("summarized %d times in %d attempts, want once", r.main.calls, r.store.stored.Attempts)
				}
			})
		}
	}
}

// Somebody else writes while an attempt is under way, and the attempt gets over it.
func TestWritesInBetween(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before int // which write
		edit   func(c *conversation.Conversation)
	}{
		{"the session clears its marker", 1, func(c *conversation.Conversation) { c.Pending = nil }},
		{"the sweep marks it", 2, func(c *conversation.Conversation) {
			c.Pending = &conversation.Pending{Event: event.ConversationEnded, Since: time.Now()}
		}},
		{"an edit after it was completed", 3, func(c *conversation.Conversation) {
			c.Structured.Title, c.Pending = "Mine", nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.store.onWrite = func(n int, apply func() error) error {
				if n == tt.before {
					r.store.edit(tt.edit)
				}
				return apply()
			}
			if err := r.deliver(t); err != nil {
				t.Fatal(err)
			}
			r.wantCompleted(t, "main")
			if tt.before == 3 && r.store.stored.Structured.Title != "Mine" {
				t.Error("the edit was overwritten")
			}
			if strings.Contains(r.log.String(), pendingNotCleared) {
				t.Errorf("logged as if something were wrong:\n%s", r.log)
			}
		})
	}
}

// The answer to the completion is lost, and by the time it is read back the person has edited what came of it.
func TestEditBeforeReadingBack(t *testing.T) {
	r := newRig(t)
	r.store.onWrite = func(n int, apply func() error) error {
		if err := apply(); err != nil || n != 2 {
			return err
		}
		r.store.edit(func(c *conversation.Conversation) { c.Structured = &conversation.Structured{Summarizer: "person"} })
		return errLost
	}
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	r.wantCompleted(t, "person")
}

func TestDeleted(t *testing.T) {
	for before := range 3 {
		r := newRig(t)
		remove := func() {
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			r.store.stored = nil
		}
		if before == 0 {
			remove()
		}
		r.store.onWrite = func(n int, apply func() error) error {
			if n == before {
				remove()
			}
			return apply()
		}
		if err := r.deliver(t); err != nil {
			t.Errorf("before write %d: %v", before, err)
		}
		r.wantLogged(t, "outcome=gone")
		if got := r.board.ids(event.ConversationFinalized); got != "" || r.store.stored != nil {
			t.Errorf("before write %d: announced %q, stored %v; want nothing", before, got, r.store.stored)
		}
	}
}

// The person deletes it, and its pages with it, between the claim and the reading of them.
func TestDeletedBeforeItsPagesAreRead(t *testing.T) {
	r := newRig(t)
	r.store.unread = func() error {
		r.store.mu.Lock()
		defer r.store.mu.Unlock()
		r.store.stored, r.store.segments = nil, nil
		return nil
	}
	if err := r.deliver(t); err != nil {
		t.Errorf("got %v, want none", err)
	}
	r.wantLogged(t, "outcome=gone")
	if got := r.board.ids(event.ConversationFinalized); got != "" || r.main.calls != 0 || r.store.stored != nil {
		t.Errorf("announced %q, summarized %d times, stored %v; want nothing", got, r.main.calls, r.store.stored)
	}
}

func TestPublisherFails(t *testing.T) {
	for _, tt := range []struct {
		eventType string
		attempts  int // that the failure cost
	}{
		{event.UsageRecorded, 0},
		{event.ConversationFinalized, 1},
	} {
		t.Run(tt.eventType, func(t *testing.T) {
			r := newRig(t)
			down := true
			r.board.fail = func(e event.Event) error {
				if down && e.Type == tt.eventType {
					return fault.Newf(fault.Unavailable, "publish", "down")
				}
				return nil
			}
			if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
				t.Fatalf("got %v, want another delivery", err)
			}
			if got := r.store.stored.Attempts; got != tt.attempts {
				t.Errorf("attempts: got %d, want %d", got, tt.attempts)
			}
			down = false
			if err := r.deliver(t); err != nil {
				t.Fatal(err)
			}
			r.wantCompleted(t, "main")
			if r.main.calls != 1 {
				t.Errorf("summarized %d times, want once", r.main.calls)
			}
		})
	}
}

// A lost lock breaks the attempt off: it neither falls back nor keeps the claim.
func TestLockLost(t *testing.T) {
	r := newRig(t)
	errTaken := fault.Newf(fault.Busy, "lock", "lost while held")
	r.Hold = func(ctx context.Context, _ string, fn func(context.Context) error) error {
		ctx, lose := context.WithCancelCause(ctx)
		r.main.do = func(ctx context.Context) (bool, error) {
			if r.main.calls == 1 {
				lose(errTaken)
			}
			return false, ctx.Err()
		}
		return fn(ctx)
	}
	if err := r.deliver(t); !errors.Is(err, errTaken) {
		t.Fatalf("got %v, want that the lock was lost", err)
	}
	if r.fallback.calls != 0 {
		t.Error("it fell back")
	}
	if err := r.deliver(t); err != nil {
		t.Fatalf("the next attempt: %v", err)
	}
	r.wantCompleted(t, "main")
}

func TestSummarizerFails(t *testing.T) {
	refuse := fault.Newf(fault.Unavailable, "generate", "503")
	for _, tt := range []struct {
		name       string
		do         func(ctx context.Context) (bool, error)
		deliveries int
		log        string
	}{
		{"for good", func(context.Context) (bool, error) { return false, errors.New("no such model") }, 1, "level=ERROR"},
		{"passing", func(context.Context) (bool, error) { return false, refuse }, patience, "level=WARN"},
		{"panic", func(context.Context) (bool, error) { panic("index out of range") }, 1, "level=ERROR+4"},
		{"too slow", func(ctx context.Context) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		}, 1, "level=WARN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.main.do = tt.do
				for n := 1; n < tt.deliveries; n++ {
					if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
						t.Fatalf("delivery %d: got %v, want unavailable", n, err)
					}
				}
				began := time.Now()
				if err := r.deliver(t); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took >= DefaultClaimTTL {
					t.Errorf("took %v, longer than the claim lasts", took)
				}
				r.wantCompleted(t, "fallback")
				r.wantLogged(t, tt.log+" msg=summarizer_failed")
				if r.main.calls != tt.deliveries {
					t.Errorf("asked %d times, want %d", r.main.calls, tt.deliveries)
				}
			})
		})
	}
}

func TestFallbackFails(t *testing.T) {
	r := newRig(t)
	broken := func(context.Context) (bool, error) { panic("no") }
	r.main.do, r.fallback.do = broken, broken
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	if c := r.store.stored; c.Status != conversation.Failed || c.Failure != failureReason || c.Pending != nil {
		t.Errorf("stored: got %s %q, pending %v", c.Status, c.Failure, c.Pending)
	}
}

// Whatever fails, and however often, deliveries up to the first that is acknowledged leave one completion, told under
// one id, and all usage told; none fails of what passes. The sweep's part, to tell what is marked, is the last step.
func TestAnyFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			faults := rapid.SliceOfN(rapid.IntRange(0, 2), 0, 40).Draw(rt, "faults")
			next := func() int {
				if len(faults) == 0 {
					return 0
				}
				f := faults[0]
				faults = faults[1:]
				return f
			}
			r.store.onWrite = func(_ int, apply func() error) error {
				f := next()
				if f == 1 {
					return errLost
				}
				if err := apply(); err != nil || f == 0 {
					return err
				}
				return errLost
			}
			fail := func() error {
				if next() != 0 {
					return errLost
				}
				return nil
			}
			r.store.unread = fail
			r.board.fail = func(event.Event) error { return fail() }
			for n := 0; ; n++ {
				if n > 40 {
					t.Fatal("it never ends")
				}
				if r.deliver(t) == nil {
					break
				}
				<-time.After(DefaultClaimTTL)
			}
			c := *r.store.stored
			if c.Status != conversation.Completed || r.board.ids(event.UsageRecorded) == "" {
				t.Fatalf("status %s, usage told %q", c.Status, r.board.ids(event.UsageRecorded))
			}
			if r.board.ids(event.ConversationFinalized) == "" && c.Pending == nil {
				t.Fatal("acknowledged, not told, and not marked either")
			}
			for id := range strings.FieldsSeq(r.board.ids(event.ConversationFinalized)) {
				if id != "c1:finalized:1" {
					t.Fatalf("told under %s", id)
				}
			}
		})
	})
}
