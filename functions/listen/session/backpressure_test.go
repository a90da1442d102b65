package session

import (
	"testing"
	"testing/synctest"
	"time"
)

// A recogniser that hears all, but makes nothing final as long as nobody pauses, isn't behind: its client isn't asked to
// hold. When there is no room for more audio that isn't final, it is we who stop it in mid word, and not the network, which
// would be waited for: the recogniser is asked for its words, and the audio goes on.
func TestRecognizerThatHesitates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", Numbered: true}, 1, nil)
		pass(time.Second)
		const speech = maxUnknown + 10*time.Second
		began := time.Now()
		for range speech / time.Second {
			r.numbered(50)
			r.ear.hint("so", "far")
		}
		if held := time.Since(began) - speech; held > 2*lull {
			t.Errorf("the audio was held for %v, want %v at most", held, 2*lull)
		}
		if r.line.told(`"backpressure"`) {
			t.Error("the client was asked to hold")
		}
		pass(5 * time.Second)
		r.session.Stop(ClientClosed)
		r.ended(ClientClosed)
	})
}

// A client that was asked to hold, and does so in mid word, goes on as soon as the recogniser has heard what there is.
func TestHeldInAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", Numbered: true}, 1, nil)
		pass(time.Second)
		for range 2 * slowAt / (20 * time.Millisecond) { // fast, as what was kept during a cut
			r.number++
			r.frame(true, numberedPacket(r.number))
			if r.line.told(`"slow"`) {
				break
			}
			pass(time.Millisecond)
		}
		pass(2 * time.Second)
		if !r.line.told(`{"type":"backpressure","state":"slow"}`) || r.line.told(`"ok"`) {
			t.Fatalf("told %q, want slow and not yet ok", r.line.sent)
		}
		r.ear.hint("so", "far")
		pass(time.Second)
		if !r.line.told(`{"type":"backpressure","state":"ok"}`) {
			t.Error("a second after the recogniser has heard all the client is still held")
		}
		r.session.Stop(ClientClosed)
		r.ended(ClientClosed)
	})
}
