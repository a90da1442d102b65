package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot.dev/shared/event"
)

// checkEvents wants each conversation to be told of under one id, whose webhooks are given, and no other.
func (s *system) checkEvents(t *testing.T, webhooks map[string]bool) {
	t.Helper()
	events := 0
	for name, push := range s.Pushes {
		for id, attributes := range push.Events() {
			events++
			if uid, _, _ := strings.Cut(attributes["subject"], "/"); s.edits(uid) {
				continue
			}
			switch eventType := attributes["type"]; {
			case eventType == event.ConversationFinalized && !webhooks["memory_created:"+id]:
				t.Errorf("event %s is of no conversation that is completed once", id)
			case eventType == event.ConversationEnded && !strings.HasSuffix(id, ":ended:1"):
				t.Errorf("event %s: something ended twice", id)
			}
		}
		for _, d := range push.Dead() { // all that fails here passes, and is tried for longer
			t.Errorf("%s: event %s was given up after %d deliveries, the last with status %d, %v",
				name, d.Attributes["id"], d.Attempt, d.Status, d.Err)
		}
	}
	t.Logf("%d events", events)
}

// checkLogs wants no race, no panic and nothing critical in the logs, and no revision of a conversation to be completed twice. An
// image may be lost where the store doesn't answer for as long as a session has to end: its client wasn't told that it is stored.
func (s *system) checkLogs(t *testing.T) {
	t.Helper()
	file, err := os.Open(s.logs)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() // it was only read
	completed := map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	images := 0
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"message":"images_not_stored"`) {
			images++
			continue
		}
		for _, never := range []string{"DATA RACE", "panic", `"severity":"CRITICAL"`} {
			if strings.Contains(lines.Text(), never) {
				t.Errorf("in the logs: %s", lines.Text())
			}
		}
		var said struct {
			Message, Outcome string
			Revision         int
			Labels           struct {
				ConversationID string `json:"conversation_id"`
			} `json:"logging.googleapis.com/labels"`
		}
		_, text, _ := strings.Cut(lines.Text(), "{")
		if json.Unmarshal([]byte("{"+text), &said) == nil && said.Message == "conversation_finalized" && said.Outcome == "completed" {
			completed[fmt.Sprintf("%s, revision %d,", said.Labels.ConversationID, said.Revision)]++
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	t.Logf("%d times images were lost, and said to be, since the store didn't answer", images)
	if len(completed) == 0 {
		t.Error("the logs say of no conversation that it was completed")
	}
	for which, times := range completed {
		if times > 1 {
			t.Errorf("%s was completed %d times", which, times)
		}
	}
}

// checkAgain has events delivered once more, of each subscription the latest few thousand that are remembered, the latest
// first, and wants nothing at all to come of it: no document is written, and no webhook sent.
func (s *system) checkAgain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	before, told := s.versions(t), len(s.Webhooks.All())
	events := 0
	for name, push := range s.Pushes {
		for _, m := range slices.Backward(push.Done()) {
			if err := push.Again(ctx, m); err != nil {
				t.Errorf("%s, deliver %s again: %v", name, m.Attributes["id"], err)
				return
			}
			events++
		}
	}
	if status, err := s.Sweep(ctx); err != nil || status != 200 {
		t.Errorf("sweep: status %d, %v", status, err)
	}
	after := s.versions(t)
	for path, version := range after {
		if !version.Equal(before[path]) {
			t.Errorf("%s was written when %d events came again", path, events)
		}
	}
	if len(after) != len(before) || !maps.Equal(before, after) {
		t.Errorf("%d documents, %d after all events came again", len(before), len(after))
	}
	if n := len(s.Webhooks.All()); n != told {
		t.Errorf("%d webhooks were sent when %d events came again", n-told, events)
	}
	t.Logf("%d events came again", events)
}

// versions are the update times of what is stored of conversations, usage and deliveries, by path.
func (s *system) versions(t *testing.T) map[string]time.Time {
	t.Helper()
	versions := map[string]time.Time{}
	for _, p := range s.people() {
		for _, collection := range []string{"conversations", "usage", "deliveries"} {
			snapshots, err := s.Firestore.Collection("users/" + p.uid + "/" + collection).Documents(t.Context()).GetAll()
			if err != nil {
				t.Fatal(err)
			}
			for _, snapshot := range snapshots {
				versions[snapshot.Ref.Path] = snapshot.UpdateTime
			}
		}
	}
	return versions
}
