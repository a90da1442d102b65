package session

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// told are the payloads of transcript.appended, in order, each with an id of its own.
func (r *rig) told() [][]transcript.Segment {
	r.t.Helper()
	ids := r.board.ids(event.TranscriptAppended)
	if slices.Sort(ids); len(slices.Compact(slices.Clone(ids))) != len(ids) {
		r.t.Errorf("ids repeat: %q", ids)
	}
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	var all [][]transcript.Segment
	for _, e := range r.board.events {
		if e.Type != event.TranscriptAppended {
			continue
		}
		p, err := event.Decode[event.Appended](e)
		if err != nil || p.UID != "u" || e.Subject != "u/"+p.ConversationID {
			r.t.Errorf("got %+v, %v of %s", p, err, e.Subject)
		}
		all = append(all, p.Segments)
	}
	return all
}

// Each flush with words is told, once, with the segments that it changed and no others; silence is not. Nobody is told
// who hasn't asked.
func TestAppended(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := startWith(t, Params{ID: "s1", Append: wanted}, 1, nil)
			r.audio(time.Second)
			r.ear.say("Hello", "there.")
			pass(2 * time.Second)
			r.ear.say("More.")
			pass(2 * time.Second)
			r.audio(10 * time.Second)
			r.ear.say("Later.")
			pass(70 * time.Second)
			r.session.Stop(Drained)
			r.ended(Drained)
			var got []string
			for _, segments := range r.told() {
				var texts []string
				for _, s := range segments {
					texts = append(texts, s.Text)
				}
				got = append(got, strings.Join(texts, "|"))
			}
			var want []string
			if wanted {
				want = []string{"Hello there.", "Hello there. More.", "Later."}
			}
			if !slices.Equal(got, want) {
				t.Errorf("wanted %v: told %q, want %q", wanted, got, want)
			}
		})
	}
}

// Words are told after they are stored: not if a commit fails, nor twice if its answer is lost.
func TestAppendedIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", Append: true}, 1, nil)
		pass(time.Second)
		tries := 0
		r.store.setHook(func(_ conversation.Conversation, apply func() error) error {
			if tries++; tries > 3 {
				return apply()
			}
			if n := len(r.told()); n > 0 {
				t.Errorf("told %d times before anything is stored", n)
			}
			err := fault.New(fault.Unavailable, "commit", errors.New("no answer"))
			if tries == 3 {
				err = errors.Join(apply(), err) // it took effect
			}
			return fault.New(fault.Unavailable, "commit", err)
		})
		r.audio(time.Second)
		r.ear.say("Hello.")
		pass(20 * time.Second)
		if got := r.told(); tries < 4 || len(got) != 1 || len(got[0]) != 1 || got[0][0].Text != "Hello." {
			t.Errorf("after %d tries: told %+v, want the segment once", tries, got)
		}
		close(r.line.in)
		r.ended(ClientGone)
		r.stored("Hello.")
	})
}

// Pub/Sub takes nothing, or doesn't answer: the session goes on as if nobody had asked to be told.
func TestAppendedFails(t *testing.T) {
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := startWith(t, Params{ID: "s1", Append: true}, 1, nil)
			r.board.fail(fault.New(fault.Unavailable, "publish", errors.New("down")), silent)
			var want []string
			for range 2 * maxTelling {
				r.audio(2 * time.Second)
				r.ear.say("Word.")
				want = append(want, "Word.")
				pass(2 * time.Second)
				r.stored(strings.Join(want, " "))
			}
			if got := r.store.get("c1").Session.Flush; got < int64(len(want)) {
				t.Errorf("%d flushes of %d", got, len(want))
			}
			if !r.session.scribe.appended.failed.Load() {
				t.Error("the loss was not noted")
			}
			r.session.Stop(Drained)
			r.ended(Drained)
		})
	}
}
