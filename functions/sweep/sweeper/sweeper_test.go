package sweeper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
)

var errDown = fault.New(fault.Unavailable, "call", errors.New("connection reset"))

func end(c *conversation.Conversation) {
	c.End(c.StartedAt, conversation.EndSilence, event.ConversationEnded)
}

func complete(c *conversation.Conversation) {
	end(c)
	c.TakeClaim("t", c.StartedAt, time.Minute)
	c.Complete(conversation.Structured{}, false, c.StartedAt, event.ConversationFinalized)
}

func TestSweep(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *conversation.Conversation)
		age    time.Duration
		want   Report
		told   string
	}{
		{"abandoned", nil, time.Hour, Report{Due: 1, Ended: 1, Announced: 1}, "c:ended:1"},
		{"silent, and not for long", nil, 2 * time.Minute, Report{}, ""},
		{"ended and not told", end, time.Minute, Report{Due: 1, Announced: 1}, "c:ended:1"},
		{"ended, somebody is telling", end, 29 * time.Second, Report{}, ""},
		{"told, and nobody came", func(c *conversation.Conversation) {
			end(c)
			c.Pending = nil
		}, 11 * time.Minute, Report{Due: 1, Revived: 1, Announced: 1}, "c:ended:1"},
		{"claimed by one who died", func(c *conversation.Conversation) {
			end(c)
			c.TakeClaim("t", c.StartedAt, 5*time.Minute)
		}, 7 * time.Minute, Report{Due: 1, Revived: 1, Announced: 1}, "c:ended:1"},
		{"claimed", func(c *conversation.Conversation) {
			end(c)
			c.TakeClaim("t", c.StartedAt, 5*time.Minute)
		}, 5 * time.Minute, Report{}, ""},
		{"completed and not told", complete, time.Minute, Report{Due: 1, Announced: 1}, "c:finalized:1"},
		{"due and nothing to do", func(c *conversation.Conversation) {
			complete(c)
			c.Pending, c.ExpiresAt = nil, c.StartedAt
		}, time.Hour, Report{Due: 1}, ""},
		{"an event that nobody knows", func(c *conversation.Conversation) {
			c.Pending = &conversation.Pending{Event: "x", Since: c.StartedAt}
		}, time.Minute, Report{Due: 1, Failed: 1}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m, b := newSweeper()
				m.add("c", time.Now(), tt.change)
				<-time.After(tt.age)
				got, err := s.Sweep(t.Context())
				if got != tt.want || (err != nil) != (tt.want.Failed > 0) {
					t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
				}
				for _, from := range b.from {
					if from != traceparent {
						t.Errorf("traceparent: got %q, want that of the session, whatever the sweep belongs to", from)
					}
				}
				if b.told() != tt.told {
					t.Errorf("told: got %q, want %q", b.told(), tt.told)
				}
				if tt.want.Announced > 0 && m.get("c").Pending != nil {
					t.Error("the marker is still there")
				}
				again, err := s.Sweep(t.Context())
				if again.Announced != 0 || (err != nil) != (tt.want.Failed > 0) {
					t.Errorf("the next pass: got %+v, %v; want nothing told again", again, err)
				}
			})
		})
	}
}

// One that somebody else changes is left to them, and one that fails doesn't keep the pass from the others.
func TestOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, b := newSweeper()
		for _, id := range []string{"broken", "fine", "overtaken"} {
			m.add(id, time.Now(), nil)
		}
		<-time.After(time.Hour)
		m.onCommit = func(c conversation.Conversation, apply func() error) error {
			switch c.ID {
			case "broken":
				return errDown
			case "overtaken":
				m.add("overtaken", time.Now(), nil)
			}
			return apply()
		}
		got, err := s.Sweep(t.Context())
		if want := (Report{Due: 3, Ended: 1, Announced: 1, Overtaken: 1, Failed: 1}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(fmt.Sprint(err), "u/broken") ||
			strings.Contains(fmt.Sprint(err), "overtaken") {
			t.Errorf("got %v, want the error of the broken one alone", err)
		}
		if b.told() != "fine:ended:1" {
			t.Errorf("told %q", b.told())
		}
		if c := m.get("overtaken"); c.Status != conversation.Live || c.Revision != 0 {
			t.Errorf("the other's change was overwritten: %+v", c)
		}
	})
}

