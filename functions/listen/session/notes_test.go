package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
)

// A reason that ends nothing is kept with the conversation in which it comes, or else with the next, whatever becomes of the
// commit that it goes with.
func TestReasonsAreKept(t *testing.T) {
	const why, end = `{"type":"finalization_reason","reason":%q}`, `{"type":"end"}`
	type want map[string]conversation.EndReason
	for name, test := range map[string]struct {
		do      func(r *rig, say func(string))
		want    want
		ignored int64
	}{
		"none is open": {func(r *rig, say func(string)) {
			say("one.")
			r.frame(false, end)
			pass(5 * time.Second)
			r.frame(false, fmt.Sprintf(why, "meeting_started"))
			pass(5 * time.Second)
			say("two.")
			r.frame(false, fmt.Sprintf(why, "retry"))
			r.frame(false, end)
			pass(5 * time.Second)
			say("three.")
		}, want{"c1": "requested", "c2": "requested", "c3": ""}, 0},
		"none is open, and it lasts": {func(r *rig, say func(string)) {
			say("one.")
			r.frame(false, end)
			pass(5 * time.Second)
			r.frame(false, fmt.Sprintf(why, "meeting_started"))
			pass(5 * time.Second)
			say("two.")
			r.store.edit("c2", func(c *conversation.Conversation) { c.End(time.Now(), conversation.EndSilence, "ended") })
			say("three.")
		}, want{"c1": "requested", "c2": "meeting_started", "c3": ""}, 0},
		"ends wait": {func(r *rig, say func(string)) {
			r.ear.mute = true
			r.audio(time.Second)
			first := r.ear.heard()
			r.frame(false, end)
			r.frame(false, fmt.Sprintf(why, "meeting_started"))
			r.audio(time.Second)
			second := r.ear.heard()
			r.frame(false, end)
			r.frame(false, fmt.Sprintf(why, "retry"))
			r.audio(time.Second)
			r.ear.at(first-time.Second/2, true, "one.")
			r.ear.at(second-time.Second/2, true, "two.")
			r.ear.mute = false
			say("three.")
		}, want{"c1": "requested", "c2": "requested", "c3": "retry"}, 0},
		"nothing comes of it": {func(r *rig, say func(string)) {
			say("one.")
			r.frame(false, end)
			r.frame(false, fmt.Sprintf(why, "meeting_started"))
			pass(5 * time.Second)
			r.frame(false, end)
			pass(5 * time.Second)
			say("two.")
		}, want{"c1": "requested", "c2": ""}, 1},
		"somebody wrote in between": {func(r *rig, say func(string)) {
			say("one.")
			r.frame(false, fmt.Sprintf(why, "meeting_started"))
			r.store.edit("c1", func(*conversation.Conversation) {})
			pass(5 * time.Second)
		}, want{"c1": "meeting_started"}, 0},
		"somebody ended it": {func(r *rig, say func(string)) {
			say("one.")
			r.store.edit("c1", func(c *conversation.Conversation) { c.End(time.Now(), conversation.EndRequested, "ended") })
			r.frame(false, fmt.Sprintf(why, "meeting_started"))
			pass(5 * time.Second)
			say("two.")
		}, want{"c1": "requested", "c2": "meeting_started"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, "s1", nil)
				pass(time.Second)
				test.do(r, func(word string) {
					r.audio(time.Second)
					r.ear.say(word)
					pass(5 * time.Second)
				})
				r.stops()
				for cid, want := range test.want {
					if got := r.store.get(cid).EndReason; got != want {
						t.Errorf("%s is over for the reason %q, want %q", cid, got, want)
					}
				}
				if got := r.session.ignored.Load(); got != test.ignored {
					t.Errorf("%d messages are ignored, want %d", got, test.ignored)
				}
			})
		})
	}
}
