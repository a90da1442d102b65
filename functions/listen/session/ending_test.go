package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// What was said before the end belongs to the ended conversation and what comes after it, in the same breath, to the
// next one; the numbers say so as well.
func TestEndInABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		pass(time.Second) // until it is open, frames wait, and the ear would be ahead of them
		r.numbered(100)
		r.ear.murmur("before.")
		r.frame(false, `{"type":"end"}`)
		r.burst(100)
		r.ear.say("after.")
		pass(5 * time.Second)
		if c := r.store.get("c1"); c.Status != conversation.Ended || c.Acked.Sequence > 100 {
			t.Errorf("the ended conversation is %s and acknowledges %d", c.Status, c.Acked.Sequence)
		}
		if !r.line.told(`"conversation_id":"c2"`) {
			t.Error("the next conversation was not told")
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("before.", "after.")
	})
}

// A client that was cut off sends what it has kept at once, with all the ends in it.
func TestManyEndsInABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		pass(time.Second) // until it is open, frames wait, and the ear would be ahead of them
		for _, word := range []string{"one.", "two.", "three."} {
			r.burst(100)
			r.ear.murmur(word)
			r.frame(false, `{"type":"end"}`)
		}
		pass(5 * time.Second)
		for i, want := range []uint32{100, 200, 300} {
			c := r.store.get(fmt.Sprint("c", i+1))
			if c.Status != conversation.Ended || c.Words != 1 || c.Acked.Sequence != want {
				t.Errorf("%s is %s, of %d words, and acknowledges %d, want %d", c.ID, c.Status, c.Words, c.Acked.Sequence, want)
			}
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("one.", "two.", "three.")
	})
}

// An end counts for what was said before it, though no conversation was open then, and its words weren't known.
func TestEndBeforeItsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.frame(false, `{"type":"end"}`) // of the empty one that a session begins with
		pass(5 * time.Second)
		r.numbered(100)
		r.ear.mute = true
		r.frame(false, `{"type":"end"}`)
		pass(time.Second)
		r.ear.say("before.")
		pass(answerWithin)
		r.ear.mute = false
		r.numbered(100)
		r.ear.say("after.")
		pass(5 * time.Second)
		if c := r.store.get("c2"); c.Status != conversation.Ended || c.Words != 1 {
			t.Errorf("what was said before the end is %s, with %d words", c.Status, c.Words)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("", "before.", "after.")
	})
}

// What comes after an end is acknowledged when the end is stored, not before: the client sends an end again that may not
// have come through, and must know when it did.
func TestEndIsStoredBeforeWhatComesAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.numbered(100)
		r.ear.say("before.")
		pass(5 * time.Second)
		r.store.setHook(func(c conversation.Conversation, apply func() error) error {
			if c.Status == conversation.Ended {
				return fault.Newf(fault.Unavailable, "commit", "not now")
			}
			return apply()
		})
		r.frame(false, `{"type":"end"}`)
		r.packets(500, "silence")
		if got := r.acked(); got > 100 {
			t.Errorf("%d is acknowledged before the end is stored", got)
		}
		r.store.setHook(nil)
		r.packets(4000, "silence") // between two conversations it is stored once a minute
		if got := r.acked(); got < 500 {
			t.Errorf("%d is acknowledged after the end is stored, want more", got)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
	})
}

// A conversation is over by silence, and before it is stored that it is, its client, which sends what it has kept, ends it at
// a time within that silence. What was said after that, and within the silence too, is not stored with it: its audio is
// not acknowledged before the client's end is stored.
func TestEndWithinASilence(t *testing.T) {
	s := newScribe(Params{ID: "s1"}, newMemory(), &board{}, &ledger{}, func([]byte) {}, func(*Reason) {})
	began := time.Now()
	s.draft.begin(conversation.Conversation{ID: "c1", StartedAt: began}, transcript.Page{})
	s.end(conversation.EndSilence, boundary{at: began.Add(14 * time.Second)})
	s.end(conversation.EndRequested, boundary{at: began.Add(11 * time.Second), through: []time.Duration{5 * time.Second}})
	said := func(text string, at, offset time.Duration) {
		s.place(utterance{
			id: text, text: text, start: began.Add(at), end: began.Add(at + time.Second), first: span{offset, offset + time.Second},
		})
	}
	said("before", 10*time.Second, 4*time.Second)
	said("after", 12*time.Second, 6*time.Second)
	if len(s.draft.unsaved) != 1 || len(s.held) != 1 || s.held[0].text != "after" {
		t.Errorf("stored %d with what ends and kept %d, want one of each", len(s.draft.unsaved), len(s.held))
	}
}

// What comes once a conversation is full belongs to the next one, also where it was said before the last word that it has: of
// two people who speak at once.
func TestFullIsTheEnd(t *testing.T) {
	s := newScribe(Params{ID: "s1", SilenceTimeout: time.Minute}, newMemory(), &board{}, &ledger{}, func([]byte) {}, func(*Reason) {})
	began := time.Now()
	s.draft.begin(conversation.Conversation{
		ID: "c1", StartedAt: began, FinishedAt: began.Add(10 * time.Second), Pages: maxPages,
	}, transcript.Page{Number: maxPages - 1})
	s.endByItself(began.Add(11 * time.Second))
	s.place(utterance{id: "late", text: "late", start: began.Add(8 * time.Second), end: began.Add(9 * time.Second)})
	if len(s.endings) != 1 || len(s.held) != 1 || len(s.draft.unsaved) != 0 {
		t.Errorf("%d ends, %d utterances kept, %d shown; want one end, and one kept", len(s.endings), len(s.held), len(s.draft.unsaved))
	}
}
