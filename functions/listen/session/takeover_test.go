package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
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

// An image that waits when its session is put out doesn't keep that alive.
func TestImageAndTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := startWith(t, Params{ID: "s1", Numbered: true, MaxImages: 1}, 1, nil)
		pass(time.Second)
		old.store.setHook(func(_ conversation.Conversation, commit func() error) error {
			pass(3 * time.Second)
			return commit()
		})
		old.numbered(50)
		old.ear.say("word.")
		pass(500 * time.Millisecond)
		old.frame(false, `{"type":"image_chunk","id":"tmp","index":0,"total":1,"data":"Ynll"}`)
		again := startWith(t, Params{ID: "s2", Numbered: true}, 1, old)
		old.ended(Superseded)
		again.session.Stop(ClientGone)
		again.ended(ClientGone)
	})
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
