package session

import (
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
)

// Of a session that is cut in mid speech, words are left to the next one that may have been cut as well.
func TestCutInMidWord(t *testing.T) {
	word := func(text string, start, end time.Duration) stt.Word {
		return stt.Word{Text: text, Start: start, End: end}
	}
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		again bool
		words []stt.Word
		want  int // words that count
		known time.Duration
	}{
		{"whole words", true, []stt.Word{word("a", 0, 400*ms), word("b", 500*ms, 1400*ms)}, 2, 1500 * ms},
		{"half a word", true, []stt.Word{word("a", 0, 1300*ms), word("b", 1400*ms, 1900*ms)}, 1, 1400 * ms},
		{"a word that begins late", true, []stt.Word{word("a", 0, 1300*ms), word("b", 1700*ms, 1900*ms)}, 1, 1500 * ms},
		{"words that overlap", true, []stt.Word{word("a", 0, 1450*ms), word("b", 1400*ms, 1900*ms)}, 1, 1450 * ms},
		{"nothing but half a word", true, []stt.Word{word("a", 0, 1900*ms)}, 0, 0},
		{"a client that went", false, []stt.Word{word("a", 0, 1300*ms), word("b", 1400*ms, 2000*ms)}, 2, 2000 * ms},
	} {
		e := newEar()
		in := newIntake(t.Context(), &babbler{}, e, time.Now(), true)
		for range 100 {
			if _, _, err := in.packet(t.Context(), []byte("packet"), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if err := in.close(t.Context(), tt.again); err != nil {
			t.Fatal(err)
		}
		if sent := duration(in.sent); sent != 2*time.Second {
			t.Fatalf("%v were sent", sent)
		}
		result := stt.Result{End: 2 * time.Second, Words: tt.words}
		in.take(result, false)
		result.Final = true
		got, known := in.take(result, false)
		if _, last := in.take(stt.Result{}, true); len(got.Words) != tt.want || known != tt.known || last != tt.known {
			t.Errorf("%s: %d words up to %v, at the end %v; want %d and %v", tt.name, len(got.Words), known, last, tt.want, tt.known)
		}
	}
}

// It takes some of a word until it is known for speech. Where the client comes again, that is not taken for silence.
func TestCutAtTheBeginningOfAWord(t *testing.T) {
	for _, tt := range []struct {
		name  string
		again bool
		most  uint32 // packets that are known to hold no words
	}{{"comes again", true, 150}, {"has gone", false, 151}} {
		in := newIntake(t.Context(), &babbler{}, newEar(), time.Now(), true)
		say := func(n int, packet string) {
			for range n {
				if _, _, err := in.packet(t.Context(), []byte(packet), time.Now()); err != nil {
					t.Fatal(err)
				}
			}
		}
		say(150, "silence")
		say(1, "packet")
		if in.speaking() {
			t.Fatal("it is known for speech")
		}
		if err := in.close(t.Context(), tt.again); err != nil {
			t.Fatal(err)
		}
		const packet = sampleRate / 50
		if got := in.settle(unlimited).samples; got > tt.most*packet || got < (tt.most-20)*packet {
			t.Errorf("%s: %d packets are known, want up to %d", tt.name, got/packet, tt.most)
		}
	}
}

// Audio that stops there, while speech is still taken to go on, and comes on later: the word is heard in one piece.
func TestStallAtTheBeginningOfAWord(t *testing.T) {
	for _, numbered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			in := newIntake(t.Context(), &babbler{}, newEar(), time.Now(), numbered)
			say := func(n int, packet string) {
				for range n {
					pass(20 * time.Millisecond)
					if _, _, err := in.packet(t.Context(), []byte(packet), time.Now()); err != nil {
						t.Fatal(err)
					}
				}
			}
			say(60, "packet")
			say(25, "silence")
			begin := in.received
			say(1, "packet")
			if in.gate.Quiet() == 0 {
				t.Fatal("it is known for speech")
			}
			pass(lull + time.Millisecond)
			if in.speaking() {
				t.Fatal("speech goes on though no audio has come for a lull")
			}
			sent := in.sent
			if sent > begin {
				t.Errorf("numbered %t: %d samples of the word were sent before the rest came", numbered, sent-begin)
			}
			say(10, "packet")
			if m := in.timeline.marks[len(in.timeline.marks)-1]; m.position > duration(begin) {
				t.Errorf("numbered %t: what was sent next begins at %v, the word at %v", numbered, m.position, duration(begin))
			}
			_ = in.close(t.Context(), false) // the ear takes anything
		})
	}
}

