package session

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/shared/conversation"
)

// The tests of this file are about numbered audio (functions/listen/wire/README.md).

var numbered = Params{ID: "s1", Numbered: true}

// However often something is stored, the client is told twice a second at most how far it is safe, and at the end all of it.
func TestAcksArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := numbered
		p.MaxImages = 100
		r := startWith(t, p, 1, nil)
		pass(time.Second)
		const length = 10 * time.Second
		for n := range p.MaxImages { // each is stored at once
			r.packets(5, "silence")
			r.picture(fmt.Sprint(n))
		}
		r.stops()
		r.line.mu.Lock()
		acks := strings.Count(strings.Join(r.line.sent, ""), `"audio_ack"`)
		r.line.mu.Unlock()
		if most := int(length/ackEvery) + 2; acks < most-5 || acks > most { // at the beginning and the end besides
			t.Errorf("told %d times in %v, want %d at most", acks, length, most)
		}
		if got, want := r.acked(), r.store.get("c1").Acked.Sequence; got != want || want < 450 {
			t.Errorf("in the end %d is acknowledged, and %d stored", got, want)
		}
	})
}

// A number far ahead of all others is none: taken for one, it would make repeats of all that follow.
func TestNumberFarAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		pass(time.Second)
		r.numbered(50)
		for _, number := range []uint32{math.MaxUint32, 50 + maxGap + 1} {
			r.frame(true, numberedPacket(number))
		}
		r.numbered(50)
		r.ear.say("word.")
		r.packets(100, "silence")
		pass(3 * time.Second)
		if got := r.acked(); got < 100 || got > 200 {
			t.Errorf("%d is acknowledged, want what was sent, about 190", got)
		}
		if r.line.told("audio_gap") {
			t.Error("a gap was told")
		}
		for _, number := range []uint32{5 * maxGap, 5*maxGap + 1} { // so much was given up by a client that was offline
			r.frame(true, numberedPacket(number)[:4]+"silence")
			pass(20 * time.Millisecond)
		}
		r.number = 5*maxGap + 1
		r.packets(100, "silence")
		pass(3 * time.Second)
		if got := r.acked(); !r.line.told(`"audio_gap"`) || got <= 5*maxGap+1 {
			t.Errorf("%d is acknowledged after a long gap", got)
		}
		r.stops()
		r.stored("word.")
	})
}

// What is acknowledged is stored, what isn't final isn't acknowledged, and a later session goes on from there.
func TestAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.numbered(100)
		if got := r.acked(); got != 0 {
			t.Errorf("%d is acknowledged, and nothing was recognised", got)
		}
		r.ear.say("one.")
		r.numbered(100)
		first := r.acked()
		if first < 80 || first > 100 {
			t.Errorf("acknowledged %d, want nearly 100", first)
		}
		r.ear.murmur("two.")
		r.numbered(400) // its words wait for the end of the speech
		if got := r.acked(); got != first {
			t.Errorf("acknowledged %d, and words after %d are not known", got, first)
		}
		close(r.line.in)
		r.ended(ClientGone)
		all := r.store.get("c1").Acked.Sequence
		if all != 575 {
			t.Errorf("at the end %d is acknowledged, want 575: the last word may be half of one", all)
		}

		p := numbered
		p.ID = "s2"
		again := startWith(t, p, 1, r)
		pass(time.Second)
		if got := again.acked(); got != all {
			t.Errorf("the next session begins with %d, want %d", got, all)
		}
		again.number = 550
		again.numbered(150)
		again.ear.say("two.", "three.")
		pass(3 * time.Second)
		again.session.Stop(Drained)
		again.ended(Drained)
		again.stored("one. two. three.")
		if got := again.store.get("c1"); got.Acked.Sequence != 700 || again.counted("c1").AudioMS != 700*20 {
			t.Errorf("acknowledged %d, counted %+v; want 700, and no repeat counted", got.Acked.Sequence, got.Usage)
		}
	})
}

