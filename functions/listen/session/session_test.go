package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

func TestWordsAreShownAndStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("Hello", "there.")
		pass(100 * time.Millisecond)
		if !r.line.told(`"text":"Hello there."`) {
			t.Errorf("the words were not shown: %q", r.line.sent)
		}
		r.stored("Hello there.")
		r.ear.say("More.")
		r.frame(true, "\x8a\x00") // a keepalive counts nothing
		r.frame(true, "garbage")  // and what can't be decoded is skipped
		r.frame(false, "no json")
		pass(2 * time.Second)
		r.stored("Hello there. More.")
		close(r.line.in)
		r.ended(ClientGone)

		c := r.store.get("c1")
		if c.Status != conversation.Live {
			t.Errorf("status after a disconnect: got %s, want live", c.Status)
		}
		var total int64
		for _, u := range c.Usage {
			total += u.AudioMS
			if u.Words != 3 {
				t.Errorf("usage: got %d words, want 3", u.Words)
			}
		}
		if total != 1000 || c.Words != 3 || c.Segments != 1 {
			t.Errorf("got %d ms, %d words, %d segments; want 1000, 3, 1", total, c.Words, c.Segments)
		}
	})
}

func TestStatusComesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		pass(time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		order := []string{
			"initiating", `"conversation_session","conversation_id":"c1","status":"in_progress"`,
			"in_progress_conversations_processing", "stt_initiating", "ready",
		}
		for i, want := range order {
			if i >= len(r.line.sent) || !strings.Contains(r.line.sent[i], want) {
				t.Fatalf("message %d: got %q, want %q in it", i, r.line.sent, want)
			}
		}
	})
}

// One flush a second at most, whatever is said.
func TestFlushesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(20 * time.Millisecond)
		for range 100 {
			r.ear.say("word.")
			pass(100 * time.Millisecond)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
		if r.store.commits > 11 {
			t.Errorf("%d commits in 10 s, want at most one a second", r.store.commits)
		}
		if r.store.reads != 0 {
			t.Errorf("%d reads, want none", r.store.reads)
		}
	})
}

func TestSilenceEndsAndTheNextWordBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("One.")
		pass(time.Second)
		for range 3 * 60 { // the client keeps the way open
			r.frame(true, "\x8a\x00")
			pass(time.Second)
		}
		if c := r.store.get("c1"); c.Status != conversation.Ended || c.EndReason != conversation.EndSilence || c.Pending != nil {
			t.Errorf("after the silence: got %s, %s, pending %v", c.Status, c.EndReason, c.Pending)
		}
		if got := r.board.ids(event.ConversationEnded); !slices.Equal(got, []string{"c1:ended:1"}) {
			t.Errorf("announced: got %q", got)
		}
		r.audio(time.Second)
		r.ear.say("Two.")
		pass(time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("One.", "Two.")
		if !r.line.told(`"conversation_id":"c2"`) {
			t.Error("the client was not told of the next conversation")
		}
		if c := r.store.get("c2"); c.FinishedAt.Before(c.StartedAt) || c.FinishedAt.Sub(c.StartedAt) > time.Second {
			t.Errorf("the second lasts from %v to %v", c.StartedAt, c.FinishedAt)
		}
	})
}

// Words that are not final yet are no silence.
func TestNoSilenceInMidSentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		for range 130 {
			r.audio(time.Second)
			r.ear.hint("a", "long", "sentence")
		}
		r.ear.say("a", "long", "sentence")
		pass(2 * time.Second)
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("a long sentence")
	})
}

// What was said before the person ended the conversation is in it, also if it becomes final only afterwards.
func TestEndNowTakesTheLastWordsAlong(t *testing.T) {
	for _, message := range []string{`{"type":"end"}`, `{"type":"finalization_reason","reason":"user_stop"}`} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, "s1", nil)
			r.audio(time.Second)
			r.ear.murmur("Good", "bye.")
			r.frame(false, message)
			r.audio(time.Second)
			r.ear.say("Next.")
			pass(2 * time.Second)
			r.session.Stop(Drained)
			r.ended(Drained)
			r.stored("Good bye.", "Next.")
			if got := r.board.ids(event.ConversationEnded); !slices.Equal(got, []string{"c1:ended:1"}) {
				t.Errorf("announced: got %q", got)
			}
			if got := r.board.ids(event.UsageRecorded); len(got) < 2 {
				t.Errorf("usage was reported %d times, want for each conversation", len(got))
			}
		})
	}
}

// A device that stops sending when nobody speaks still gets its last words.
func TestLull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.murmur("and", "then")
		pass(3 * time.Second)
		r.stored("and then")
		r.session.Stop(Drained)
		r.ended(Drained)
	})
}

func TestReasonsThatEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("Word.")
		r.frame(false, `{"type":"finalization_reason","reason":"crash_recovery"}`)
		r.frame(false, `{"type":"finalization_reason","reason":"nobody defined it"}`)
		pass(10 * time.Second)
		if c := r.store.get("c1"); c.Status != conversation.Live {
			t.Errorf("got %s, want live", c.Status)
		}
		r.session.Stop(Drained)
		r.ended(Drained)
	})
}