// An end that comes when no more audio is taken in comes behind audio that the client sends again. So it says nothing of the
// half word that was heard last, which is left to the next session, nor does it end the conversation in this one.
func TestEndAfterACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		pass(time.Second)
		r.numbered(100)
		r.ear.mute = true
		r.session.Stop(Drained)
		pass(100 * time.Millisecond)
		r.frame(false, `{"type":"end"}`)
		pass(100 * time.Millisecond)
		r.ear.mu.Lock()
		sent := r.ear.sent
		word := func(text string, ago time.Duration) stt.Word {
			return stt.Word{Text: text, Start: sent - ago, End: sent - ago + 100*time.Millisecond, Speaker: stt.UnknownSpeaker}
		}
		whole, half := word("whole.", 900*time.Millisecond), word("ha", 100*time.Millisecond)
		r.ear.mu.Unlock()
		r.ear.results <- stt.Result{End: sent, Words: []stt.Word{whole, half}}
		r.ear.results <- stt.Result{Final: true, End: sent, Words: []stt.Word{whole, half}}
		close(r.ear.results)
		r.ended(Drained)
		r.stored("whole.")
		if c := r.store.get("c1"); c.Status != conversation.Live || c.Acked.Sequence >= 100 {
			t.Errorf("the conversation is %s, acknowledged through %d; want it live, and the half word to come again", c.Status, c.Acked.Sequence)
		}
	})
}

// A network that stops for a moment in a word doesn't make half a word of it, and one that stops for longer keeps none back.
func TestStallInAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.murmur("word.")
		pass(lull + stall/2)
		if r.line.told("word.") {
			t.Error("the word is made final in its middle")
		}
		pass(stall)
		if !r.line.told("word.") {
			t.Error("the word is kept back")
		}
		r.stops()
	})
}

// The channels' frames take turns, however long they are: what is kept of one for the beginning of a word isn't dropped since
// the other had its turn.
func TestLongFramesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(t.Context(), &babbler{}, newEar(), time.Now(), true)
		for range 50 {
			if _, _, err := in.packet(t.Context(), []byte("silence"), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		held := in.gate.Held()
		in.beside(2 * lull)
		if got := in.gate.Held(); held == 0 || got != held {
			t.Errorf("%d samples are kept after a frame of the other channel, of %d", got, held)
		}
		in.beside(2 * lull)
		if got := in.gate.Held(); got > 0 {
			t.Errorf("%d samples are kept of a channel that sends no more", got)
		}
		_ = in.close(t.Context(), false) // the ear takes anything
	})
}

// Only who says goodbye as a person does has chosen to go. A page that is loaded anew, an app that is suspended and a
// network that is gone come back for what isn't safe.
func TestWhoChoseToGo(t *testing.T) {
	for code, want := range map[int]*Reason{
		wire.CloseNormal: ClientClosed, wire.CloseNoStatus: ClientClosed, wire.CloseAbnormal: ClientGone,
		wire.CloseGoingAway: ClientGone, 1011: ClientGone, 1012: ClientGone, wire.CloseTooBig: FrameTooLarge,
	} {
		if got := closedBy(&wire.CloseError{Code: code}); got != want {
			t.Errorf("close frame %d: got %s, want %s", code, got.Name, want.Name)
		}
	}
}
