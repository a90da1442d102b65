package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/terminal"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// good is a conversation of three words, and what the client was shown of it.
func good() (*result, *talk) {
	used := usage.Totals{AudioMS: 2000, SpeechMS: 1500, Words: 3}
	p := page{}
	p.Segments = append(p.Segments, struct {
		ID   string `firestore:"id"`
		Text string `firestore:"text"`
	}{"s1", "one two three"})
	r := &result{
		conversations: []stored{{
			ID: "c1", Status: conversation.Completed, Segments: 1, Words: 3, Usage: usage.Hours{"2026-11-23T10": used},
			Structured: &conversation.Structured{Title: "Numbers", Overview: "Three of them."},
		}},
		pages: []page{p},
		periods: []period{
			{counter{Totals: used}, "d2026-11-23"},
			{counter{used, map[string]usage.Totals{"c1": used}}, "h2026-11-23T10"},
			{counter{Totals: used}, "m2026-11"},
		},
		webhooks: []stack.Received{{
			ID: "d1", Body: []byte(`{"id":"c1","status":"completed","transcript_segments":[{"id":"s1"}],"structured":{"title":"Numbers"}}`),
		}},
	}
	speech := terminal.Plain(&strings.Builder{}).Speech()
	speech.Take(client.Message{Type: client.Segments, Segments: []transcript.Segment{{ID: "s1", Text: "one two three"}}})
	return r, &talk{speech: speech, conversation: "c1", audio: 2 * time.Second}
}

func TestResultThatAddsUp(t *testing.T) {
	if r, client := good(); len(r.missing()) != 0 || len(r.wrong(client)) != 0 {
		t.Errorf("missing %q, wrong %q; want nothing", r.missing(), r.wrong(client))
	}
}

func TestResultThatDoesNot(t *testing.T) {
	tests := []struct {
		want  string // in what is found
		spoil func(*result, *talk)
	}{
		{"no conversation", func(r *result, _ *talk) { r.conversations = nil }},
		{"finalizing and not completed", func(r *result, _ *talk) { r.conversations[0].Status = conversation.Finalizing }},
		{"failed and not completed too long", func(r *result, _ *talk) {
			r.conversations[0].Status, r.conversations[0].Failure = conversation.Failed, "too long"
		}},
		{"no webhook", func(r *result, _ *talk) { r.webhooks = nil }},
		{"the hours' usage of it", func(r *result, _ *talk) { r.periods = r.periods[:1] }},
		{"usage by m", func(r *result, _ *talk) { r.periods = r.periods[:2] }},
		{"usage by d", func(r *result, _ *talk) { r.periods[0].Words++ }},
		{"usage by h", func(r *result, _ *talk) { r.periods[1].SpeechMS-- }},
		{"2 conversations", func(r *result, _ *talk) {
			r.conversations = append(r.conversations, stored{Status: conversation.Completed})
		}},
		{"the client was told c2", func(_ *result, c *talk) { c.conversation = "c2" }},
		{"stored transcript", func(r *result, _ *talk) { r.pages[0].Segments[0].Text = "one two" }},
		{"segments are stored", func(r *result, _ *talk) { r.conversations[0].Segments = 2 }},
		{"words are counted in", func(r *result, _ *talk) { r.conversations[0].Words = 4 }},
		{"no title", func(r *result, _ *talk) { r.conversations[0].Structured.Title = "" }},
		{"no title or no overview", func(r *result, _ *talk) { r.conversations[0].Structured = nil }},
		{"5s were sent", func(_ *result, c *talk) { c.audio = 5 * time.Second }},
		{"2 webhooks", func(r *result, _ *talk) { r.webhooks = append(r.webhooks, r.webhooks[0]) }},
		{"signature doesn't hold", func(r *result, _ *talk) { r.webhooks[0].Invalid = errors.New("forged") }},
		{"can't be read", func(r *result, _ *talk) { r.webhooks[0].Body = []byte("{") }},
		{"with 0 segments", func(r *result, _ *talk) { r.webhooks[0].Body = []byte(`{"id":"c1","status":"completed"}`) }},
		{"title is", func(r *result, _ *talk) { r.conversations[0].Structured.Title = "Letters" }},
	}
	for _, test := range tests {
		r, client := good()
		test.spoil(r, client)
		found := r.wrong(client)
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, test.want) }) {
			t.Errorf("found %q, want %q", found, test.want)
		}
	}
}

func TestPeriodsOfAConversation(t *testing.T) {
	r, _ := good()
	r.periods = append(r.periods,
		period{counter{ByConversation: map[string]usage.Totals{"c2": {Words: 1}}}, "h2026-11-24T00"},
		period{counter{}, "d2026-11-24"}, period{counter{}, "m2026-10"})
	var names []string
	for _, p := range r.periodsOf("c2") {
		names = append(names, p.name)
	}
	if want := []string{"m2026-11", "h2026-11-24T00", "d2026-11-24"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestTextOfATranscript(t *testing.T) {
	got := textOf("<s> he was not </s> (a-0870)\n<s> an ill disposed young man </s> (a-0880)\n")
	if want := "he was not an ill disposed young man"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
