package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
)

// A write may take effect after who made it has given up, or died, so that nobody had anything forgotten. Asked for again
// it is found made, and who then looks sees it, by whatever instance.
func TestFoundMadeIsSeen(t *testing.T) {
	for name, tt := range map[string]struct {
		lands  func(i *instance, c *conversation.Conversation) error // in the store alone
		again  string                                                // the request
		status int
		want   string // in the conversation, and the list; empty: it is gone
	}{
		"title": {func(i *instance, c *conversation.Conversation) error {
			c.Rename("Mine")
			return i.db.Store.Commit(i.t.Context(), "anna", c)
		}, "PATCH /v1/conversations/{id}/title?title=Mine", http.StatusOK, `"title":"Mine"`},
		"reprocess": {func(i *instance, c *conversation.Conversation) error {
			c.Reprocess(now(), event.ConversationEnded)
			c.Pending = nil // it was told
			return i.db.Store.Commit(i.t.Context(), "anna", c)
		}, "POST /v1/conversations/{id}/reprocess", http.StatusOK, `"status":"processing"`},
		"deletion": {func(i *instance, c *conversation.Conversation) error {
			return i.db.Store.Delete(i.t.Context(), "anna", c)
		}, "DELETE /v1/conversations/{id}", http.StatusNotFound, ""},
		"deletion, and another change": {func(i *instance, c *conversation.Conversation) error {
			return i.db.Store.Delete(i.t.Context(), "anna", c)
		}, "PATCH /v1/conversations/{id}/title?title=Mine", http.StatusNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.instance(t), w.instance(t)
			c := a.hold(now(), 1)
			look := func() (status int, conversation, list string) {
				status, conversation = b.call("GET", "/v1/conversations/"+c.ID, "")
				return status, conversation, b.want("GET", "/v1/conversations", "")
			}
			look()
			if err := tt.lands(a, &c); err != nil {
				t.Fatal(err)
			}
			method, target, _ := strings.Cut(strings.ReplaceAll(tt.again, "{id}", c.ID), " ")
			if status, body := a.call(method, target, ""); status != tt.status {
				t.Fatalf("%s: got status %d, %s, want %d", tt.again, status, body, tt.status)
			}
			status, conversation, list := look()
			if gone := tt.want == ""; gone && (status != http.StatusNotFound || strings.Contains(list, c.ID)) {
				t.Errorf("got status %d, and the list %s, want neither to have it", status, list)
			}
			if !strings.Contains(conversation, tt.want) || !strings.Contains(list, tt.want) {
				t.Errorf("got %s, in the list %s, want %s", conversation, list, tt.want)
			}
		})
	}
}

// No conversation is live any more for who asks to end one again: the lists say so too.
func TestFoundEndedIsSeen(t *testing.T) {
	w := newWorld(t)
	a, b := w.instance(t), w.instance(t)
	c := a.begin("d", now())
	a.say(&c, 0, 1)
	const live = "/v1/conversations?statuses=in_progress"
	if list := b.want("GET", live, ""); !strings.Contains(list, c.ID) {
		t.Fatalf("got the list %s, want it to have %s", list, c.ID)
	}
	c.End(now(), conversation.EndRequested, event.ConversationEnded)
	if err := a.db.Store.Commit(t.Context(), "anna", &c); err != nil {
		t.Fatal(err)
	}
	if status, body := a.call("POST", "/v1/conversations", ""); status != http.StatusNotFound {
		t.Fatalf("got status %d, %s, want %d", status, body, http.StatusNotFound)
	}
	if list := b.want("GET", live, ""); strings.Contains(list, c.ID) {
		t.Errorf("got the list %s, want it not to have what has ended", list)
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
