package session

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
)

// relayed are the payloads of audio.appended, in order, each with an id of its own and in one order.
func (r *rig) relayed() (stretches [][]byte) {
	r.t.Helper()
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	ids := map[string]bool{}
	for _, e := range r.board.events {
		if e.Type != event.AudioAppended {
			continue
		}
		a, err := event.Decode[event.Audio](e)
		if err != nil || a.UID != "u" || a.SampleRate != sampleRate || e.Subject != "u/"+a.ConversationID || e.Order != "u/d" || ids[e.ID] {
			r.t.Errorf("got %s of %s in the order %q: %+v, %v", e.ID, e.Subject, e.Order, a, err)
		}
		ids[e.ID] = true
		stretches = append(stretches, a.PCM)
	}
	return stretches
}

// babble is what a babbler hears in its first packets.
func babble(packets ...string) []byte {
	var b babbler
	var samples []int16
	for _, p := range packets {
		samples, _ = b.Decode(samples, []byte(p)) // an error is of garbage, in which nothing is heard
	}
	m := mixer{samples: samples}
	return m.take(len(samples))
}

func lengths(stretches [][]byte) (ds []time.Duration) {
	for _, s := range stretches {
		ds = append(ds, duration(int64(len(s)/2)))
	}
	return ds
}

// All that is heard is told, speech and silence, in stretches as long as it is wanted, and the rest when the session ends;
// whoever recognises it. Nobody is told who hasn't asked.
func TestRelay(t *testing.T) {
	packets := slices.Concat(slices.Repeat([]string{"packet"}, 200), []string{"garbage"}, slices.Repeat([]string{"silence"}, 400))
	for name, p := range map[string]Params{
		"heard":            {Relay: 5 * time.Second},
		"recognised there": {Relay: 5 * time.Second, CustomSTT: true},
		"in seconds":       {Relay: time.Second},
		"not asked for":    {},
	} {
		synctest.Test(t, func(t *testing.T) {
			p.ID = "s1"
			r := startWith(t, p, 1, nil)
			pass(time.Second)
			for _, packet := range packets {
				r.frame(true, packet)
				pass(20 * time.Millisecond)
			}
			before := len(r.relayed())
			r.session.Stop(Drained)
			r.ended(Drained)
			got := r.relayed()
			if p.Relay == 0 {
				if len(got) > 0 {
					t.Errorf("%s: told %d stretches", name, len(got))
				}
				return
			}
			if !bytes.Equal(bytes.Join(got, nil), babble(packets...)) {
				t.Errorf("%s: told %v, want what was heard, 12s", name, lengths(got))
			}
			if whole := int(12 * time.Second / p.Relay); before != whole {
				t.Errorf("%s: told %v, want %d of %v before the end", name, lengths(got), whole, p.Relay)
			}
		})
	}
}

// What there is is told where no more comes.
func TestRelayPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", Relay: 5 * time.Second}, 1, nil)
		r.audio(2 * time.Second)
		pass(6 * time.Second)
		if got := lengths(r.relayed()); !slices.Equal(got, []time.Duration{2 * time.Second}) {
			t.Errorf("told %v, want the 2s that were said 6s ago", got)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
	})
}

// Numbered audio is told when it won't come again: what a client sends again to the next session is told by that, and
// all of it once.
func TestRelayNumbered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := numbered
		p.Relay = 5 * time.Second
		r := startWith(t, p, 1, nil)
		r.numbered(100)
		if got := r.relayed(); len(got) > 0 {
			t.Errorf("told %v, and nothing is acknowledged", lengths(got))
		}
		r.ear.murmur("one.", "two.")
		r.numbered(500)
		close(r.line.in)
		r.ended(ClientGone)
		acked := int(r.store.get("c1").Acked.Sequence)
		if acked == 0 || acked == 600 {
			t.Fatalf("%d of 600 are acknowledged: nothing is to be seen", acked)
		}
		first := r.relayed()
		want := babble(slices.Repeat([]string{"packet"}, acked)...)
		if !bytes.Equal(bytes.Join(first, nil), want) {
			t.Errorf("told %v, want the %d frames that are acknowledged", lengths(first), acked)
		}

		p.ID = "s2"
		again := startWith(t, p, 1, r)
		pass(time.Second)
		again.number = uint32(acked - 25) // a client that doesn't know yet that these are safe
		again.numbered(25 + 300)
		again.ear.say("three.")
		close(again.line.in)
		again.ended(ClientGone)
		rest := int(again.store.get("c1").Acked.Sequence) - acked
		want = append(want, babble(slices.Repeat([]string{"packet"}, rest)...)...)
		if got := again.relayed(); rest <= 0 || !bytes.Equal(bytes.Join(got, nil), want) {
			t.Errorf("told %v, want %d frames and then %d more, each once", lengths(got), acked, rest)
		}
	})
}

