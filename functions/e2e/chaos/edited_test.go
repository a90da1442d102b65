package chaos

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/store"
	"earshot.dev/shared/usage"
)

// edits reports whether the user is one who edits.
func (s *system) edits(uid string) bool {
	return slices.ContainsFunc(s.editors, func(e *editor) bool { return e.uid == uid })
}

// checkEdited holds what is stored, and what was delivered, against what people did with what they had said: what they
// deleted is gone, but for what it used; what they renamed has their title; all else is completed.
func (s *system) checkEdited(t *testing.T) {
	t.Helper()
	t.Setenv("FIRESTORE_EMULATOR_HOST", s.FirestoreAddr)
	documents, err := store.Open(t.Context(), s.Project)
	if err != nil {
		t.Fatal(err)
	}
	defer documents.Close()   // it was only read
	want := map[string]bool{} // the webhooks, of the latest revisions
	for _, e := range s.editors {
		e.checkDeleted(t)
		all := s.conversations(t, documents, e.uid)
		heard := map[string]bool{}
		for _, c := range all {
			for _, word := range s.words(t, documents, e.uid, c) {
				if heard[word] {
					t.Errorf("%s: %s is stored twice", e.uid, word)
				}
				heard[word] = true
			}
			e.checkKept(t, c)
			want[fmt.Sprintf("memory_created:%s:finalized:%d", c.ID, c.Revision)] = true
		}
		s.checkUsageEdited(t, e, all)
		s.checkImages(t, e.talker, all)
		t.Logf("%s: %d conversations, %d deleted; requests by status: %v", e.uid, len(all), len(e.unwanted), e.done)
	}
	s.checkWebhooksEdited(t, want)
}

// checkDeleted wants nothing to be left of what was deleted. A delivery that was under way may be recorded, without the
// title.
func (e *editor) checkDeleted(t *testing.T) {
	t.Helper()
	deliveries, err := e.firestore.Collection("users/" + e.uid + "/deliveries").Documents(t.Context()).GetAll()
	if err != nil {
		t.Error(err)
	}
	for _, d := range deliveries {
		cid := strings.Split(d.Ref.ID, ":")[1] // memory_created:{conversation}:finalized:{revision}
		if title, err := d.DataAt("title"); e.unwanted[cid] != nil && (err != nil || title != "") {
			t.Errorf("%s/%s was deleted, and its delivery has the title %q (%v)", e.uid, cid, title, err)
		}
	}
	for cid := range e.unwanted {
		if _, err := e.conversation(cid).Get(t.Context()); status.Code(err) != codes.NotFound {
			t.Errorf("%s/%s was deleted, and is there (%v)", e.uid, cid, err)
		}
		for _, collection := range []string{"pages", "photos"} {
			refs, err := e.conversation(cid).Collection(collection).DocumentRefs(t.Context()).GetAll()
			if err != nil || len(refs) > 0 {
				t.Errorf("%s/%s was deleted, and has %d %s (%v)", e.uid, cid, len(refs), collection, err)
			}
		}
	}
}

// checkKept wants a conversation to be completed, and to have the person's title where they gave one.
func (e *editor) checkKept(t *testing.T, c conversation.Conversation) {
	t.Helper()
	if c.Status != conversation.Completed || c.Structured == nil || c.Pending != nil || c.Claim != nil || c.Words+c.Photos == 0 {
		t.Errorf("%s/%s: status %s, revision %d, pending %v, claim %v, %d words, failure %q; want it completed",
			e.uid, c.ID, c.Status, c.Revision, c.Pending, c.Claim, c.Words, c.Failure)
		return
	}
	named := e.titles[c.ID]
	switch {
	case named == nil && !c.Structured.Renamed, named != nil && !named.certain && !c.Structured.Renamed:
	case named == nil || !c.Structured.Renamed || !named.may[c.Structured.Title]:
		t.Errorf("%s/%s: titled %q, by the person: %v, want %+v", e.uid, c.ID, c.Structured.Title, c.Structured.Renamed, named)
	}
}

// checkUsageEdited wants the periods to agree with each other, with what is stored, and with what was said.
func (s *system) checkUsageEdited(t *testing.T, e *editor, all []conversation.Conversation) {
	t.Helper()
	counted, err := s.counted(t.Context(), e.uid)
	if err != nil {
		t.Fatal(err)
	}
	if counted['h'] != counted['d'] || counted['d'] != counted['m'] {
		t.Errorf("%s: counted hours %+v, days %+v, months %+v", e.uid, counted['h'], counted['d'], counted['m'])
	}
	parts := s.byConversation(t, e.uid)
	for _, c := range all {
		var stored usage.Totals
		for _, totals := range c.Usage {
			stored = stored.Add(totals)
		}
		if parts[c.ID] != stored {
			t.Errorf("%s/%s: counted %+v, stored with it %+v", e.uid, c.ID, parts[c.ID], stored)
		}
	}
	for cid, u := range e.unwanted {
		if u.completed && parts[cid].Words == 0 {
			t.Errorf("%s/%s was completed and then deleted, and its words are not counted: %+v", e.uid, cid, parts[cid])
		}
	}
	// A session whose conversation is deleted while it stores words can't know whether they were, and stores them again.
	said, most := int64(e.words), int64(e.words)+int64(8*len(e.unwanted))
	if words := counted['m'].Words; words > most || words < said {
		t.Errorf("%s: %d words are counted, and %d were said", e.uid, words, said)
	}
}

// checkWebhooksEdited wants the latest revision of each conversation to be told, and each webhook to have one body, also
// where the person renamed the conversation in between.
func (s *system) checkWebhooksEdited(t *testing.T, want map[string]bool) {
	t.Helper()
	bodies := map[string][]byte{}
	missing := maps.Clone(want)
	for _, r := range s.webhooks(true) {
		if r.Invalid != nil {
			t.Errorf("webhook %s: the signature doesn't hold: %v", r.ID, r.Invalid)
		}
		body, again := bodies[r.ID]
		if again && !bytes.Equal(body, r.Body) {
			t.Errorf("webhook %s came with two bodies:\n%s\n%s", r.ID, body, r.Body)
		}
		bodies[r.ID] = r.Body
		if !r.Refused {
			delete(missing, r.ID)
		}
	}
	for id := range missing {
		t.Errorf("webhook %s was never taken", id)
	}
}
