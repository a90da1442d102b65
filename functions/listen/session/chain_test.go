package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// The tests of this file are about a store that fails, and about others who write to the same conversation.

var errDown = fault.Newf(fault.Unavailable, "commit", "down")

// A commit took effect and its answer was lost. Sent again it is refused, by its own success.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		lost := 0
		r.store.setHook(func(_ conversation.Conversation, apply func() error) error {
			err := apply()
			if err == nil && lost < 3 {
				lost++
				return errDown
			}
			return err
		})
		for i := range 5 {
			r.audio(time.Second)
			r.ear.say(fmt.Sprintf("w%d.", i))
		}
		pass(30 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("w0. w1. w2. w3. w4.")
		if lost != 3 || r.store.reads != 3 {
			t.Errorf("%d answers lost, %d read-backs; want 3 and 3", lost, r.store.reads)
		}
	})
}

func TestStoreIsDownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.store.setHook(func(conversation.Conversation, func() error) error { return errDown })
		for i := range 30 {
			r.ear.say(fmt.Sprintf("w%d", i))
			r.audio(time.Second)
		}
		r.store.setHook(nil)
		pass(10 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		if got := r.store.words(); len(got) != 1 || len(got[0]) != 30 {
			t.Errorf("got %q, want all 30 words once", got)
		}
	})
}

// The person edits the conversation while it is live: neither the edit nor a word is lost.
func TestSomebodyEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("one.")
		pass(2 * time.Second)
		r.store.edit("c1", func(c *conversation.Conversation) { c.Structured = &conversation.Structured{Title: "Mine"} })
		r.ear.say("two.")
		pass(5 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("one. two.")
		if c := r.store.get("c1"); c.Structured == nil || c.Structured.Title != "Mine" {
			t.Error("the edit is lost")
		}
	})
}

func TestSomebodyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("one.")
		pass(2 * time.Second)
		r.store.edit("c1", func(c *conversation.Conversation) { c.End(time.Now(), conversation.EndRequested, "ended") })
		r.ear.say("two.")
		pass(5 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("one.", "two.")
		if c := r.store.get("c1"); c.Revision != 1 || c.EndReason != conversation.EndRequested {
			t.Errorf("the ended conversation was touched: %+v", c)
		}
	})
}

func TestSomebodyDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("one.")
		pass(2 * time.Second)
		r.store.mu.Lock()
		delete(r.store.conversations, "c1")
		r.store.conversations["gone"] = nil // so that ids go on
		r.store.mu.Unlock()
		for range 62 * 50 {
			r.frame(true, "silence")
			pass(20 * time.Millisecond)
		}
		r.ear.say("two.")
		pass(5 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("two.")
		if got := r.counted("c2"); got.AudioMS < 60_000 {
			t.Errorf("counted %+v of a minute that nobody else has counted", got)
		}
	})
}

// Audio of a conversation without words, which whoever finalizes it has counted and deleted, isn't counted again in the next one,
// though the answer to its commit was lost.
func TestDeletedForHavingNoWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		pass(time.Second)
		deleted := false
		r.store.setHook(func(_ conversation.Conversation, apply func() error) error {
			err := apply()
			if deleted || r.counted("c1").AudioMS < 50_000 {
				return err
			}
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			r.store.conversations["c1"], deleted = nil, true
			return fault.Newf(fault.Unavailable, "commit", "the answer was lost")
		})
		for range 62 * 50 {
			r.frame(true, "silence")
			pass(20 * time.Millisecond)
		}
		if !deleted {
			t.Error("a minute wasn't counted")
		}
		r.audio(10 * time.Second)
		r.ear.say("word.")
		pass(5 * time.Second)
		r.stops()
		if got := r.counted("c2"); got.AudioMS > 15_000 {
			t.Errorf("the next conversation counts %+v, and only ten seconds came since", got)
		}
	})
}

// The words before the end belong to the conversation, though a recogniser that takes over needs its time for them.
func TestEndWaitsForAnotherRecogniser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.ear.mute = true
		r.audio(3 * time.Second)
		r.frame(false, `{"type":"end"}`)
		pass(7 * time.Second)
		if got := r.store.get("c1").Status; got != conversation.Live {
			t.Errorf("got %s before the words came, want live", got)
		}
		r.ear.say("last.")
		pass(2 * time.Second)
		r.ear.mute = false
		r.session.Stop(Drained)
		r.ended(Drained)
		if got := r.store.words(); len(got) != 1 || strings.Join(got[0], " ") != "last." || r.store.get("c1").Status == conversation.Live {
			t.Errorf("got %q in conversations, the first %s; want the word in the one that was ended", got, r.store.get("c1").Status)
		}
	})
}