// Pub/Sub takes nothing, or doesn't answer: the session goes on as if nobody wanted to hear, and keeps no more than it may.
// What a newer session has acknowledged of the audio that it got again isn't told by the older one as well, whose image it is
// stored with.
func TestRelayTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := numbered
		p.Relay, p.MaxImages = 2*time.Second, 1
		old := startWith(t, p, 1, nil)
		old.numbered(100)
		old.ear.say("one.")
		pass(2 * time.Second)
		safe := int(old.acked())
		old.store.slow(numbered.ID, 4*time.Second)
		old.numbered(100)
		old.picture("tmp")
		p.ID = "s2"
		again := startWith(t, p, 1, old)
		pass(100 * time.Millisecond)
		again.number = uint32(safe)
		again.numbered(100)
		again.ear.say("two.")
		old.ended(Superseded)
		close(again.line.in)
		again.ended(ClientGone)
		again.pictured(1)
		rest := int(again.store.get("c1").Acked.Sequence) - safe
		want := append(babble(slices.Repeat([]string{"packet"}, safe)...), babble(slices.Repeat([]string{"packet"}, rest)...)...)
		if got := again.relayed(); safe == 0 || rest == 0 || !bytes.Equal(bytes.Join(got, nil), want) {
			t.Errorf("told %v, want %d frames and then %d more, each once", lengths(got), safe, rest)
		}
	})
}

func TestRelayFails(t *testing.T) {
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := startWith(t, Params{ID: "s1", Relay: 5 * time.Second}, 1, nil)
			r.board.fail(fault.New(fault.Unavailable, "publish", errors.New("down")), silent)
			pass(time.Second)
			for range 2 * maxRelayed / time.Second {
				r.audio(time.Second)
				r.ear.say("Word.")
			}
			relay := r.session.relay
			if silent && len(relay.queue) != int(maxRelayed/(5*time.Second)) {
				t.Errorf("%d stretches wait, want %v of them", len(relay.queue), maxRelayed)
			}
			if !relay.failed.Load() {
				t.Error("the loss was not noted")
			}
			pass(2 * time.Second)
			if got := r.store.get("c1").Words; got != int(2*maxRelayed/time.Second) {
				t.Errorf("%d words are stored, want one a second", got)
			}
			stopped := time.Now()
			r.session.Stop(Drained)
			r.ended(Drained)
			if took := time.Since(stopped); took > endWithin+time.Second {
				t.Errorf("the end took %v", took)
			}
		})
	}
}

// Numbered audio that isn't acknowledged waits in bounded memory, as long of each channel, and who is acknowledged late is told
// what was kept.
func TestRelayUnsafe(t *testing.T) {
	for channels := 1; channels <= wire.MaxChannels; channels++ {
		synctest.Test(t, func(t *testing.T) {
			b := &board{}
			p := numbered
			p.UID, p.Device, p.Relay = "u", "d", 5*time.Second
			r := newRelay(t.Context(), p, channels, b)
			second := make([]int16, sampleRate)
			hear := func(from, through time.Duration) {
				for n := int(from/time.Second) * channels; n < int(through/time.Second)*channels; n++ {
					r.hear(t.Context(), uint32(n+1), n%channels, second)
				}
			}
			hear(0, maxUnsafe)
			if r.failed.Load() {
				t.Errorf("%d channels: some of the first %v is lost", channels, maxUnsafe)
			}
			hear(maxUnsafe, 2*maxUnsafe)
			if got := duration(int64(len(r.unsafe) / channels)); got != maxUnsafe || !r.failed.Load() {
				t.Errorf("%d channels: %v of each wait, noted %v; want %v, noted", channels, got, r.failed.Load(), maxUnsafe)
			}
			r.acknowledged(t.Context(), uint32(7*channels))
			r.close(t.Context())
			got := (&rig{t: t, board: b}).relayed()
			if want := []time.Duration{5 * time.Second, 2 * time.Second}; !slices.Equal(lengths(got), want) {
				t.Errorf("%d channels: told %v, want %v", channels, lengths(got), want)
			}
		})
	}
}

// Of a long silence, which is acknowledged once a minute, all is told, also where two people are silent.
func TestRelaySilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := numbered
		p.Relay = 5 * time.Second
		r := startWith(t, p, wire.MaxChannels, nil)
		const length = 3 * time.Minute
		for range length / (20 * time.Millisecond) {
			for channel := range wire.MaxChannels {
				r.number++
				r.frame(true, numberedPacket(r.number)[:4]+string(rune(channel+1))+"silence")
			}
			pass(20 * time.Millisecond)
		}
		r.stops()
		acked := duration(int64((r.acked()+1)/wire.MaxChannels) * sampleRate / 50) // the last one may be of one channel
		var told time.Duration
		for _, d := range lengths(r.relayed()) {
			told += d
		}
		if told != acked || acked < length-time.Second || r.session.relay.failed.Load() {
			t.Errorf("told %v of %v that are acknowledged, and lost some: %v", told, acked, r.session.relay.failed.Load())
		}
	})
}
