package finalizer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

// What passes and says nothing about the conversation is no attempt at it, however long it takes.
func TestOutage(t *testing.T) {
	down := fault.Newf(fault.Unavailable, "store", "down")
	for name, fail := range map[string]func(r *rig){
		"no page can be read": func(r *rig) { r.store.unread = func() error { return down } },
		"no summary can be stored": func(r *rig) {
			r.store.onWrite = func(n int, apply func() error) error {
				if of := n % (1 + writeTries + 1); of == 1 || of == 0 { // claim and release
					return apply()
				}
				return down
			}
		},
		"no claim is answered, or can be read back": func(r *rig) {
			asked := false
			r.store.onWrite = func(_ int, apply func() error) error {
				err := apply()
				if c := r.store.stored.Claim; err == nil && c != nil && c.Token != "" {
					asked = true
					return down
				}
				return err
			}
			r.store.lost = lostOnce(&asked, down)
		},
		"no claim arrives, and none can be read back": func(r *rig) {
			asked := false
			r.store.onWrite = func(n int, apply func() error) error {
				if asked = n%2 == 1; asked {
					return down
				}
				return apply() // it is made and given back in one
			}
			r.store.lost = lostOnce(&asked, down)
		},
		"the lock is lost": func(r *rig) {
			r.Hold = func(ctx context.Context, _ string, fn func(context.Context) error) error {
				ctx, lose := context.WithCancelCause(ctx)
				r.main.do = func(ctx context.Context) (bool, error) {
					lose(fault.Newf(fault.Busy, "lock", "lost while held"))
					return false, ctx.Err()
				}
				return fn(ctx)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			hold := r.Hold
			fail(r)
			for n := range 2 * conversation.MaxClaims {
				if err := r.deliver(t); err == nil {
					t.Fatalf("delivery %d is acknowledged, and the conversation is %s", n+1, r.store.stored.Status)
				}
			}
			r.Hold, r.main.do, r.store.unread, r.store.onWrite, r.store.lost = hold, nil, nil, nil, nil
			if err := r.deliver(t); err != nil {
				t.Fatal(err)
			}
			r.wantCompleted(t, "main")
			if got := r.store.stored.Attempts; got != 1 {
				t.Errorf("attempts: got %d, want 1", got)
			}
		})
	}
}

// What never passes ends it, though it looks like an outage: after a day of trying, and not before.
func TestOutageForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.store.unread = func() error { return fault.Newf(fault.Unavailable, "store", "down") }
		const pace = 5 * time.Minute
		began := time.Now()
		for r.deliver(t) != nil {
			if time.Since(began) > conversation.GiveUpAfter {
				t.Fatal("it is tried for ever")
			}
			<-time.After(pace)
		}
		c := r.store.stored
		if c.Status != conversation.Failed || time.Since(began) < conversation.GiveUpAfter {
			t.Errorf("after %v: got %s, want it to fail after %v", time.Since(began), c.Status, conversation.GiveUpAfter)
		}
	})
}

// A worker that dies at it leaves a claim that counts: it need not be tried for a day.
func TestWorkersDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.store.unread = func() error { panic("died") }
		for range conversation.MaxAttempts {
			func() {
				defer func() {
					if recover() == nil {
						t.Error("it lives")
					}
				}()
				t.Errorf("got %v, want its death", r.deliver(t))
			}()
			<-time.After(DefaultClaimTTL)
		}
		if err := r.deliver(t); err != nil || r.store.stored.Status != conversation.Failed {
			t.Errorf("got %v, and it is %s, want it to fail", err, r.store.stored.Status)
		}
	})
}

// lostOnce is what reading fails with, once each time that it is due.
func lostOnce(due *bool, with error) func() error {
	return func() error {
		if !*due {
			return nil
		}
		*due = false
		return with
	}
}

// Only the last try to claim takes effect, and its answer is lost as well.
func TestLastTryToClaim(t *testing.T) {
	r := newRig(t)
	r.store.onWrite = func(n int, apply func() error) error {
		if n < writeTries {
			return errLost
		}
		err := apply()
		if n == writeTries {
			return errLost
		}
		return err
	}
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	r.wantCompleted(t, "main")
	if got := r.store.stored.Attempts; got != 1 {
		t.Errorf("attempts: got %d, want 1", got)
	}
}
