package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"earshot.dev/shared/account"
	"earshot.dev/shared/transcript"
)

// Who has asked for it is told the words while they are said, each message under an id of its own whatever repeats; and
// of the whole conversation once, as ever.
func TestRealtime(t *testing.T) {
	s := begin(t, "rosa")
	if err := s.AddWebhook(t.Context(), "rosa", account.RealtimeTranscript); err != nil {
		t.Fatal(err)
	}
	s.Pushes["transcript-appended-integrations"].Repeat(1)
	sp := connect(t, s, "rosa", nil)
	sp.say(1, 12)
	sp.sees(1, 12)
	// said puts the segments together as a receiver does: the last of each id counts.
	said := func() string {
		segments, bodies := map[string]transcript.Segment{}, map[string][]byte{}
		for _, r := range s.Webhooks.All() {
			if !strings.HasPrefix(r.ID, "realtime_transcript:") {
				continue
			}
			if before, repeated := bodies[r.ID]; repeated {
				if !bytes.Equal(before, r.Body) {
					t.Errorf("%s came with two bodies:\n%s\n%s", r.ID, before, r.Body)
				}
				continue
			}
			bodies[r.ID] = r.Body
			var told struct {
				Segments  []transcript.Segment
				SessionID string `json:"session_id"`
			}
			if err := json.Unmarshal(r.Body, &told); err != nil || told.SessionID != "rosa" || r.Query.Get("uid") != "rosa" || r.Invalid != nil {
				t.Errorf("got %s to %v (%v, %v)", r.Body, r.Query, err, r.Invalid)
			}
			for _, segment := range told.Segments {
				if len(segment.Text) >= len(segments[segment.ID].Text) { // messages may overtake each other
					segments[segment.ID] = segment
				}
			}
		}
		ordered := slices.SortedFunc(maps.Values(segments), func(a, b transcript.Segment) int { return int(a.Start - b.Start) })
		var texts []string
		for _, segment := range ordered {
			texts = append(texts, segment.Text)
		}
		return strings.Join(texts, " ")
	}
	settled(t, "the words told while the conversation is live", func(context.Context) (bool, error) {
		return said() == text(1, 12), nil
	})
	for _, r := range s.Webhooks.All() {
		if strings.HasPrefix(r.ID, "memory_created:") {
			t.Error("memory_created came before the conversation ended")
		}
	}
	sp.stop()
	var memories int
	settled(t, "memory_created", func(context.Context) (bool, error) {
		memories = 0
		for _, r := range s.Webhooks.All() {
			if strings.HasPrefix(r.ID, "memory_created:") {
				memories++
			}
		}
		return memories > 0, nil
	})
	onlyOne(t, s, "rosa", sp.conversations[0])
	if memories != 1 {
		t.Errorf("memory_created came %d times, want once", memories)
	}
	counted(t, s, "rosa", 12)
	if got, err := s.Firestore.Collection("users/rosa/deliveries").Documents(t.Context()).GetAll(); err != nil || len(got) != 1 {
		t.Errorf("%d deliveries are recorded (%v), want that of memory_created alone", len(got), err)
	}
}
