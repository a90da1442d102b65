package sweeper

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

// The tests of this file are about what can't be done, pass after pass.

// What fails at every pass stays in front of the lists, and must not hide what is behind it.
func TestStuckOnesDoNotHideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, b := newSweeper()
		s.Batch = 10
		for i := range 35 {
			m.add(fmt.Sprintf("poison%02d", i), time.Now(), nil)
		}
		<-time.After(time.Second)
		for i := range 20 {
			m.add(fmt.Sprintf("fine%02d", i), time.Now(), nil)
		}
		<-time.After(time.Hour)
		m.onCommit = func(c conversation.Conversation, apply func() error) error {
			if strings.HasPrefix(c.ID, "poison") {
				return errDown
			}
			return apply()
		}
		got, err := s.Sweep(t.Context())
		if got.Failed != 35 || got.Announced != 20 || err == nil {
			t.Errorf("got %+v, %v; want 35 failed and 20 told", got, err)
		}
		if joined := strings.Count(err.Error(), "poison"); joined != keptErrors {
			t.Errorf("the error names %d conversations, want %d", joined, keptErrors)
		}
		if len(b.ids) != 20 {
			t.Errorf("told %d", len(b.ids))
		}
	})
}

// Those that can't be told of either are in both lists, and don't hide who is only in the second.
func TestStuckInBothLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, b := newSweeper()
		s.Batch = 10
		for i := range 20 {
			m.add(fmt.Sprintf("poison%02d", i), time.Now(), end)
			m.all[fmt.Sprintf("poison%02d", i)] = unreadable(m.all[fmt.Sprintf("poison%02d", i)])
		}
		<-time.After(time.Second)
		m.add("fine", time.Now(), complete)
		<-time.After(time.Hour)
		got, err := s.Sweep(t.Context())
		if got.Failed != 20 || b.told() != "fine:finalized:1" {
			t.Errorf("got %+v, %v, told %q; want 20 failed and one told", got, err, b.told())
		}
	})
}

func unreadable(o conversation.Owned) conversation.Owned {
	o.Unreadable = fault.Newf(fault.Internal, "decode", "no")
	return o
}

// A document that nobody can read is reported, and keeps the pass from nothing.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, b := newSweeper()
		m.add("broken", time.Now(), nil)
		m.add("fine", time.Now(), nil)
		m.all["broken"] = unreadable(m.all["broken"])
		<-time.After(time.Hour)
		got, err := s.Sweep(t.Context())
		if got.Failed != 1 || got.Ended != 1 || b.told() != "fine:ended:1" || !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "u/broken") {
			t.Errorf("got %+v, %v, told %q", got, err, b.told())
		}
	})
}

// More that can't be done than a pass may look at: the next one begins where it came to its bounds, and then goes round.
// No pass reads what it has seen again, but for those of one time.
func TestGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, b := newSweeper()
		s.Batch, s.Limit = 10, 25
		for i := range 40 {
			m.add(fmt.Sprintf("poison%02d", i), time.Now(), nil)
			<-time.After(time.Second)
		}
		m.add("fine", time.Now(), nil)
		<-time.After(time.Hour)
		m.onCommit = func(c conversation.Conversation, apply func() error) error {
			if strings.HasPrefix(c.ID, "poison") {
				return errDown
			}
			return apply()
		}
		if got, err := s.Sweep(t.Context()); err == nil || got.Due != 25 || b.told() != "" {
			t.Errorf("the first pass: got %+v, %v, told %q", got, err, b.told())
		}
		m.read = 0
		if got, err := s.Sweep(t.Context()); err == nil || got.Due != 25 || got.Ended != 1 || b.told() != "fine:ended:1" {
			t.Errorf("the second: got %+v, %v, told %q; want that it comes to what is behind", got, err, b.told())
		}
		if m.read > 40 {
			t.Errorf("the second read %d conversations to look at 25", m.read)
		}
		m.onCommit = func(_ conversation.Conversation, apply func() error) error { return apply() }
		ended := 0
		for range 2 {
			got, err := s.Sweep(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ended += got.Ended
		}
		if ended != 40 {
			t.Errorf("two more passes ended %d, want all 40", ended)
		}
	})
}

// Many in one list don't hold up who is in the other only: both have a share of each round, and what one leaves is the
// other's.
func TestBacklogInOneList(t *testing.T) {
	for _, tt := range []struct {
		name      string
		many, few func(c *conversation.Conversation)
		count     int
		told      string
		ended     int
	}{
		{"overdue", nil, end, 2, "few0:ended:1 few1:ended:1", 8},
		{"untold", end, nil, 2, "few0:ended:1 few1:ended:1", 2},
		{"overdue, and many untold", nil, complete, 40, "", 5},
		{"untold, and many overdue", complete, nil, 40, "", 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m, b := newSweeper()
				s.Batch, s.Limit = 10, 10 // one round
				for i := range 40 {
					m.add(fmt.Sprintf("many%02d", i), time.Now(), tt.many)
				}
				<-time.After(time.Minute)
				for i := range tt.count {
					m.add(fmt.Sprint("few", i), time.Now(), tt.few)
				}
				<-time.After(5 * time.Minute)
				got, err := s.Sweep(t.Context())
				if want := (Report{Due: 10, Ended: tt.ended, Announced: 10}); got != want || err != nil {
					t.Errorf("got %+v, %v; want %+v", got, err, want)
				}
				if !strings.Contains(b.told(), tt.told) {
					t.Errorf("told %q, want %q among it", b.told(), tt.told)
				}
			})
		})
	}
}
