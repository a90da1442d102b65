package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

// The tests of this file are about who may still write where two sessions of a device overlap.

// A session whose client comes back may still write when the next one finds that the conversation was silent for too long
// and begins another. What it has not stored by then the next one hears again, so it must not be stored after that.
func TestOlderSessionIsFencedOut(t *testing.T) {
	s, _ := open(t)
	now := time.Now()
	numbered := attachment("s1", now)
	numbered.Numbered = true
	old := attach(t, s, numbered)
	old.Acked = conversation.Acked{Sequence: 10, At: now}
	old.MarkFlush("s1")
	if err := s.Commit(t.Context(), "u", &old); err != nil {
		t.Fatal(err)
	}
	numbered.SessionID, numbered.At = "s2", now.Add(time.Hour)
	next := attach(t, s, numbered)
	if next.ID == old.ID || next.Acked.Sequence != 10 {
		t.Fatalf("got %s that goes on from %d, want another than %s, from 10", next.ID, next.Acked.Sequence, old.ID)
	}
	late := old
	late.Acked.Sequence, late.Words = 20, 5
	if err := s.Commit(t.Context(), "u", &late); !fault.Is(err, fault.Conflict) {
		t.Errorf("words that the next session hears too: got %v, want a conflict", err)
	}
	stored, err := s.Conversation(t.Context(), "u", old.ID)
	if err != nil || stored.Status != conversation.Live || stored.Session.ID != "s2" || stored.Flushed("s1") != 1 {
		t.Errorf("got %s of session %s, flushed %d (%v); want live, of the newer, and the older's commit known",
			stored.Status, stored.Session.ID, stored.Flushed("s1"), err)
	}
}

// A session that goes on to its next conversation while a newer one attaches isn't the newer for it.
func TestLateToAttachAgain(t *testing.T) {
	s, _ := open(t)
	now := time.Now()
	old := attachment("old", now)
	c := attach(t, s, old)
	c.End(now, conversation.EndRequested, "")
	if err := s.Commit(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	newer := attachment("newer", now.Add(time.Second))
	old.At, old.Generation = now.Add(2*time.Second), c.Session.Generation
	attach(t, s, old)
	if got := attach(t, s, newer); got.Session.ID != "newer" {
		t.Errorf("the conversation is that of session %q, want of the newer", got.Session.ID)
	}
}

// A session whose first attachment comes late, when its client has another session already, doesn't get the device. It may
// hand in its last words, unless they are heard again.
func TestLateToAttach(t *testing.T) {
	for _, numbered := range []bool{false, true} {
		t.Run(fmt.Sprintf("numbered=%t", numbered), func(t *testing.T) {
			s, _ := open(t)
			now := time.Now()
			newer := attachment("newer", now.Add(time.Second))
			newer.Numbered = numbered
			c := attach(t, s, newer)
			late := attachment("late", now)
			late.Numbered = numbered
			words, _, err := s.Attach(t.Context(), "u", late)
			if numbered != errors.Is(err, conversation.ErrSuperseded) || !numbered && (err != nil || words.Session.ID != "newer") {
				t.Errorf("the late one got session %q, %v", words.Session.ID, err)
			}
			if !numbered {
				words.MarkFlush("late")
				if err := s.Commit(t.Context(), "u", &words); err != nil {
					t.Errorf("its last words: %v", err)
				}
				c = words
			}
			c.MarkFlush("newer")
			if err := s.Commit(t.Context(), "u", &c); err != nil {
				t.Errorf("the newer one can't write: %v", err)
			}
		})
	}
}
