package store

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// A session that was superseded hands its last words in, and leaves the device to the newer one.
func TestAttachLate(t *testing.T) {
	s, _ := open(t)
	now := time.Now()
	old := attachment("old", now)
	first := attach(t, s, old)
	old.Generation = first.Session.Generation
	newer := attach(t, s, attachment("new", now.Add(time.Second)))

	late := attach(t, s, old)
	if late.ID != first.ID || late.Session.ID != "new" || late.MarkFlush("old") == 0 {
		t.Errorf("while the newer talks: got %+v, want its conversation, with the old session as a former one", late)
	}
	newer, err := s.Conversation(t.Context(), "u", newer.ID)
	if err != nil {
		t.Fatal(err)
	}
	newer.End(now, conversation.EndRequested, "ended")
	if err := s.Commit(t.Context(), "u", &newer); err != nil {
		t.Fatal(err)
	}
	alone := attach(t, s, old)
	if alone.ID == first.ID || alone.Session.ID != "" || alone.MarkFlush("old") == 0 {
		t.Errorf("after the newer has ended it: got %+v, want a conversation that is nobody's", alone)
	}
	if next := attach(t, s, attachment("new", now.Add(2*time.Second))); next.ID == alone.ID {
		t.Error("the late one's conversation became the device's")
	}
	old.Numbered = true
	if _, _, err := s.Attach(t.Context(), "u", old); !fault.Is(err, fault.Conflict) || !errors.Is(err, conversation.ErrSuperseded) {
		t.Errorf("late with numbered audio: got %v, want a conflict", err)
	}
}

// What an attachment gives is what is stored, though it doesn't read it again: a new conversation, one that is resumed,
// one that another session hands its words in to. The first commit on top of it takes effect.
func TestAttachGivesWhatIsStored(t *testing.T) {
	s, _ := open(t)
	now := time.Now()
	old, newer := attachment("old", now), attachment("new", now.Add(1234567*time.Nanosecond))
	newer.Acked = conversation.Acked{Sequence: 3, At: now.UTC().Truncate(time.Microsecond)}
	check := func(what string, a conversation.Attachment) conversation.Conversation {
		t.Helper()
		got, page, err := s.Attach(t.Context(), "u", a)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		want, wantPage, err := s.Tail(t.Context(), "u", got.ID)
		want.DeviceTime = got.DeviceTime // which is not the conversation's
		if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(page, wantPage) {
			t.Errorf("%s (%v)\ngot  %+v, %+v\nwant %+v, %+v", what, err, got, page, want, wantPage)
		}
		return got
	}
	c := check("new", old)
	c.MarkFlush("old")
	c.Pages, c.Segments, c.Words = 1, 1, 1
	if err := s.Commit(t.Context(), "u", &c, transcript.Page{Segments: []transcript.Segment{{ID: "s", Text: "word"}}}); err != nil {
		t.Fatalf("on top of the new one: %v", err)
	}
	check("the same session again", old)
	old.Generation = c.Session.Generation
	c = check("resumed", newer)
	check("handed in", old)
	check("handed in again", old)
	stored, err := s.Conversation(t.Context(), "u", c.ID)
	if err != nil {
		t.Fatal(err)
	}
	stored.End(now, conversation.EndRequested, "ended")
	if err := s.Commit(t.Context(), "u", &stored); err != nil {
		t.Fatal(err)
	}
	if next := check("the next one", newer); next.ID == c.ID {
		t.Error("the next one is the one that has ended")
	}
}

