package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"earshot.dev/shared/conversation"
)

func TestSuggestedTranscript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", CustomSTT: true, Numbered: true}, 1, nil)
		r.numbered(100)
		message := `{"type":"suggested_transcript","stt_provider":"whisper","segments":[` +
			`{"id":"8c1f0e1e-0000-4000-8000-000000000001","text":"Hi there.","speaker_id":1,"start":0.5,"end":1.5},` +
			`{"text":"","start":1,"end":2},{"text":"never","start":-1,"end":2}]}`
		r.frame(false, message)
		r.frame(false, message)
		pass(15 * time.Second)
		if !r.line.told(`"id":"8c1f0e1e-0000-4000-8000-000000000001","text":"Hi there.","speaker":"SPEAKER_01"`) ||
			!r.line.told(`"stt_provider":"whisper"`) {
			t.Errorf("told %q", r.line.sent)
		}
		if got := r.acked(); got != 100 {
			t.Errorf("acknowledged %d of 100 frames that nobody recognises", got)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("Hi there.")
		if c := r.counted("c1"); c.AudioMS != 0 || c.SpeechMS != 0 {
			t.Errorf("counted %+v of what the client recognised", c)
		}
	})
}

// A client that comes back sends again what it recognised: what is stored, also in a segment that has absorbed it and in a
// conversation that is over, isn't stored twice, and what is new is.
func TestSuggestedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		suggest := func(r *rig, from, through int) {
			for i := from; i <= through; i++ {
				r.frame(false, fmt.Sprintf(`{"type":"suggested_transcript","segments":[`+
					`{"id":"8c1f0e1e-0000-4000-8000-%012d","text":"s%d","start":%d,"end":%d.5}]}`, i, i, i, i))
			}
			pass(5 * time.Second)
		}
		r := startWith(t, Params{ID: "s1", CustomSTT: true}, 1, nil)
		pass(10 * time.Second)
		suggest(r, 1, 3)
		r.session.Stop(ClientGone)
		r.ended(ClientGone)
		r.stored("s1 s2 s3")

		again := startWith(t, Params{ID: "s2", CustomSTT: true}, 1, r)
		pass(10 * time.Second)
		suggest(again, 1, 4)
		again.stored("s1 s2 s3 s4")
		again.frame(false, `{"type":"end"}`)
		pass(5 * time.Second)
		again.session.Stop(ClientGone)
		again.ended(ClientGone)

		later := startWith(t, Params{ID: "s3", CustomSTT: true}, 1, r)
		pass(10 * time.Second)
		suggest(later, 2, 5)
		later.session.Stop(ClientGone)
		later.ended(ClientGone)
		later.stored("s1 s2 s3 s4", "s5")
	})
}

// A client that was offline sends much at once, and isn't let go for what it is told of it.
func TestSuggestedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", CustomSTT: true}, 1, nil)
		pass(time.Minute)
		var words, segments []string
		for i := range 3 * outboundQueue {
			word := fmt.Sprint("w", i)
			words = append(words, word)
			segments = append(segments, fmt.Sprintf(`{"text":%q,"speaker_id":%d,"start":%d.1,"end":%d.2}`, word, i%2, i/10, i/10))
		}
		stalled := r.line.stall()
		r.frame(false, `{"type":"suggested_transcript","segments":[`+strings.Join(segments, ",")+`]}`)
		pass(time.Second)
		close(stalled)
		pass(5 * time.Second)
		r.stops()
		if got := r.store.get("c1").Words; got != len(words) || !r.line.told(words[len(words)-1]) {
			t.Errorf("%d words are stored, want %d, and the last was told: %v", got, len(words), r.line.told(words[len(words)-1]))
		}
	})
}

// The older of two sessions, which doesn't know yet that its client has come back, doesn't store what that has sent again.
func TestSuggestedToBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const once = `{"type":"suggested_transcript","segments":[{"id":"8c1f0e1e-0000-4000-8000-000000000001","text":"once","start":1,"end":2}]}`
		old := startWith(t, Params{ID: "s1", CustomSTT: true}, 1, nil)
		pass(5 * time.Second)
		again := startWith(t, Params{ID: "s2", CustomSTT: true}, 1, old)
		pass(5 * time.Second)
		again.frame(false, once)
		pass(5 * time.Second)
		old.frame(false, once)
		pass(5 * time.Second)
		old.ended(Superseded)
		again.session.Stop(ClientGone)
		again.ended(ClientGone)
		again.stored("once")
	})
}

