package finalizer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

// A worker that sleeps through its claim finds the work done by another. Its write is refused, and that is no error.
func TestLateWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.main.do = func(context.Context) (bool, error) {
			if r.main.calls > 1 {
				return false, nil
			}
			<-time.After(DefaultClaimTTL - time.Second) // stopped, as by SIGSTOP: no deadline wakes it
			if err := r.deliver(t); !fault.Is(err, fault.Busy) {
				t.Errorf("before the claim runs out: got %v, want busy", err)
			}
			<-time.After(2 * time.Second)
			if err := r.deliver(t); err != nil {
				t.Errorf("the other worker: %v", err)
			}
			r.store.edit(func(c *conversation.Conversation) { c.Structured.Overview = "by the other" })
			return false, nil
		}
		err := r.deliver(t)
		if !fault.Is(err, fault.Conflict) || fault.SeverityOf(err) != fault.Low {
			t.Errorf("got %v (%v), want a conflict of low severity", err, fault.SeverityOf(err))
		}
		if strings.Contains(r.log.String(), "ERROR") {
			t.Errorf("logged as an error:\n%s", r.log)
		}
		r.wantCompleted(t, "main")
		if got := r.store.stored.Structured.Overview; got != "by the other" {
			t.Errorf("the late result was stored over it: %q", got)
		}
		if err := r.deliver(t); err != nil {
			t.Errorf("the redelivery of the late one: %v", err)
		}
	})
}

// The last attempt comes late, and meanwhile another has found that there are no more and gives up: only one of the two
// can store what it came to, and the other takes that for its own in neither case.
func TestLateLastAttempt(t *testing.T) {
	for _, tt := range []struct {
		first string // who stores
		want  conversation.Status
	}{
		{"who gives up", conversation.Failed},
		{"the last attempt", conversation.Completed},
	} {
		t.Run(tt.first, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.store.edit(func(c *conversation.Conversation) { c.Attempts = conversation.MaxAttempts - 1 })
				stored, second := make(chan struct{}), make(chan error, 1)
				r.store.onWrite = func(n int, apply func() error) error {
					if n == 2 && tt.want == conversation.Completed { // the claim was the first, giving up is the second
						<-stored
					}
					return apply()
				}
				r.main.do = func(context.Context) (bool, error) {
					<-time.After(DefaultClaimTTL + time.Second) // stopped
					go func() { second <- r.deliver(t) }()
					synctest.Wait()
					return false, nil
				}
				err := r.deliver(t)
				close(stored)
				late := <-second
				if tt.want == conversation.Failed {
					err, late = late, err
				}
				if err != nil {
					t.Errorf("%s: got %v, want it stored", tt.first, err)
				}
				if !fault.Is(late, fault.Conflict) || fault.SeverityOf(late) != fault.Low {
					t.Errorf("the late one: got %v (%v), want a conflict of low severity", late, fault.SeverityOf(late))
				}
				if got := r.store.stored.Status; got != tt.want {
					t.Errorf("stored: got %s, want %s", got, tt.want)
				}
				if n := strings.Count(r.log.String(), "attempts=10"); n != 1 {
					t.Errorf("logged as done by %d, want by one:\n%s", n, r.log)
				}
			})
		})
	}
}

// A worker that sleeps through its claim finds that another has come and given up meanwhile, and the attempt doesn't
// count. That it is claimed by nobody doesn't make it the late one's again.
func TestLateAfterRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.main.do = func(context.Context) (bool, error) {
			if r.main.calls == 1 {
				<-time.After(DefaultClaimTTL + time.Second)
				r.store.unread = func() error { return errLost }
				if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
					t.Errorf("the other worker: got %v, want unavailable", err)
				}
				r.store.unread = nil
			}
			return false, nil
		}
		if err := r.deliver(t); !fault.Is(err, fault.Conflict) || fault.SeverityOf(err) != fault.Low {
			t.Errorf("got %v (%v), want a conflict of low severity", err, fault.SeverityOf(err))
		}
		if got := r.store.stored.Status; got != conversation.Finalizing {
			t.Errorf("stored: got %s, want it left alone", got)
		}
		if err := r.deliver(t); err != nil {
			t.Fatal(err)
		}
		r.wantCompleted(t, "main")
	})
}