// The numbers of the audio go on from one conversation of the device to the next, and over silence in between. So do the
// ids of what the client recognised.
func TestNumbersGoOn(t *testing.T) {
	s, _ := open(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	c := attach(t, s, attachment("s1", now))
	c.Acked = conversation.Acked{Sequence: 10, At: now, Beyond: []time.Duration{60 * time.Millisecond}}
	c.Suggest("a", "b")
	c.End(now, conversation.EndRequested, "ended")
	if err := s.Commit(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	second := attach(t, s, attachment("s1", now))
	if !reflect.DeepEqual(second.Acked, c.Acked) || !reflect.DeepEqual(second.Suggested, []string{"a", "b"}) {
		t.Errorf("the next conversation begins at %+v and knows of %q, want %+v, a and b", second.Acked, second.Suggested, c.Acked)
	}
	second.End(now, conversation.EndRequested, "ended")
	if err := s.Commit(t.Context(), "u", &second); err != nil {
		t.Fatal(err)
	}
	silence := conversation.Acked{Sequence: 20, At: now.Add(time.Second), Beyond: []time.Duration{0, time.Second}}
	said := conversation.Silence{Device: "d", SessionID: "s1", DeviceTime: second.DeviceTime, Acked: silence}
	written, err := s.Acknowledge(t.Context(), "u", said)
	if err != nil {
		t.Fatal(err)
	}
	late := said // of the same session, and of one that is over
	late.Acked.Sequence = 15
	if got, err := s.Acknowledge(t.Context(), "u", late); err != nil || !got.Equal(written) {
		t.Errorf("an older number that comes late: got %v, %v; want what is there, of %v", got, err, written)
	}
	late.SessionID, late.Acked.Sequence = "s0", 25
	if _, err := s.Acknowledge(t.Context(), "u", late); !errors.Is(err, conversation.ErrSuperseded) {
		t.Errorf("of a session that is over: got %v, want superseded", err)
	}
	if third := attach(t, s, attachment("s2", now)); !reflect.DeepEqual(third.Acked, silence) {
		t.Errorf("after silence: got %+v, want %+v", third.Acked, silence)
	}
	deleted := attachment("s2", now.Add(time.Hour))
	deleted.Acked = conversation.Acked{Sequence: 30, At: now}
	if c := attach(t, s, deleted); !reflect.DeepEqual(c.Acked, deleted.Acked) {
		t.Errorf("a session that knows more: got %+v, want %+v", c.Acked, deleted.Acked)
	}
}

// Two devices that can't be told apart take the conversation from each other twice, and then each has its own.
func TestSlots(t *testing.T) {
	s, _ := open(t)
	now := time.Now()
	visit := func(session string) conversation.Conversation {
		t.Helper()
		a := attachment(session, now)
		a.Shared = true
		return attach(t, s, a)
	}
	contend := func() {
		t.Helper()
		if err := s.Contend(t.Context(), "u", "d", now); err != nil {
			t.Fatal(err)
		}
	}
	a := visit("a1")
	if b := visit("b1"); b.ID != a.ID {
		t.Fatal("one takeover already splits")
	}
	contend()
	now = now.Add(30 * time.Second)
	if a2 := visit("a2"); a2.ID != a.ID {
		t.Fatal("one contention already splits")
	}
	contend()
	b := visit("b2")
	if b.ID == a.ID || b.Device != "d~2" {
		t.Fatalf("got %s on %s, want a slot of its own", b.ID, b.Device)
	}
	b.Close("b2")
	b.MarkFlush("b2")
	if err := s.Commit(t.Context(), "u", &b); err != nil {
		t.Fatal(err)
	}
	if again := visit("b3"); again.ID != b.ID {
		t.Errorf("the second device came back to %s, want its own %s", again.ID, b.ID)
	}
	if c := visit("c1"); c.Device != "d~3" {
		t.Errorf("a third device got %s, want a slot of its own", c.Device)
	}
	named := attachment("n", now)
	if c := attach(t, s, named); c.ID != a.ID {
		t.Errorf("a device of that name got %s, want %s", c.ID, a.ID)
	}
}

// The client sends a commit again whose answer was lost, and is told that its transaction has expired. Nothing of that
// reaches a session: it is attached, and what it has used is counted, once.
func TestLostAnswerToATransaction(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.ResourceExhausted} {
		t.Run(code.String(), func(t *testing.T) {
			s, server := open(t)
			if server == nil {
				t.Skip("an emulator loses no answers")
			}
			lose := func() { server.Inject(firestoretest.Fault{Method: "Commit", After: true, Code: code}) }
			lose()
			c := attach(t, s, attachment("s1", time.Now()))
			if stored, err := s.Conversation(t.Context(), "u", c.ID); err != nil || stored.Session.ID != "s1" {
				t.Errorf("got %v, %v, want the conversation of s1", stored, err)
			}
			lose()
			hours := usage.Hours{"2026-11-23T10": {AudioMS: 1000, Words: 3}}
			if _, err := s.RecordUsage(t.Context(), "u", c.ID, hours); err != nil {
				t.Fatal(err)
			}
			months, err := s.Months(t.Context(), "u", "2026-11", "2026-11")
			if err != nil || len(months) != 1 || months[0].Totals != hours["2026-11-23T10"] {
				t.Errorf("got %v, %v, want %v once", months, err, hours)
			}
			lose()
			if err := s.Contend(t.Context(), "u", "d", time.Now()); err != nil {
				t.Fatal(err)
			}
			shared := attachment("s2", time.Now())
			shared.Shared = true
			if again := attach(t, s, shared); again.ID != c.ID {
				t.Error("one takeover whose answer was lost is taken for two")
			}
			if calls := server.Calls("Commit"); calls < 8 {
				t.Errorf("%d commits: no answer was lost", calls)
			}
		})
	}
}

// A transaction that collides with others is tried anew, more often than the client would.
func TestCollisions(t *testing.T) {
	s, server := open(t)
	if server == nil {
		t.Skip("an emulator doesn't fail when it is told to")
	}
	server.Inject(firestoretest.Fault{Method: "Commit", Code: codes.Aborted, Times: transactTries - 1})
	attach(t, s, attachment("s1", time.Now()))
	if calls := server.Calls("Commit"); calls != transactTries {
		t.Errorf("%d commits, want %d", calls, transactTries)
	}
	server.Inject(firestoretest.Fault{Method: "Commit", Code: codes.Aborted, Times: transactTries})
	if _, _, err := s.Attach(t.Context(), "u", attachment("s2", time.Now())); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after %d collisions: %v, want unavailable", transactTries, err)
	}
}

