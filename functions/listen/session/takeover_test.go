package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/transcript"
)

// The tests of this file are about what isn't stored yet when a newer session of the device takes over.

// What the client has recognised itself isn't in its audio, and so not left to the newer session, to which that is sent again.
func TestSuggestedAndTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := startWith(t, Params{ID: "s1", CustomSTT: true, Numbered: true}, 1, nil)
		pass(time.Second)
		for n, word := range []string{"one", "two"} { // the second waits for the next commit
			old.frame(false, fmt.Sprintf(`{"type":"suggested_transcript","segments":[`+
				`{"id":"8c1f0e1e-0000-4000-8000-%012d","text":%q,"start":%d,"end":%d.5}]}`, n, word, n, n))
			pass(100 * time.Millisecond)
		}
		again := startWith(t, Params{ID: "s2", CustomSTT: true, Numbered: true}, 1, old)
		old.ended(Superseded)
		again.session.Stop(ClientGone)
		again.ended(ClientGone)
		again.stored("one two")
	})
}

// Images and names aren't in the audio that the newer session gets again. The older one hands them in, to the conversation
// that goes on; where that was ended, images get one of their own.
func TestNotInTheAudioAndTakenOver(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(again *rig)
		images    []int
		words     []string
	}{
		"goes on": {func(*rig) {}, []int{1}, []string{"word. next."}},
		"and is written to": {func(again *rig) {
			for range 5 {
				again.numbered(50)
				again.ear.say("on.")
			}
		}, []int{1}, []string{"word. on. on. on. on. on. next."}},
		"ends": {func(again *rig) {
			again.frame(false, `{"type":"end"}`)
			pass(time.Second)
		}, []int{0, 1, 0}, []string{"word.", "", "next."}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := startWith(t, Params{ID: "s1", Numbered: true, MaxImages: 1}, 1, nil)
				pass(time.Second)
				old.numbered(50)
				old.ear.say("word.")
				pass(2 * time.Second)
				id := old.first("c1").ID
				old.store.slow("s1", 3*time.Second)
				old.numbered(50)
				old.ear.say("lost, were it not sent again.")
				pass(100 * time.Millisecond)
				old.picture("tmp")
				old.frame(false, fmt.Sprintf(`{"type":"speaker_assigned","speaker_id":0,"person_id":"p","person_name":"Ada","segment_ids":[%q]}`, id))
				pass(100 * time.Millisecond)
				again := startWith(t, Params{ID: "s2", Numbered: true}, 1, old)
				again.number = 50
				pass(500 * time.Millisecond)
				tt.meanwhile(again)
				old.ended(Superseded)
				again.numbered(50)
				again.ear.say("next.")
				pass(2 * time.Second)
				again.session.Stop(ClientGone)
				again.ended(ClientGone)
				again.stored(tt.words...)
				again.pictured(tt.images...)
				if len(tt.images) == 1 && again.first("c1").PersonID != "p" {
					t.Error("the name is lost")
				}
			})
		})
	}
}