// tardy is a store that takes a while to attach the first session, or to say that it has.
type tardy struct {
	*memory
	answer bool // is what is late
	once   sync.Once
}

func (s *tardy) Attach(ctx context.Context, uid string, a conversation.Attachment) (conversation.Conversation, transcript.Page, error) {
	late := func() { s.once.Do(func() { pass(3 * time.Second) }) }
	if s.answer {
		defer late()
	} else {
		late()
	}
	return s.memory.Attach(ctx, uid, a)
}

// startTardily runs a session whose store is tardy.
func (r *rig) startTardily(p Params, answer bool) {
	p.UID, p.Device, p.SilenceTimeout = "u", "d", 2*time.Minute
	slow := &tardy{memory: r.store, answer: answer}
	r.session = New(p, r.line, []Decoder{&babbler{}}, r.ear, slow, r.board)
	go r.live()
	pass(time.Second)
}

// A session that is attached only when its client has another one gives way to that.
func TestAttachedLate(t *testing.T) {
	for _, numbered := range []bool{false, true} {
		t.Run(fmt.Sprintf("numbered=%t", numbered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				older := newRig(t)
				older.startTardily(Params{ID: "s1", Numbered: numbered}, false)
				newer := startWith(t, Params{ID: "s2", Numbered: numbered}, 1, older)
				older.ended(Superseded)
				newer.numbered(50)
				newer.ear.say("word.")
				pass(2 * time.Second)
				newer.stops()
				newer.stored("word.")
			})
		})
	}
}

// A newer session of the device takes over while the older one still has words: both keep theirs, and the older
// goes.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		older := start(t, "s1", nil)
		older.audio(time.Second)
		older.ear.say("one.")
		pass(2 * time.Second)
		newer := start(t, "s2", older)
		newer.audio(time.Second)
		newer.ear.say("three.")
		older.ear.say("two.")
		pass(5 * time.Second)
		older.ended(Superseded)
		newer.ear.say("four.")
		pass(5 * time.Second)
		newer.session.Stop(Drained)
		newer.ended(Drained)
		got := strings.Join(older.store.words()[0], " ")
		for _, w := range []string{"one.", "two.", "three.", "four."} {
			if strings.Count(got, w) != 1 {
				t.Errorf("%s is there %d times in %q", w, strings.Count(got, w), got)
			}
		}
		if len(older.store.words()) != 1 {
			t.Errorf("conversations: got %q, want one", older.store.words())
		}
	})
}

// Sessions of one device come and go while the store loses answers, refuses, and others write. Every word is
// stored exactly once. Seeds are fixed, so that a failure can be looked at.
func TestNoWordIsLostOrDoubled(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func chaos(t *testing.T, random *rand.Rand) {
	r := start(t, "s0", nil)
	var mu sync.Mutex // of luck: commits of several sessions draw from it
	luck := rand.New(rand.NewPCG(random.Uint64(), 0))
	r.store.setHook(func(_ conversation.Conversation, apply func() error) error {
		mu.Lock()
		fate := luck.IntN(6)
		mu.Unlock()
		switch fate {
		case 0:
			return errDown
		case 1:
			if err := apply(); err != nil {
				return err
			}
			return errDown
		default:
			return apply()
		}
	})
	var open []*rig
	open = append(open, r)
	said := 0
	for range 60 {
		current := open[len(open)-1]
		current.audio(time.Duration(random.IntN(1000)) * time.Millisecond)
		switch random.IntN(12) {
		case 0: // the device connects again, and the older session doesn't know
			next := start(t, fmt.Sprint("s", len(open)), r)
			pass(100 * time.Millisecond)
			open = append(open, next)
		case 1:
			current.frame(false, `{"type":"end"}`)
		case 2:
			if current.ear.murmur(fmt.Sprintf("w%d.", said)) {
				said++
			}
		case 3: // one of the older ones still hears something
			if open[random.IntN(len(open))].ear.say(fmt.Sprintf("w%d.", said)) {
				said++
			}
		default:
			if current.ear.say(fmt.Sprintf("w%d.", said)) {
				said++
			}
		}
		if current.session.stopping.Err() != nil { // superseded by an older one that began a conversation
			open = append(open, start(t, fmt.Sprint("s", len(open)), r))
			pass(100 * time.Millisecond)
		}
	}
	pass(20 * time.Second)
	r.store.setHook(nil)
	pass(20 * time.Second)
	for _, s := range open {
		s.session.Stop(Drained)
		<-s.reason
	}
	seen := map[string]int{}
	for _, words := range r.store.words() {
		for _, w := range words {
			seen[w]++
		}
	}
	for i := range said {
		if n := seen[fmt.Sprintf("w%d.", i)]; n != 1 {
			t.Errorf("word %d of %d is stored %d times", i, said, n)
		}
	}
}