// A conversation in which nothing was said is deleted. What was acknowledged with it is not heard, nor counted, again.
func TestNumbersGoOnFromWhatIsDeleted(t *testing.T) {
	s, _ := open(t)
	numbered := attachment("s1", time.Now())
	numbered.Numbered = true
	c := attach(t, s, numbered)
	c.Acked = conversation.Acked{Sequence: 7, At: numbered.At, Beyond: []time.Duration{18 * time.Millisecond}}
	c.End(numbered.At, conversation.EndSilence, "")
	if err := s.Commit(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	numbered.SessionID = "s2"
	next := attach(t, s, numbered)
	if next.ID == c.ID || !reflect.DeepEqual(next.Acked, c.Acked) {
		t.Errorf("got %+v, want another conversation that goes on from %+v", next.Acked, c.Acked)
	}
}

func TestAttachWithTheClientsID(t *testing.T) {
	s, _ := open(t)
	now := time.Now()
	a := attachment("s1", now)
	a.ClientID = uuid.NewString()
	first := attach(t, s, a)
	if first.ID != a.ClientID {
		t.Fatalf("got %s, want the id that the client gave", first.ID)
	}
	first.End(now, conversation.EndRequested, "ended")
	if err := s.Commit(t.Context(), "u", &first); err != nil {
		t.Fatal(err)
	}
	if next := attach(t, s, a); next.ID == a.ClientID || next.Status != conversation.Live {
		t.Errorf("after its end: got %s %s, want another conversation", next.ID, next.Status)
	}
}

// An id that the client gave is used once. The conversation that had it is gone, and its usage and its events are not:
// with them, those of another under the same id would be taken for repeats.
func TestClientsIDAfterDeletion(t *testing.T) {
	for name, between := range map[string]func(t *testing.T, s *Store, a conversation.Attachment){
		"at once": func(*testing.T, *Store, conversation.Attachment) {},
		"after one of another id": func(t *testing.T, s *Store, a conversation.Attachment) {
			a.ClientID = ""
			attach(t, s, a)
		},
		"after another one of the client's": func(t *testing.T, s *Store, a conversation.Attachment) {
			a.ClientID = uuid.NewString()
			if c := attach(t, s, a); c.ID != a.ClientID {
				t.Fatalf("got %s, want %s", c.ID, a.ClientID)
			}
		},
		"by another device": func(t *testing.T, s *Store, a conversation.Attachment) {
			a.Device = "other"
			if c := attach(t, s, a); c.ID == a.ClientID {
				t.Error("the id was given to another device")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t)
			now := time.Now()
			a := attachment("s1", now)
			a.ClientID = uuid.NewString()
			first := attach(t, s, a)
			a.SessionID = "s2"
			if again := attach(t, s, a); first.ID != a.ClientID || again.ID != a.ClientID {
				t.Fatalf("got %s, and %s when it came again, want the client's %s", first.ID, again.ID, a.ClientID)
			} else if err := s.Delete(t.Context(), "u", &again); err != nil {
				t.Fatal(err)
			}
			between(t, s, a)
			a.SessionID, a.At = "s3", a.At.Add(time.Hour)
			next := attach(t, s, a)
			if next.ID == a.ClientID || next.Status != conversation.Live {
				t.Fatalf("got %s %s, want another conversation", next.ID, next.Status)
			}
			a.SessionID = "s4"
			if again := attach(t, s, a); again.ID != next.ID {
				t.Errorf("came again: got %s, want %s", again.ID, next.ID)
			}
			a.ClientID, a.At = uuid.NewString(), a.At.Add(time.Hour)
			if other := attach(t, s, a); other.ID != a.ClientID {
				t.Errorf("another id of the client's: got %s, want %s", other.ID, a.ClientID)
			}
		})
	}
}

// Nor is it where a session begins with it that was superseded, and leaves the device to another.
func TestClientsIDOfALateSession(t *testing.T) {
	s, _ := open(t)
	old := attachment("old", time.Now())
	first := attach(t, s, old)
	old.Generation = first.Session.Generation
	newer := attach(t, s, attachment("new", old.At))
	newer.End(old.At, conversation.EndRequested, "ended")
	if err := s.Commit(t.Context(), "u", &newer); err != nil {
		t.Fatal(err)
	}
	old.ClientID = uuid.NewString()
	late := attach(t, s, old)
	if late.ID != old.ClientID {
		t.Fatalf("got %s, want the client's id", late.ID)
	}
	if err := s.Delete(t.Context(), "u", &late); err != nil {
		t.Fatal(err)
	}
	again := attachment("again", old.At)
	again.ClientID = old.ClientID
	if c := attach(t, s, again); c.ID == late.ID {
		t.Error("the id was given twice")
	}
}
