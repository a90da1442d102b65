package event

import (
	"errors"
	"slices"
	"testing"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

func TestTopics(t *testing.T) {
	want := map[string]string{
		ConversationEnded: "conversation-ended", ConversationFinalized: "conversation-finalized",
		TranscriptAppended: "transcript-appended", AudioAppended: "audio-appended", UsageRecorded: "usage-recorded",
	}
	for _, eventType := range Types {
		if got := Topic(eventType); got != want[eventType] {
			t.Errorf("%s: got %q, want %q", eventType, got, want[eventType])
		}
	}
}

// Telling the same twice gives the same id, whenever it is told; telling something else doesn't.
func TestIDsAreDeterministic(t *testing.T) {
	c := conversation.Conversation{ID: "c", Revision: 3, UpdateTime: time.Unix(7, 8000)}
	first, err1 := OfConversation(ConversationEnded, "u", &c, time.Unix(1, 0))
	again, err2 := OfConversation(ConversationEnded, "u", &c, time.Unix(2, 0))
	other, err3 := OfConversation(ConversationFinalized, "u", &c, time.Unix(1, 0))
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	if first.ID != "c:ended:3" || again.ID != first.ID || other.ID != "c:finalized:3" || first.Subject != "u/c" {
		t.Errorf("got %q, %q, %q, subject %q", first.ID, again.ID, other.ID, first.Subject)
	}
}

// A session's flush has one id however often it is told; the next flush, and another session's, have others.
func TestAppended(t *testing.T) {
	c := conversation.Conversation{ID: "c", UpdateTime: time.Unix(7, 8000)}
	segments := []transcript.Segment{{ID: "s", Text: "word", Speaker: 1, End: time.Second}}
	e, err := OfAppended("u", "first", &c, segments, time.Unix(1, 0))
	again, err2 := OfAppended("u", "first", &c, segments, time.Unix(2, 0))
	other, err3 := OfAppended("u", "second", &c, segments, time.Unix(1, 0))
	c.UpdateTime = c.UpdateTime.Add(time.Microsecond)
	next, err4 := OfAppended("u", "first", &c, segments, time.Unix(1, 0))
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if e.ID != "c:appended:first:7000008" || again.ID != e.ID || other.ID == e.ID || next.ID == e.ID || e.Subject != "u/c" {
		t.Errorf("got %q, again %q, of another session %q, next %q", e.ID, again.ID, other.ID, next.ID)
	}
	got, err := Decode[Appended](e)
	if err != nil || got.UID != "u" || got.ConversationID != "c" || !slices.Equal(got.Segments, segments) {
		t.Errorf("got %+v, %v from %s", got, err, e.Data)
	}
}

// A session's stretch has one id however often it is told, and the order of its device.
func TestAudio(t *testing.T) {
	a := Audio{UID: "u", ConversationID: "c", SampleRate: 16_000, PCM: []byte{1, 0, 255, 128}}
	e, err := OfAudio("first", "d", 3, a, time.Unix(1, 0))
	again, err2 := OfAudio("first", "d", 3, a, time.Unix(2, 0))
	other, err3 := OfAudio("second", "d", 3, a, time.Unix(1, 0))
	next, err4 := OfAudio("first", "d", 4, a, time.Unix(1, 0))
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if e.ID != "c:audio:first:3" || again.ID != e.ID || other.ID == e.ID || next.ID == e.ID || e.Subject != "u/c" {
		t.Errorf("got %q, again %q, of another session %q, next %q", e.ID, again.ID, other.ID, next.ID)
	}
	if !Ordered(e.Type) || e.Order != "u/d" || other.Order != e.Order {
		t.Errorf("ordered with %q, and the device's next session's with %q; want both with u/d", e.Order, other.Order)
	}
	got, err := Decode[Audio](e)
	if err != nil || got.UID != "u" || got.SampleRate != 16_000 || !slices.Equal(got.PCM, a.PCM) {
		t.Errorf("got %+v, %v from %s", got, err, e.Data)
	}
}

func TestUsageRoundTrip(t *testing.T) {
	c := conversation.Conversation{ID: "c", Usage: usage.Hours{"2026-11-23T10": {AudioMS: 5, SpeechMS: 3, Words: 2}}}
	e, err := OfUsage("u", &c, c.Usage, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode[Usage](e)
	if err != nil || got.Hours["2026-11-23T10"] != c.Usage["2026-11-23T10"] || got.UID != "u" {
		t.Errorf("got %+v, %v from %s", got, err, e.Data)
	}
	if _, err := Decode[Usage](Event{Type: UsageRecorded, Data: []byte(`[1]`)}); err == nil {
		t.Error("garbage was decoded")
	}
}