// What the person called a speaker in the newer session isn't taken back by what the older one hands in: what that has stored
// already, or knows from the conversation before.
func TestNamedInBoth(t *testing.T) {
	name := func(r *rig, speaker int, name string) {
		r.frame(false, fmt.Sprintf(`{"type":"speaker_assigned","speaker_id":%d,"person_id":%q,"person_name":%q,"segment_ids":[]}`, speaker, name, name))
	}
	for what, tt := range map[string]struct {
		before func(old *rig) // Ada is named
		cid    string         // of the conversation that both name in
	}{
		"stored": {func(old *rig) {
			name(old, 0, "Ada")
			pass(2 * time.Second)
			old.store.slow("s1", 3*time.Second)
		}, "c1"},
		"stored with the next name said meanwhile": {func(old *rig) {
			pass(2 * time.Second)
			old.store.slow("s1", time.Second)
			name(old, 0, "Ada")
			pass(500 * time.Millisecond)
			name(old, 1, "Bob")
			pass(time.Second)
			old.store.slow("s1", 3*time.Second)
		}, "c1"},
		"in the conversation before": {func(old *rig) {
			name(old, 0, "Ada")
			pass(2 * time.Second)
			old.frame(false, `{"type":"end"}`)
			pass(2 * time.Second)
			old.numbered(50)
			old.store.slow("s1", 3*time.Second)
			old.ear.say("next.")
			pass(100 * time.Millisecond)
		}, "c2"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := startWith(t, Params{ID: "s1", Numbered: true}, 1, nil)
				pass(time.Second)
				old.numbered(50)
				old.ear.say("word.")
				tt.before(old)
				name(old, 1, "Bob")
				pass(1100 * time.Millisecond)
				again := startWith(t, Params{ID: "s2", Numbered: true}, 1, old)
				pass(100 * time.Millisecond)
				name(again, 0, "Eve")
				old.ended(Superseded)
				again.stops()
				if got := again.store.get(tt.cid).People; got["0"].Name != "Eve" || got["1"].Name != "Bob" {
					t.Errorf("the speakers are %v, want Eve and Bob", got)
				}
			})
		})
	}
}

// A session whose client recognises by itself, and that was put out between two conversations, has no silence stored any
// more, and doesn't try.
func TestSilenceTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Params{ID: "s1", CustomSTT: true, Numbered: true}
		old := startWith(t, p, 1, nil)
		pass(time.Second)
		old.frame(false, `{"type":"suggested_transcript","segments":[{"text":"one.","start":0,"end":0.5}]}`)
		pass(time.Second)
		old.frame(false, `{"type":"end"}`)
		pass(2 * time.Second)
		old.numbered(100)
		p.ID = "s2"
		again := startWith(t, p, 1, old)
		pass(time.Second)
		began := time.Now()
		old.session.Stop(Drained)
		<-old.reason
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v to end", took)
		}
		if got := old.store.refusals; got > 1 {
			t.Errorf("it was told %d times that a newer session has taken over, want once", got)
		}
		again.stops()
		again.stored("one.", "")
	})
}

// A newer session that doesn't number its audio doesn't get that of the older one again, which stores its words itself.
func TestTakenOverByOneThatDoesNotNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := startWith(t, Params{ID: "s1", Numbered: true}, 1, nil)
		pass(time.Second)
		old.numbered(50)
		old.ear.say("one.")
		pass(2 * time.Second)
		old.numbered(50)
		again := startWith(t, Params{ID: "s2"}, 1, old)
		pass(100 * time.Millisecond)
		old.ear.say("two.")
		old.frame(false, `{"type":"speaker_assigned","speaker_id":1,"person_id":"p","person_name":"Ada","segment_ids":[]}`)
		old.ended(Superseded)
		again.stops()
		again.stored("one. two.")
		if c := again.store.get("c1"); c.Words != 2 {
			t.Errorf("%d words are counted, want 2", c.Words)
		}
	})
}

// first is the first segment of a stored conversation.
func (r *rig) first(cid string) transcript.Segment {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.conversations[cid].pages[0].Segments[0]
}

// Of two channels one falls silent by sending nothing at all. What is said on the other is acknowledged all the same.
func TestChannelThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 2, nil)
		pass(time.Second)
		send := func(n int, channel byte, packet string) {
			for range n {
				r.number++
				r.frame(true, strings.TrimSuffix(numberedPacket(r.number), "packet")+string(channel)+packet)
				pass(10 * time.Millisecond)
			}
		}
		for range 100 {
			send(1, 1, "silence")
			send(1, 2, "packet")
		}
		send(100, 2, "packet")
		last := r.number
		r.ear.say("word.")
		send(200, 2, "silence")
		pass(5 * time.Second)
		if got := r.acked(); got < last {
			t.Errorf("acknowledged %d, want at least the %d in which the last word was", got, last)
		}
		r.session.Stop(ClientGone)
		r.ended(ClientGone)
	})
}
