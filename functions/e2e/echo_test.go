package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/firestoretest"
)

// Of every write that demands a version, the first answer is lost. The client sends the write again by itself, and is
// refused, by the version that it has made itself. Whoever writes in the life of a conversation reads back and sees that
// it is done: every word is stored once, it is finalized once, told of once a revision, counted once, and gone when it is
// deleted; and the person's app gets no error.
func TestEchoes(t *testing.T) {
	s := begin(t, "otto")
	lost := &echoes{seen: map[string]bool{}, again: map[string]int{}}
	s.Documents.Inject(firestoretest.Fault{Method: "Commit", Match: lost.first, Times: -1, After: true, Code: codes.Unavailable})
	a, sp := openApp(t, s, "otto"), connect(t, s, "otto", nil)
	sp.say(1, 6)
	if err := sp.client.Say(t.Context(), `{"type":"image_chunk","id":"tmp","index":0,"total":1,"data":"Ynll"}`); err != nil {
		t.Fatal(err)
	}
	sp.pause(2 * time.Second) // which is long enough to be stored
	sp.say(7, 12)
	sp.sees(1, 12)
	sp.pause(500 * time.Millisecond)
	sp.stop()
	c := finished(t, s, text(1, 12))
	onlyOne(t, s, "otto", c.ID)
	counted(t, s, "otto", 12)
	settled(t, "the delivery is recorded", func(ctx context.Context) (bool, error) {
		all, err := s.Firestore.Collection("users/otto/deliveries").Documents(ctx).GetAll()
		return len(all) == 1 && all[0].Data()["done"] == true, err
	})
	if got := delivered(t, s); len(got) != 1 {
		t.Errorf("%d webhooks were taken, want one", len(got))
	}

	one := "/v1/conversations/" + c.ID
	if _, status := ask[any](a, "PATCH", one+"/title?title=Mine"); status != http.StatusOK {
		t.Errorf("rename: status %d", status)
	}
	if shown, _ := ask[conversation.Wire](a, "GET", one); shown.Structured.Title != "Mine" || len(shown.Photos) != 1 {
		t.Errorf("got the title %q and %d images, want Mine and one", shown.Structured.Title, len(shown.Photos))
	}
	if _, status := ask[any](a, "POST", one+"/reprocess"); status >= http.StatusMultipleChoices {
		t.Errorf("reprocess: status %d", status)
	}
	settled(t, "the second revision", func(ctx context.Context) (bool, error) {
		all, err := stored(ctx, s, "otto")
		again := all[c.ID]
		return again["status"] == "completed" && again["revision"] == int64(2) && again["pending"] == nil, err
	})
	settled(t, "a webhook for each revision", func(context.Context) (bool, error) { return len(s.Webhooks.All()) == 2, nil })
	if _, status := ask[any](a, "DELETE", one); status != http.StatusNoContent {
		t.Errorf("delete: status %d", status)
	}
	if _, status := ask[conversation.Wire](a, "GET", one); status != http.StatusNotFound {
		t.Errorf("after its deletion: status %d", status)
	}
	if got := s.Webhooks.All(); len(got) != 2 || got[0].ID == got[1].ID {
		t.Errorf("%d webhooks were sent, want one for each revision", len(got))
	}
	lost.check(t, "live", "with an image", "ended, to be told", "ended", "finalizing", "completed, to be told", "completed",
		"deliveries created", "deliveries", "deleted")
}

// echoes are the writes whose first answer is lost.
type echoes struct {
	mu    sync.Mutex
	seen  map[string]bool
	again map[string]int // that came again, by what they do
}

// first reports whether a write demands a version and comes for the first time.
func (e *echoes) first(request proto.Message) bool {
	commit, ok := request.(*firestorepb.CommitRequest)
	if !ok || len(commit.GetTransaction()) > 0 || commit.GetWrites()[0].GetCurrentDocument() == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := fmt.Sprint(commit.GetWrites())
	if e.seen[key] {
		e.again[doing(commit.GetWrites())]++
		return false
	}
	e.seen[key] = true
	return true
}

// doing is what a commit does: the status of a conversation after it, or the collection that another document is of.
func doing(writes []*firestorepb.Write) string {
	w := writes[0]
	if strings.Contains(writes[len(writes)-1].GetUpdate().GetName(), "/photos/") {
		return "with an image"
	}
	if w.GetDelete() != "" {
		return "deleted"
	}
	fields := w.GetUpdate().GetFields()
	path := strings.Split(w.GetUpdate().GetName(), "/")
	what := fields["status"].GetStringValue()
	if collection := path[len(path)-2]; collection != "conversations" {
		what = collection
	}
	if _, exists := w.GetCurrentDocument().GetConditionType().(*firestorepb.Precondition_Exists); exists {
		what += " created"
	}
	if fields["pending"] != nil {
		what += ", to be told"
	}
	return what
}

// check wants each of these to have come again.
func (e *echoes) check(t *testing.T, all ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	t.Logf("sent again: %v", e.again)
	for _, what := range all {
		if e.again[what] == 0 {
			t.Errorf("nothing was sent again that is %q", what)
		}
	}
}