// Suggestions count only from a client that said it would make them.
func TestSuggestedByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.frame(false, `{"type":"suggested_transcript","segments":[{"text":"forged","start":0,"end":1}]}`)
		pass(5 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("")
	})
}

// A speaker is named in segments that were, also in pages that are closed, and from then on, also by the next session.
func TestSpeakerAssigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("one.")
		pass(2 * time.Second)
		segments, err := r.store.Segments(t.Context(), "u", "c1")
		if err != nil || len(segments) != 1 {
			t.Fatalf("stored %v (%v)", segments, err)
		}
		gone := uuid.NewString()
		r.frame(false, fmt.Sprintf(`{"type":"speaker_assigned","speaker_id":0,"person_id":"p","person_name":"Pat","segment_ids":[%q,%q,"none"]}`, segments[0].ID, gone))
		r.audio(time.Second)
		r.ear.say("two.")
		pass(2 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		c := r.store.get("c1")
		if c.People["0"] != (conversation.Person{ID: "p", Name: "Pat"}) || c.Named[gone].ID != "p" || len(c.Named) != 1 {
			t.Errorf("stored people %v, named %v", c.People, c.Named)
		}
		again := start(t, "s2", r)
		again.audio(time.Second)
		again.ear.say("three.")
		pass(2 * time.Second)
		again.session.Stop(Drained)
		again.ended(Drained)
		again.stored("one. two. three.")
		for _, s := range r.store.conversations["c1"].pages[0].Segments {
			if s.PersonID != "p" {
				t.Errorf("%q was spoken by %q, want p", s.Text, s.PersonID)
			}
		}
	})
}

// A speaker keeps the name in the conversations that follow, also one that was given between two.
func TestNameGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		say := func(words string) {
			r.audio(time.Second)
			r.ear.say(words)
			pass(2 * time.Second)
		}
		const named = `{"type":"speaker_assigned","speaker_id":0,"person_id":%q,"person_name":%[1]q,"segment_ids":[]}`
		say("one.")
		r.frame(false, fmt.Sprintf(named, "Pat"))
		r.frame(false, `{"type":"end"}`)
		pass(5 * time.Second)
		say("two.")
		r.frame(false, `{"type":"end"}`)
		pass(5 * time.Second)
		r.frame(false, fmt.Sprintf(named, "Kim"))
		pass(5 * time.Second)
		say("three.")
		r.frame(false, `{"type":"end"}`)
		pass(5 * time.Second)
		r.session.Stop(Drained)
		pass(time.Second)
		if len(r.reason) == 0 {
			t.Error("the session waits for a conversation to name somebody in")
		}
		r.ended(Drained)
		for cid, want := range map[string]string{"c2": "Pat", "c3": "Kim"} {
			c := r.store.conversations[cid]
			if got := c.pages[0].Segments[0].PersonID; got != want || c.People["0"].Name != want {
				t.Errorf("%s was spoken by %q, its people are %v; want %s", cid, got, c.People, want)
			}
		}
	})
}

// An image comes in parts, in any order and more than once, and is stored once, in a conversation that is there for it.
func TestImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", MaxImages: 1}, 1, nil)
		r.frame(false, `{"type":"end"}`)
		pass(5 * time.Second)
		for _, part := range []string{`"index":1,"total":2,"data":"Ynll"`, `"index":1,"total":2,"data":"Ynll"`, `"index":0,"total":2,"data":"Z29vZC0="`} {
			r.frame(false, `{"type":"image_chunk","id":"tmp",`+part+`}`)
		}
		r.frame(false, `{"type":"image_chunk","id":"more","index":0,"total":1,"data":"Ynll"}`)
		pass(5 * time.Second)
		if !r.line.told(`{"type":"photo_processing","temp_id":"tmp"`) {
			t.Errorf("told %q", r.line.sent)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		if len(r.store.photos) != 1 || r.store.get("c2").Photos != 1 {
			t.Fatalf("stored %d photos, counted %d; want 1: the second is over the limit", len(r.store.photos), r.store.get("c2").Photos)
		}
		for key, p := range r.store.photos {
			if string(p.Data) != "good-bye" || !strings.HasPrefix(key, "c2/") {
				t.Errorf("stored %q as %s", p.Data, key)
			}
		}
	})
}