// Words don't end where packets do: of a packet that is sent again only the part that is not stored is heard again.
func TestStoredPartOfAPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.numbered(200)
		const end = 2*time.Second + 7*time.Millisecond
		r.ear.results <- stt.Result{Final: true, End: end, Words: []stt.Word{{Text: "one.", End: end}}}
		pass(2 * time.Second)
		acked := r.store.get("c1").Acked
		if len(acked.Beyond) != 1 || acked.Beyond[0] <= 0 || acked.Beyond[0] >= 20*time.Millisecond {
			t.Fatalf("acknowledged %+v, want part of a packet beyond", acked)
		}
		close(r.line.in)
		r.ended(ClientGone)

		p := numbered
		p.ID = "s2"
		again := startWith(t, p, 1, r)
		pass(time.Second)
		again.number = again.acked()
		again.numbered(200 - int(again.number))
		again.packets(50, "silence")
		pass(7 * time.Second)
		again.session.Stop(ClientClosed)
		again.ended(ClientClosed)
		if got := again.counted("c1").AudioMS; got != 250*20 {
			t.Errorf("counted %d ms of audio, want 5000: each sample once", got)
		}
	})
}

// Silence is acknowledged without words, in a conversation and between two.
func TestSilenceIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.numbered(100)
		r.ear.say("one.")
		r.packets(1500, "silence")
		if got := r.acked(); got < r.number-1100 {
			t.Errorf("acknowledged %d of %d in silence", got, r.number)
		}
		r.packets(9000, "silence")
		if c := r.store.get("c1"); c.Status != conversation.Ended {
			t.Fatalf("the conversation is %s after silence", c.Status)
		}
		between := r.acked()
		if between < r.number-3500 {
			t.Errorf("acknowledged %d of %d between two conversations", between, r.number)
		}
		if r.store.commits > 30 {
			t.Errorf("%d commits in 3.5 minutes of silence", r.store.commits)
		}
		r.numbered(100)
		r.ear.say("two.")
		pass(2 * time.Second)
		if got := r.store.get("c2").Acked.Sequence; got < between {
			t.Errorf("the next conversation begins at %d, want %d or more", got, between)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("one.", "two.")
	})
}

// A client that comes back while its old session lives on sends again what isn't acknowledged: the old session must
// not store the same words.
func TestOldSessionLeavesItsWordsToTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := startWith(t, numbered, 1, nil)
		old.numbered(100)
		old.ear.say("one.")
		pass(2 * time.Second)
		old.numbered(100)
		p := numbered
		p.ID = "s2"
		r := startWith(t, p, 1, old)
		pass(time.Second)
		acked := r.acked()
		old.ear.say("two.") // the old one hears it as well
		r.number = acked
		r.numbered(200 - int(acked))
		r.ear.say("two.")
		old.ended(Superseded)
		pass(3 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("one. two.")
		if got := r.counted("c1").AudioMS; got != 200*20 {
			t.Errorf("counted %d ms of audio, want 4000", got)
		}
	})
}

// A session that was superseded and has words for the next conversation doesn't take the device back.
func TestOldSessionDoesNotTakeOver(t *testing.T) {
	for _, numbered := range []bool{true, false} {
		t.Run(fmt.Sprint("numbered ", numbered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := startWith(t, Params{ID: "s1", Numbered: numbered}, 1, nil)
				pass(time.Second)
				r := startWith(t, Params{ID: "s2", Numbered: numbered}, 1, old)
				pass(time.Second)
				r.frame(false, `{"type":"end"}`)
				pass(5 * time.Second)
				old.number = 1
				old.numbered(100)
				old.ear.say("late.")
				old.ended(Superseded)
				if numbered {
					r.numbered(100)
				} else {
					r.audio(2 * time.Second)
				}
				r.ear.say("mine.")
				pass(5 * time.Second)
				r.session.Stop(Drained)
				r.ended(Drained)
				if numbered {
					r.stored("", "mine.")
				} else {
					r.stored("", "late.", "mine.")
				}
			})
		})
	}
}

func TestTwoChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1"}, 2, nil)
		frames := func(n int, channels ...string) {
			for range n {
				for _, c := range channels {
					r.frame(true, c+"packet")
				}
				pass(20 * time.Millisecond)
			}
		}
		frames(50, "\x01", "\x03")
		frames(50, "\x01", "\x02")
		r.ear.second.say("me too.")
		pass(time.Second)
		r.ear.results <- stt.Result{Final: true, End: time.Second, Words: []stt.Word{{Text: "hello.", End: time.Second / 2}}}
		pass(2 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("hello. me too.") // in the order of time, not of coming
		for _, want := range []string{
			`"text":"hello.","speaker":"SPEAKER_00","speaker_id":0,"is_user":true`,
			`"text":"me too.","speaker":"SPEAKER_01","speaker_id":1,"is_user":false`,
		} {
			if !r.line.told(want) {
				t.Errorf("told %q, want %s", r.line.sent, want)
			}
		}
		if got := r.counted("c1").AudioMS; got != 150*20 {
			t.Errorf("counted %d ms of audio, want both channels", got)
		}
	})
}

