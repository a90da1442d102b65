package api

import (
	"net/http"
	"testing"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
)

func TestReprocess(t *testing.T) {
	inWeather(t, func(t *testing.T, r *rig) {
		r.begin("anna", "c1", start, finished)
		for range 2 {
			wantStatus(t, r.call("POST", "/v1/conversations/c1/reprocess", ""), http.StatusOK)
		}
		if c := r.stored("anna", "c1"); c.Status != conversation.Ended || c.Revision != 2 || c.Pending != nil {
			t.Errorf("stored: got %+v", c)
		}
		if len(r.board.ids) == 0 || r.board.ids[0] != "c1:ended:2" {
			t.Errorf("told: got %q, want c1:ended:2", r.board.ids)
		}
	})
	r := newRig(t)
	r.begin("anna", "c1", start, nil)
	wantProblem(t, r.call("POST", "/v1/conversations/c1/reprocess", ""), http.StatusConflict)
}

// Who asks to reprocess has it finalized again once, also where it is finalized before they read what became of their
// write: their own took effect and its answer was lost, or that of another who had read the same came first.
func TestReprocessedBeforeReadingBack(t *testing.T) {
	for name, write := range map[string]func(apply func() error, other func(edit func(c *conversation.Conversation))) error{
		"the answer is lost": func(apply func() error, other func(edit func(c *conversation.Conversation))) error {
			if err := apply(); err != nil {
				return err
			}
			other(finished)
			return errLost
		},
		"another is first": func(apply func() error, other func(edit func(c *conversation.Conversation))) error {
			other(func(c *conversation.Conversation) { c.Reprocess(start, event.ConversationEnded) })
			other(finished)
			return apply() // which is refused
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.begin("anna", "c1", start, finished)
			r.store.onWrite = func(apply func() error) error {
				r.store.onWrite = nil
				return write(apply, func(edit func(c *conversation.Conversation)) {
					c := r.store.all["anna/c1"]
					edit(&c)
					r.store.put("anna", &c)
				})
			}
			wantStatus(t, r.call("POST", "/v1/conversations/c1/reprocess", ""), http.StatusOK)
			if c := r.stored("anna", "c1"); c.Revision != 2 || c.Status != conversation.Completed {
				t.Errorf("stored: got revision %d, %s, want revision 2, completed", c.Revision, c.Status)
			}
			if len(r.board.ids) != 0 {
				t.Errorf("told: got %q, want what others told before alone", r.board.ids)
			}
			wantStatus(t, r.call("POST", "/v1/conversations/c1/reprocess", ""), http.StatusOK)
			if c := r.stored("anna", "c1"); c.Revision != 3 {
				t.Errorf("asked again: got revision %d, want 3", c.Revision)
			}
		})
	}
}
