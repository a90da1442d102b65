package session

import (
	"testing"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// The clock is put back when what a network had held comes in a burst. Words that are final keep their order all the same.
func TestFinalWordsKeepTheirOrder(t *testing.T) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	in := &intake{}
	in.timeline.add(mark{at: start.Add(10 * time.Second)})
	in.timeline.add(mark{offset: time.Second, position: time.Second, at: start})
	last := time.Time{}
	for i := range 4 {
		offset := time.Duration(i) * 500 * time.Millisecond
		from, to := in.locate(offset, offset+400*time.Millisecond, true)
		if from.Before(last) || to.Before(from) {
			t.Errorf("word %d: from %v to %v, want it not before %v", i, from.Sub(start), to.Sub(start), last.Sub(start))
		}
		last = to
	}
}

// The audio of a session comes after what an earlier one has stored, whatever the clock says: a conversation that begins in
// it must not come before the one that it follows.
func TestWordsFollowThoseOfTheSessionBefore(t *testing.T) {
	stored := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	in := newIntake(t.Context(), &babbler{}, newEar(), stored.Add(-time.Minute), true)
	in.resume(conversation.Acked{Sequence: 7, At: stored}, 0, false)
	for range 200 { // 4 s
		if _, _, err := in.packet(t.Context(), []byte("packet"), stored.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	last := stored
	for i := range 4 {
		offset := time.Duration(i) * 500 * time.Millisecond
		from, to := in.locate(offset, offset+400*time.Millisecond, true)
		if from.Before(last) || !to.After(from) {
			t.Errorf("word %d: from %v to %v, want it not before %v", i, from.Sub(stored), to.Sub(stored), last.Sub(stored))
		}
		last = to
	}
	if err := in.close(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

// Audio that comes again was said before the session was opened. The conversation that takes it in begins with it, also
// where it is read anew before the first words are stored, and only with its first words.
func TestBeginsWithItsFirstWord(t *testing.T) {
	opened := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	stored := conversation.Conversation{ID: "c", StartedAt: opened, Session: conversation.Session{ID: "s"}}
	d := draft{sessionID: "s"}
	d.begin(stored, transcript.Page{})
	word := func(after time.Duration) utterance {
		return utterance{id: after.String(), text: "word", start: opened.Add(after), end: opened.Add(after + time.Second)}
	}
	d.add(word(-20 * time.Second))
	d.begin(stored, transcript.Page{})
	d.add(word(-30 * time.Second)) // it can't go back behind a word that is shown
	c, pages, _ := d.commit()
	if got := c.StartedAt.Sub(opened); got != -20*time.Second {
		t.Errorf("it begins %v after it was opened, want -20s", got)
	}
	if got := pages[0].Segments[len(pages[0].Segments)-1]; got.Start != 0 {
		t.Errorf("the first word is at %v, want 0", got.Start)
	}
}

// So it does where they come while a commit is under way that knows nothing of them.
func TestBeginsWithAWordThatComesDuringACommit(t *testing.T) {
	opened := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	d := draft{sessionID: "s"}
	d.begin(conversation.Conversation{ID: "c", StartedAt: opened, Session: conversation.Session{ID: "s"}}, transcript.Page{})
	d.meter(opened, usage.Totals{AudioMS: 1000})
	before, _, _ := d.commit()
	d.add(utterance{id: "w", text: "word", start: opened.Add(-20 * time.Second), end: opened.Add(-19 * time.Second)})
	d.committed(before)
	c, pages, _ := d.commit()
	if got := c.StartedAt.Sub(opened); got != -20*time.Second || !c.Relisted {
		t.Errorf("it begins %v after it was opened (relisted: %t), want -20s", got, c.Relisted)
	}
	if got := pages[0].Segments[0]; got.Start != 0 {
		t.Errorf("the first word is at %v, want 0", got.Start)
	}
}

// When it began is to the microsecond, as it is stored: what is kept of a version that was just written shows the same.
func TestBeginsAsStored(t *testing.T) {
	opened := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	d := draft{sessionID: "s"}
	d.begin(conversation.Conversation{ID: "c", StartedAt: opened, Session: conversation.Session{ID: "s"}}, transcript.Page{})
	start := opened.Add(-time.Second + 789)
	d.add(utterance{id: "w", text: "word", start: start, end: opened})
	if c, _, _ := d.commit(); c.StartedAt != opened.Add(-time.Second) {
		t.Errorf("it begins at %v, want %v", c.StartedAt, opened.Add(-time.Second))
	}
}
