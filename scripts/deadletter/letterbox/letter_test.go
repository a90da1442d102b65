package letterbox

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func received(attributes map[string]string) *pubsubpb.ReceivedMessage {
	return &pubsubpb.ReceivedMessage{AckId: "a", Message: &pubsubpb.PubsubMessage{
		MessageId: "17", Data: []byte(`{"text":"what was said"}`), Attributes: attributes,
		PublishTime: timestamppb.New(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)),
	}}
}

func TestTopic(t *testing.T) {
	for eventType, want := range map[string]string{
		"conversation.ended.v1": "conversation-ended", "conversation.ended.v2": "conversation-ended",
		"usage.recorded.v1": "usage-recorded", "usage.recorded": "", "usage.recorded.vx": "", "dead.letter.v1": "", "": "", ".v1": "",
	} {
		got, err := newLetter(received(map[string]string{"type": eventType})).topic()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", eventType, got, err, want)
		}
	}
}

// A letter is shown without what it says, and whatever its attributes are, on one line.
func TestPrint(t *testing.T) {
	var b strings.Builder
	letters := []Letter{
		newLetter(received(map[string]string{
			"id": "c:ended:1", "type": "conversation.ended.v1", "subject": "u/c", addedDeliveries: "20",
			addedFrom: "projects/p/subscriptions/conversation-ended-finalize",
		})),
		newLetter(received(map[string]string{"id": "a\nb\x1b[2J", "type": "two words"})),
	}
	if err := Print(&b, letters, len(letters)+1); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"MESSAGE EVENT TYPE SUBJECT FROM DELIVERIES BYTES DIED",
		"17 c:ended:1 conversation.ended.v1 u/c conversation-ended-finalize 20 24 2026-11-23T10:00:00Z",
		`17 "a\nb\x1b[2J" "two words" - - - 24 2026-11-23T10:00:00Z`,
		"2 dead letters",
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, line := range lines {
		if got := strings.Join(strings.Fields(line), " "); i >= len(want) || got != want[i] {
			t.Errorf("line %d: got %q", i, got)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %q", len(lines), want)
	}
	b.Reset()
	if err := Print(&b, letters, len(letters)); err != nil || !strings.Contains(b.String(), "2 dead letters, which is the limit: there may be more") {
		t.Errorf("as many as the limit: got %v,\n%s", err, &b)
	}
}

// What Pub/Sub added goes, and the rest stays: the id above all.
func TestOriginal(t *testing.T) {
	m := newLetter(received(map[string]string{"id": "e", "type": "x", "traceparent": "t", addedFrom: "s", addedDeliveries: "5"})).original()
	if len(m.Attributes) != 3 || m.Attributes["id"] != "e" || m.Attributes["traceparent"] != "t" || !strings.Contains(string(m.Data), "said") {
		t.Errorf("got %+v", m)
	}
}