// Crash points: after the end was committed, after it was told, and with answers that got lost. The next pass that
// is due tells again, under the same id, and all is done then.
func TestNothingIsLost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		commit int // which one fails
		effect bool
		down   bool // the publisher
		told   string
	}{
		{"the end is not committed", 1, false, false, "c:ended:1"},
		{"the end's answer is lost", 1, true, false, "c:ended:1"},
		{"it is not told", 0, false, true, "c:ended:1"},
		{"the marker is not cleared", 2, false, false, "c:ended:1 c:ended:1"},
		{"the marker's answer is lost", 2, true, false, "c:ended:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m, b := newSweeper()
				m.add("c", time.Now(), nil)
				<-time.After(time.Hour)
				commits := 0
				m.onCommit = func(_ conversation.Conversation, apply func() error) error {
					if commits++; commits != tt.commit {
						return apply()
					}
					if tt.effect {
						if err := apply(); err != nil {
							return err
						}
					}
					return errDown
				}
				if tt.down {
					b.fail = func(event.Event) error { return errDown }
				}
				if got, err := s.Sweep(t.Context()); got.Failed != 1 || !fault.Is(err, fault.Unavailable) {
					t.Fatalf("got %+v, %v; want one failed", got, err)
				}
				b.fail = nil
				<-time.After(31 * time.Second)
				if _, err := s.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				c := m.get("c")
				if b.told() != tt.told || c.Status != conversation.Ended || c.Pending != nil || c.Revision != 1 {
					t.Errorf("told %q, want %q; stored %s, pending %v", b.told(), tt.told, c.Status, c.Pending)
				}
			})
		})
	}
}

// Several at once, as with Redis away: each conversation ends once, and is told of under one id.
func TestSeveralAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, b := newSweeper()
		for i := range 300 {
			m.add(fmt.Sprint("c", i), time.Now(), nil)
		}
		<-time.After(time.Hour)
		b.fail = func(event.Event) error {
			<-time.After(10 * time.Millisecond)
			return nil
		}
		reports := make([]Report, 4)
		var passes sync.WaitGroup
		for i := range reports {
			other := &Sweeper{Store: s.Store, Publisher: s.Publisher, Hold: s.Hold} // another instance
			passes.Go(func() {
				var err error
				if reports[i], err = other.Sweep(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		passes.Wait()
		ended, failed := 0, 0
		for _, r := range reports {
			ended, failed = ended+r.Ended, failed+r.Failed
		}
		if ended != 300 || failed != 0 {
			t.Errorf("ended %d, %d failed: %+v; want 300 and none", ended, failed, reports)
		}
		for i := range 300 {
			if c := m.get(fmt.Sprint("c", i)); c.Status != conversation.Ended || c.Revision != 1 || c.Pending != nil {
				t.Errorf("c%d: %s, revision %d, pending %v", i, c.Status, c.Revision, c.Pending)
			}
		}
		for id := range strings.FieldsSeq(b.told()) {
			if !strings.HasSuffix(id, ":ended:1") {
				t.Errorf("told under %s", id)
			}
		}
	})
}

// After a day off, one pass catches up.
func TestCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, b := newSweeper()
		for i := range 1500 {
			m.add(fmt.Sprint("c", i), time.Now(), nil)
		}
		<-time.After(24 * time.Hour)
		got, err := s.Sweep(t.Context())
		if want := (Report{Due: 1500, Ended: 1500, Announced: 1500}); got != want || err != nil || len(b.ids) != 1500 {
			t.Errorf("got %+v, %v, told %d; want %+v", got, err, len(b.ids), want)
		}
	})
}

func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(s *Sweeper, b *board)
		want int
	}{
		{"limit", func(s *Sweeper, _ *board) { s.Limit = 25 }, 25},
		{"budget", func(s *Sweeper, b *board) {
			s.Budget = 250 * time.Millisecond
			b.fail = func(event.Event) error { // ten by eight workers take 200 ms
				<-time.After(100 * time.Millisecond)
				return nil
			}
		}, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m, b := newSweeper()
				s.Batch = 10
				for i := range 60 {
					m.add(fmt.Sprint("c", i), time.Now(), nil)
				}
				<-time.After(time.Hour)
				tt.set(s, b)
				got, err := s.Sweep(t.Context())
				if got.Announced != tt.want || err != nil {
					t.Errorf("got %+v, %v; want %d told", got, err, tt.want)
				}
			})
		})
	}
}

func TestElsewhere(t *testing.T) {
	s, m, _ := newSweeper()
	s.Hold = func(context.Context, string, func(context.Context) error) error {
		return fault.Newf(fault.Busy, "lock", "held")
	}
	if got, err := s.Sweep(t.Context()); err != nil || !got.Elsewhere || len(m.asked) != 0 {
		t.Errorf("got %+v, %v after %d queries; want that another pass is under way", got, err, len(m.asked))
	}
}

// A lock lost on the way is of the same kind as one that is held by another, and not the same thing.
func TestLockLost(t *testing.T) {
	s, m, _ := newSweeper()
	s.Hold = func(ctx context.Context, _ string, fn func(context.Context) error) error {
		ctx, lose := context.WithCancel(ctx)
		lose()
		return errors.Join(fault.Newf(fault.Busy, "lock", "lost while held"), fn(ctx))
	}
	if got, err := s.Sweep(t.Context()); err == nil || got.Elsewhere || len(m.asked) != 0 {
		t.Errorf("got %+v, %v after %d queries; want the error and no work", got, err, len(m.asked))
	}
}

func TestQueryFails(t *testing.T) {
	s, m, _ := newSweeper()
	m.down = errDown
	if got, err := s.Sweep(t.Context()); got != (Report{}) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %+v, %v; want unavailable", got, err)
	}
}