// A client that is still there is told when its conversation is being finished, and when it is.
func TestFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("one.")
		pass(2 * time.Second)
		r.frame(false, `{"type":"end"}`)
		pass(5 * time.Second)
		if !r.line.told(`{"type":"memory_processing_started","memory":{"id":"c1"`) || r.line.told("memory_created") {
			t.Errorf("told %q", r.line.sent)
		}
		r.store.edit("c1", func(c *conversation.Conversation) {
			c.Status, c.Structured = conversation.Completed, &conversation.Structured{Title: "Uno"}
		})
		pass(time.Second)
		if !r.line.told(`{"type":"memory_created"`) || !r.line.told(`"title":"Uno"`) || !r.line.told(`"text":"one."`) {
			t.Errorf("told %q", r.line.sent)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		again := start(t, "s2", r)
		pass(time.Second)
		if !again.line.told(`{"type":"last_memory","memory_id":"c1"}`) {
			t.Errorf("the next session was told %q", again.line.sent)
		}
		again.session.Stop(Drained)
		again.ended(Drained)
	})
}

// A client that ends conversations faster than they are finished is told of each. Beyond what may wait it is told that they are
// being finished.
func TestFollowedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		pass(time.Second)
		const all = maxFollowed + 2
		told := func(event string, from, through int) (ids []string) {
			for i := from; i <= through; i++ {
				r.line.mu.Lock()
				if slices.ContainsFunc(r.line.sent, func(m string) bool {
					return strings.HasPrefix(m, fmt.Sprintf(`{"type":%q,"memory":{"id":"c%d"`, event, i)) &&
						strings.Contains(m, fmt.Sprintf(`"text":"w%d."`, i))
				}) {
					ids = append(ids, fmt.Sprint("c", i))
				}
				r.line.mu.Unlock()
			}
			return ids
		}
		finish := func(from, through int) {
			for i := from; i <= through; i++ {
				r.store.edit(fmt.Sprint("c", i), func(c *conversation.Conversation) {
					c.Status, c.Structured = conversation.Completed, &conversation.Structured{}
				})
			}
		}
		for i := range all {
			r.audio(time.Second)
			r.ear.say(fmt.Sprintf("w%d.", i+1))
			r.frame(false, `{"type":"end"}`)
			pass(2 * time.Second)
		}
		if got := told("memory_processing_started", 1, all); len(got) != all {
			t.Errorf("told that %d are being finished, want %d: %v", len(got), all, got)
		}
		if got := r.session.following.failed.Load(); !got {
			t.Error("that too many wait was not noted")
		}
		finish(1, all)
		pass(time.Second)
		if got := told("memory_created", 1, all); len(got) != maxFollowed {
			t.Errorf("told that %d are finished, want %d: %v", len(got), maxFollowed, got)
		}
		r.stops()
	})
}

func TestFreemiumThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := warnAt + 2*time.Second
		r := startWith(t, Params{ID: "s1", Allowance: &left}, 1, nil)
		for i := range 6 {
			r.audio(2 * time.Second)
			r.ear.say(fmt.Sprint("w", i))
			if i == 0 && r.line.told("freemium") {
				t.Error("told although enough was left")
			}
		}
		pass(2 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		told := 0
		for _, m := range r.line.sent {
			if strings.Contains(m, `"freemium_threshold_reached"`) {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
	})
}

// A client that sends faster than it may is read no faster, and loses nothing by it; one that sends too much has to
// come again.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", FramesPerSecond: 100, MaxBytes: 400 * 6}, 1, nil)
		began := time.Now()
		for range 400 {
			r.frame(true, "packet")
		}
		if took := time.Since(began); took < 2900*time.Millisecond {
			t.Errorf("400 frames were read in %v, want 100 a second", took)
		}
		r.ear.say("all of it.")
		pass(time.Second)
		r.frame(true, "packet")
		r.ended(TooMuch)
		r.stored("all of it.")
	})
}
