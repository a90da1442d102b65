package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/functions/usage/aggregator"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

const uid = "u"

var (
	begun = time.Date(2026, 11, 30, 22, 59, 0, 0, time.UTC) // the conversation of it goes on in the next hour, and month
	early = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
)

// world is a store in which two conversations were counted as they should be, an hour ago.
type world struct {
	*store.Store
	raw       *firestore.Client
	meanwhile func() // what happens between two looks; nil: nothing
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server, err := firestoretest.NewServer(firestoretest.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	t.Setenv("FIRESTORE_EMULATOR_HOST", server.Addr())
	w := &world{}
	if w.Store, err = store.Open(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if w.raw, err = firestore.NewClient(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, closed := range []func() error{w.Close, w.raw.Close} {
			if err := closed(); err != nil {
				t.Error(err)
			}
		}
	})
	w.talk(t, "early", early, usage.Hours{"2026-11-03T10": {AudioMS: 3000, SpeechMS: 2000, Words: 3}}, true, true)
	w.talk(t, "late", begun, usage.Hours{
		"2026-11-30T22": {AudioMS: 500, SpeechMS: 400, Words: 1},
		"2026-11-30T23": {AudioMS: 900, SpeechMS: 800, Words: 4},
		"2026-12-01T00": {AudioMS: 100, SpeechMS: 100, Words: 2},
	}, true, true)
	return w
}

// talk stores a conversation that used so much, with its words in a page.
func (w *world) talk(t *testing.T, cid string, at time.Time, hours usage.Hours, finished, counted bool) conversation.Conversation {
	t.Helper()
	c, _, err := w.Attach(t.Context(), uid, conversation.Attachment{
		Device: "d-" + cid, SessionID: "s", ClientID: cid, SilenceTimeout: time.Minute, At: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, totals := range hours {
		c.Words += int(totals.Words)
	}
	c.Usage, c.Pages, c.Segments = hours, 1, 1
	if finished {
		c.End(at, conversation.EndRequested, event.ConversationEnded)
		c.TakeClaim("t", at, time.Minute)
		c.Complete(conversation.Structured{}, false, at, "")
	}
	page := transcript.Page{Segments: []transcript.Segment{{ID: "1", Text: strings.Repeat("secret ", c.Words)}}}
	if err := w.Commit(t.Context(), uid, &c, page); err != nil {
		t.Fatal(err)
	}
	if counted {
		if _, err := w.RecordUsage(t.Context(), uid, cid, hours); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// look compares November, and gives what is printed too.
func (w *world) look(t *testing.T) (*month, *report, string) {
	t.Helper()
	m, r, err := look(t.Context(), w.Store, uid, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), func(context.Context) {
		if w.meanwhile != nil {
			w.meanwhile()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "secret") {
		t.Errorf("it shows what was said:\n%s", b.String())
	}
	return m, r, b.String()
}

// set plants a number in a counter.
func (w *world) set(t *testing.T, document, field string, n int64) {
	t.Helper()
	path := w.raw.Doc("users/" + uid + "/" + document)
	if _, err := path.Update(t.Context(), []firestore.Update{{Path: field, Value: n}}); err != nil {
		t.Fatal(err)
	}
}

func TestTheSame(t *testing.T) {
	w := newWorld(t)
	_, r, said := w.look(t)
	want := usage.Totals{AudioMS: 4400, SpeechMS: 3200, Words: 8} // without the part in December
	if !r.same() || r.total != want || r.kept != 2 {
		t.Errorf("got %+v, want no difference and %+v:\n%s", r, want, said)
	}
}

// Each planted difference is found where it is, and nowhere else.
func TestPlanted(t *testing.T) {
	for _, tt := range []struct {
		name, document, field string
		want                  []string // where
	}{
		{"a part", "usage/h2026-11-30T23", "by_conversation.late.words", []string{"2026-11-30T23 late"}},
		{"an hour", "usage/h2026-11-30T23", "words", []string{"2026-11-30T23"}},
		{"a day", "usage/d2026-11-30", "audio_ms", []string{"2026-11-30"}},
		{"the month", "usage/m2026-11", "speech_ms", []string{"2026-11"}},
		{
			"the conversation", "conversations/early", "usage.2026-11-03T10.audio_ms",
			[]string{"2026-11-03T10 early", "2026-11-03T10", "2026-11-03", "2026-11"},
		},
		{"another month", "usage/h2026-12-01T00", "words", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.set(t, tt.document, tt.field, 99)
			_, r, said := w.look(t)
			var got []string
			for _, d := range r.differences {
				got = append(got, d.where)
			}
			if strings.Join(got, ", ") != strings.Join(tt.want, ", ") || r.same() != (len(tt.want) == 0) {
				t.Errorf("got %q, want %q:\n%s", got, tt.want, said)
			}
		})
	}
}

func TestPagesHoldOtherWords(t *testing.T) {
	w := newWorld(t)
	if _, err := w.raw.Doc("users/" + uid + "/conversations/early/pages/000000").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, r, said := w.look(t); r.same() || len(r.transcripts) != 1 || !strings.Contains(said, "early: 0 words in its pages, 3 counted") {
		t.Errorf("got %+v:\n%s", r, said)
	}
}

// What the person deleted stays counted, and is no difference.
func TestDeleted(t *testing.T) {
	w := newWorld(t)
	c, err := w.Conversation(t.Context(), uid, "early")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), uid, &c); err != nil {
		t.Fatal(err)
	}
	_, r, said := w.look(t)
	if !r.same() || r.total.Words != 8 || len(r.deleted) != 1 || !strings.Contains(said, "deleted ones, as they were counted: 3000 ms of audio") {
		t.Errorf("got %+v:\n%s", r, said)
	}
}

// What a conversation that goes on has not told yet is no difference; what it is counted too much for is.
func TestOpen(t *testing.T) {
	w := newWorld(t)
	w.talk(t, "open", early.Add(time.Hour), usage.Hours{"2026-11-03T11": {AudioMS: 700, Words: 7}}, false, false)
	if _, r, said := w.look(t); !r.same() || r.open.Words != 7 || r.total.Words != 8 {
		t.Errorf("got %+v:\n%s", r, said)
	}
	if _, err := w.RecordUsage(t.Context(), uid, "open", usage.Hours{"2026-11-03T11": {Words: 8}}); err != nil {
		t.Fatal(err)
	}
	if _, r, said := w.look(t); r.same() {
		t.Errorf("more is counted than was used, and it is not seen:\n%s", said)
	}
}

// What was just finished may not have been counted yet, though it was told.
func TestJustFinished(t *testing.T) {
	w := newWorld(t)
	c := w.talk(t, "fresh", early.Add(time.Hour), usage.Hours{"2026-11-03T11": {AudioMS: 700, Words: 7}}, true, false)
	m, _, _ := w.look(t)
	m.at = c.UpdateTime.Add(settling - 1)
	if r := m.compare(); !r.same() || r.open.Words != 7 {
		t.Errorf("just finished: got %+v, want no difference", r)
	}
	m.at = c.UpdateTime.Add(settling)
	if r := m.compare(); r.same() || strings.Join(r.untold(), " ") != "fresh" {
		t.Errorf("later: got %+v, want it to differ", r)
	}
}

// What differs once, or each time by another amount, is being counted; what differs by the same is told, though people
// speak meanwhile.
func TestCountedMeanwhile(t *testing.T) {
	speak := usage.Hours{"2026-11-03T11": {AudioMS: 700, Words: 7}}
	for _, tt := range []struct {
		name      string
		meanwhile func(t *testing.T, w *world)
		same      bool
	}{
		{"the same then", func(t *testing.T, w *world) { w.set(t, "usage/m2026-11", "words", 8) }, true},
		{"another then", func(t *testing.T, w *world) { w.set(t, "usage/m2026-11", "words", 77) }, true},
		{"it stays", func(t *testing.T, w *world) { w.talk(t, "open", early.Add(time.Hour), speak, false, true) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.set(t, "usage/m2026-11", "words", 99)
			w.meanwhile = func() { tt.meanwhile(t, w) }
			if _, r, said := w.look(t); r.same() != tt.same {
				t.Errorf("got %+v, want the same: %t\n%s", r, tt.same, said)
			}
		})
	}
}

// A conversation that is deleted while it is looked at has no pages any more, and no difference either.
func TestDeletedMeanwhile(t *testing.T) {
	w := newWorld(t)
	if _, err := w.raw.Doc("users/" + uid + "/conversations/early/pages/000000").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.meanwhile = func() {
		if _, err := w.raw.Doc("users/" + uid + "/conversations/early").Delete(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, r, said := w.look(t); !r.same() {
		t.Errorf("got %+v:\n%s", r, said)
	}
}

// Usage that was never told is found, told again, and counted once.
func TestRepair(t *testing.T) {
	w := newWorld(t)
	w.talk(t, "lost", early.Add(time.Hour), usage.Hours{"2026-11-03T11": {AudioMS: 700, SpeechMS: 600, Words: 7}}, true, false)
	consumer := aggregator.Aggregator{
		Store: w.Store, Hold: func(ctx context.Context, _ string, fn func(context.Context) error) error { return fn(ctx) },
	}
	m, r, said := w.look(t)
	if r.same() || len(r.differences) != 4 {
		t.Fatalf("got %+v, want the part, the hour, the day and the month:\n%s", r, said)
	}
	for range 2 {
		if told, err := m.repair(t.Context(), r.untold(), consumer.Record); told != 1 || err != nil {
			t.Fatalf("told of %d conversations, %v; want one", told, err)
		}
	}
	if _, r, said := w.look(t); !r.same() || r.total.Words != 15 {
		t.Errorf("after the repair: got %+v:\n%s", r, said)
	}
}