func TestClientsThatGo(t *testing.T) {
	for _, tt := range []struct {
		name string
		want *Reason
		do   func(r *rig)
	}{
		{"idle", ClientIdle, func(*rig) { pass(2 * time.Minute) }},
		{"slow", ClientSlow, func(r *rig) {
			stalled := r.line.stall()
			for range 2 * outboundQueue {
				r.ear.say("word.")
			}
			pass(time.Second)
			close(stalled)
		}},
		{"gone", ClientGone, func(r *rig) { close(r.line.in) }},
		{"old", Aged, func(r *rig) {
			for range 56 * 60 {
				r.frame(true, "\x8a\x00")
				pass(time.Second)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, "s1", nil)
				r.audio(time.Second)
				tt.do(r)
				r.ended(tt.want)
			})
		})
	}
}

// sluggish is a store that takes its time.
type sluggish struct {
	*memory
	takes time.Duration
}

func (s sluggish) Attach(ctx context.Context, uid string, a conversation.Attachment) (conversation.Conversation, transcript.Page, error) {
	pass(s.takes)
	return s.memory.Attach(ctx, uid, a)
}

// What is said while the session is opened was said then, and isn't lost if the client has gone since.
func TestEarlyAudio(t *testing.T) {
	for _, takes := range []time.Duration{0, 3 * time.Second, 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := &rig{t: t, store: newMemory(), board: &board{}, ear: newEar(), line: newLine(), reason: make(chan *Reason, 1)}
			p := Params{ID: "s1", UID: "u", Device: "d", SilenceTimeout: 2 * time.Minute}
			r.session = New(p, r.line, []Decoder{&babbler{}}, r.ear, sluggish{r.store, takes}, r.board)
			began := time.Now()
			go func() { r.reason <- r.session.Run(t.Context()) }()
			r.ear.murmur("early.")
			r.audio(2 * time.Second)
			close(r.line.in)
			r.ended(ClientGone)
			r.stored("early.")
			said := began.Add(2 * time.Second)
			if c := r.store.get("c1"); c.FinishedAt.Sub(said).Abs() > 300*time.Millisecond {
				t.Errorf("opening takes %v: the word ends at %v, want %v", takes, c.FinishedAt, said)
			}
		})
	}
}

const maxAge = usualAge + usualAge/18 // and then without a pause

// A session that is old ends in a pause of speech, if there is one in time.
func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause time.Duration // after which age; 0: nobody pauses
		want  time.Duration
	}{
		{"silence", time.Minute, usualAge},
		{"a pause before", usualAge - 10*time.Second, usualAge},
		{"a pause in time", usualAge + 90*time.Second, usualAge + 91*time.Second},
		{"no pause", 0, maxAge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, "s1", nil)
				began := time.Now()
				go func() {
					for age := time.Duration(0); age < maxAge+time.Second; age = time.Since(began) {
						frame := "packet" // often enough for speech that goes on
						if tt.pause > 0 && age >= tt.pause {
							frame = "\x8a\x00"
						}
						r.frame(true, frame)
						pass(lull / 2)
					}
				}()
				r.ended(Aged)
				if got := time.Since(began); got < tt.want || got > tt.want+2*time.Second {
					t.Errorf("ended at %v, want %v", got, tt.want)
				}
				pass(maxAge) // who speaks comes to an end
			})
		})
	}
}

func TestRecognizerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("Before.")
		pass(2 * time.Second)
		r.ear.err <- stt.Fail("ear", stt.Silent, errors.New("nothing came"))
		r.ended(RecognizerFailed)
		r.stored("Before.")
		if !r.line.told("stt_failed") {
			t.Error("the client was not told")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: newMemory(), board: &board{}, ear: newEar(), line: newLine()}
		r.ear.openErr = stt.Fail("ear", stt.Credentials, errors.New("402"))
		r.session = New(Params{ID: "s1", SilenceTimeout: time.Minute}, r.line, []Decoder{&babbler{}}, r.ear, r.store, r.board)
		if got := r.session.Run(t.Context()); got != RecognizerFailed || !r.line.told("stt_failed") {
			t.Errorf("got %s, told %q", got.Name, r.line.sent)
		}
	})
}

func TestRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := NewRegistry(3, 2, &instances{})
		visit := func(id, uid string) chan error {
			p := Params{ID: id, UID: uid, Device: id, SilenceTimeout: time.Minute}
			s := New(p, newLine(), []Decoder{&babbler{}}, newEar(), newMemory(), &board{})
			ended := make(chan error, 1)
			go func() { ended <- registry.Run(t.Context(), s) }()
			synctest.Wait()
			return ended
		}
		refused := func(why string, ended chan error) {
			t.Helper()
			select {
			case err := <-ended:
				if !fault.Is(err, fault.Overloaded) {
					t.Errorf("%s: got %v, want overloaded", why, err)
				}
			default:
				t.Errorf("%s: it runs", why)
			}
		}
		running := []chan error{visit("s1", "u"), visit("s2", "u")}
		refused("a third session of one user", visit("s3", "u"))
		running = append(running, visit("s4", "v"))
		refused("a fourth session", visit("s5", "w"))
		refused("one whose socket is still open", visit("s4", "v"))
		pass(time.Second) // by now it has ended
		running = append(running, visit("s4", "v"))
		if err := registry.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		for i, ended := range running {
			if err := <-ended; err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		}
		refused("after the drain", visit("s6", "w"))
	})
}