// A recogniser that doesn't come along has the client hold, and bounds what is taken in.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.ear.mute = true
		go r.numbered(int(2 * maxUnknown / (20 * time.Millisecond)))
		pass(40 * time.Second)
		if !r.line.told(`{"type":"backpressure","state":"slow"}`) {
			t.Error("the client was not asked to hold")
		}
		in := r.session.intakes[0]
		in.mu.Lock()
		taken := in.unknown()
		in.mu.Unlock()
		if taken > maxUnknown+time.Second {
			t.Errorf("took in %v of speech whose words are not known", taken)
		}
		r.ear.mute = false
		r.ear.say("so much.")
		pass(time.Second)
		if !r.line.told(`{"type":"backpressure","state":"ok"}`) {
			t.Error("the client was not told to go on")
		}
		r.ear.say("more.")
		pass(time.Minute)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("so much. more.")
	})
}

// What is said in the first second after a pause in which a client sent nothing was said after the pause.
func TestSaidAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		r.numbered(100)
		r.ear.say("one.")
		pass(30 * time.Second)
		r.ear.mu.Lock()
		resumed := r.ear.sent
		r.ear.mu.Unlock()
		r.numbered(100)
		r.ear.mu.Lock()
		second := r.ear.final([]string{"two."}, false)
		r.ear.mu.Unlock()
		second.Words[0].Start, second.Words[0].End = resumed+200*time.Millisecond, resumed+400*time.Millisecond
		r.ear.results <- second
		pass(2 * time.Second)
		r.stops()
		segments := r.store.conversations["c1"].pages[0].Segments
		if len(segments) != 2 || segments[1].Start < 32*time.Second || segments[1].Start > 33*time.Second {
			t.Errorf("got %+v, want two segments, of which the second begins after 32 s", segments)
		}
	})
}

func TestClock(t *testing.T) {
	t0 := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	type arrival struct{ now, position time.Duration }
	steady := func(from, through, behind time.Duration) (as []arrival) {
		for p := from; p <= through; p += 100 * time.Millisecond {
			as = append(as, arrival{p + behind, p})
		}
		return as
	}
	burst := func(now, from, through time.Duration) (as []arrival) {
		for p := from; p <= through; p += 100 * time.Millisecond {
			as = append(as, arrival{now + (p-from)/10, p})
		}
		return as
	}
	const s = time.Second
	for _, tt := range []struct {
		name     string
		keeps    bool
		arrivals []arrival
		position time.Duration // was said at
		at       time.Duration
	}{
		{"steady", false, steady(0, 10*s, 0), 10 * s, 10 * s},
		{"late by a second", false, append(steady(0, 10*s, 0), steady(10*s, 20*s, s)...), 20 * s, 20 * s},
		{"nothing was sent for a minute", false, append(steady(0, 10*s, 0), steady(10*s, 20*s, 60*s)...), 20 * s, 80 * s},
		{"kept for a minute", true, append(steady(0, 10*s, 0), burst(70*s, 10*s, 70*s)...), 50 * s, 50 * s},
		{"keeps, and was off for a minute", true, append(steady(0, 10*s, 0), steady(10*s, 20*s, 60*s)...), 20 * s, 80 * s},
		{"a burst at first ends now", true, burst(5*s, 0, 20*s), 20 * s, 7 * s},
	} {
		c := clock{origin: t0, keeps: tt.keeps}
		for _, a := range tt.arrivals {
			c.arrived(t0.Add(a.now), a.position)
		}
		if got := c.at(tt.position).Sub(t0); got < tt.at-200*time.Millisecond || got > tt.at+200*time.Millisecond {
			t.Errorf("%s: %v was said at %v, want %v", tt.name, tt.position, got, tt.at)
		}
	}
}
