package session

import (
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

// The end order: what was said before the session was told to stop becomes final, is stored, and only then does
// the socket close.
func TestDrainTakesTheLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.murmur("last", "words")
		r.session.Stop(Drained)
		<-r.line.closed
		r.stored("last words")
		r.ended(Drained)
		if !r.line.told("last words") {
			t.Error("the last words were not shown")
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.ear.mute = true
		r.audio(time.Second)
		r.ear.say("stored")
		r.store.setHook(func(conversation.Conversation, func() error) error {
			return fault.Newf(fault.Unavailable, "commit", "down")
		})
		pass(time.Second)
		began := time.Now()
		r.session.Stop(Drained)
		r.ended(Drained)
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("with a recogniser and a store that don't answer it took %v, want 8 s at most", took)
		}
	})
}
