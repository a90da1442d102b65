package session

import (
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
)

func TestGapIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.numbered(10)
		r.number = 14
		r.numbered(10)
		r.number = 20
		r.numbered(5)
		pass(time.Second)
		if !r.line.told(`{"type":"audio_gap","from":11,"through":14}`) || r.line.told(`"from":21`) {
			t.Errorf("told %q", r.line.sent)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
	})
}

// A channel's words may be stored seconds beyond what is acknowledged, where another's are not known. If a few of the packets
// that are sent again are missing, the rest is still not heard twice.
func TestGapInWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const beyond = 4 * time.Second
		for _, missing := range []int{0, 1, 3, 1 << 24} {
			in := newIntake(t.Context(), &babbler{}, newEar(), time.Now(), true)
			in.resume(conversation.Acked{At: time.Now(), Beyond: []time.Duration{beyond}}, 0, true)
			in.gap(missing)
			if _, known := in.mark(0, uint32(in.stored)); known != 0 && missing > 0 { //nolint:gosec // it is 64,000
				t.Errorf("%d missing, it isn't known yet of what: taken to have %v", missing, known)
			}
			var end uint32
			for range 300 {
				end, _, _ = in.packet(t.Context(), []byte("packet"), time.Now()) // it takes in all, and so does its stream
			}
			stored := max(0, beyond-time.Duration(missing)*20*time.Millisecond)
			if got := duration(in.received); got != 6*time.Second-stored || duration(int64(end)) != 6*time.Second {
				t.Errorf("%d missing: heard %v of what ends at %v, want %v of 6s", missing, got, duration(int64(end)), 6*time.Second-stored)
			}
			_ = in.close(t.Context(), false) // nothing is to come
		}
	})
}
