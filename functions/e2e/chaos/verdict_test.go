package chaos

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/store"
)

// open names what is still to be done: in the store, or with events.
func (s *system) open(ctx context.Context) (string, error) {
	for name, push := range s.Pushes {
		if n := push.Waiting(); n > 0 {
			return fmt.Sprintf("%d events wait in %s", n, name), nil
		}
	}
	for _, p := range s.people() {
		snapshots, err := s.Firestore.Collection("users/" + p.uid + "/conversations").Documents(ctx).GetAll()
		if err != nil {
			return "", err
		}
		for _, snapshot := range snapshots {
			c := snapshot.Data()
			if status := c["status"]; status != "completed" && status != "failed" || c["pending"] != nil {
				return fmt.Sprintf("%s/%s is %v, pending %v, attempts %v",
					p.uid, snapshot.Ref.ID, status, c["pending"], c["attempts"]), nil
			}
		}
		counted, err := s.counted(ctx, p.uid)
		if err != nil {
			return "", err
		}
		if said := int64(p.words); counted['m'].Words < said && !p.deletes || counted['m'] != counted['h'] {
			return fmt.Sprintf("%s has said %d words, counted are %+v", p.uid, p.words, counted), nil
		}
	}
	return "", nil
}

// check holds what is stored, and what was delivered, against what was said.
func (s *system) check(t *testing.T) {
	t.Helper()
	t.Setenv("FIRESTORE_EMULATOR_HOST", s.FirestoreAddr)
	documents, err := store.Open(t.Context(), s.Project)
	if err != nil {
		t.Fatal(err)
	}
	defer documents.Close() // it was only read
	words, connections, attempts := uint32(0), 0, 0
	want := map[string]bool{} // the webhooks
	for _, p := range s.talkers {
		all := s.conversations(t, documents, p.uid)
		var heard []string
		var transcripts [][]string
		for _, c := range all {
			words := s.words(t, documents, p.uid, c)
			heard = append(heard, words...)
			transcripts = append(transcripts, words)
			if !slices.IsSortedFunc(words, byNumber) {
				t.Errorf("%s/%s: out of order: %v", p.uid, c.ID, words)
			}
			want[fmt.Sprintf("memory_created:%s:finalized:%d", c.ID, c.Revision)] = true
			attempts += c.Attempts
			checkCompleted(t, p.uid, c)
		}
		compare(t, p.uid, heard, p.words)
		t.Logf("%s: %d of %d ends are inside of a conversation", p.uid, p.crossed(transcripts), len(p.ends))
		s.checkUsage(t, p, all)
		s.checkImages(t, p, all)
		words += p.words
		connections += p.session.Connections()
	}
	s.checkWebhooks(t, want)
	s.checkEvents(t, want)
	t.Logf("%d words in %d conversations, %d attempts to finalize, %d webhooks, %d connections",
		words, len(want), attempts, len(s.Webhooks.All()), connections)
	s.checkLogs(t)
}

// crossed is how many ends have words before and after them in one conversation. An end waits for the words before it as
// long as a recogniser may take to come back, not longer, so it isn't said to be wrong.
func (p *talker) crossed(transcripts [][]string) (n int) {
	for _, words := range transcripts {
		for _, end := range p.ends {
			last := testspeech.Text(end)
			if len(words) > 0 && byNumber(words[0], last) <= 0 && byNumber(last, words[len(words)-1]) < 0 {
				n++
			}
		}
	}
	return n
}

// conversations are a user's, in the order of their beginning.
func (s *system) conversations(t *testing.T, documents *store.Store, uid string) []conversation.Conversation {
	t.Helper()
	refs, err := s.Firestore.Collection("users/" + uid + "/conversations").DocumentRefs(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []conversation.Conversation
	for _, ref := range refs {
		c, err := documents.Conversation(t.Context(), uid, ref.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b conversation.Conversation) int { return a.StartedAt.Compare(b.StartedAt) })
	return all
}

func (s *system) words(t *testing.T, documents *store.Store, uid string, c conversation.Conversation) []string {
	t.Helper()
	segments, err := documents.Segments(t.Context(), uid, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, segment := range segments {
		words = append(words, strings.Fields(segment.Text)...)
	}
	if len(words) != c.Words {
		t.Errorf("%s/%s: %d words are stored, and %d counted", uid, c.ID, len(words), c.Words)
	}
	return words
}

func checkCompleted(t *testing.T, uid string, c conversation.Conversation) {
	t.Helper()
	if c.Status != conversation.Completed || c.Revision != 1 || c.Structured == nil || c.Pending != nil || c.Claim != nil ||
		c.Words+c.Photos == 0 || c.Discarded {
		t.Errorf("%s/%s: status %s, revision %d, pending %v, claim %v, %d words, %d images, discarded %v, failure %q; want one that is completed once",
			uid, c.ID, c.Status, c.Revision, c.Pending, c.Claim, c.Words, c.Photos, c.Discarded, c.Failure)
	}
}

// webhooks are those that came for people who edit, or for the others.
func (s *system) webhooks(edited bool) []stack.Received {
	return slices.DeleteFunc(s.Webhooks.All(), func(r stack.Received) bool { return s.edits(r.Query.Get("uid")) != edited })
}

// byNumber orders words as they were said.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// compare wants the words 1 to n, each once, and says what is wrong with each that isn't so.
func compare(t *testing.T, uid string, heard []string, n uint32) {
	t.Helper()
	times := map[string]int{}
	for _, word := range heard {
		times[word]++
	}
	var wrong []string
	want := make([]string, n)
	for i := range n {
		want[i] = testspeech.Text(i + 1)
		if times[want[i]] != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d times", want[i], times[want[i]]))
		}
		delete(times, want[i])
	}
	for _, word := range slices.Sorted(maps.Keys(times)) {
		wrong = append(wrong, word+": never said")
	}
	if len(wrong) > 0 {
		t.Errorf("%s, of %d words: %s", uid, n, strings.Join(wrong, ", "))
		return
	}
	for i := range want {
		if heard[i] != want[i] {
			t.Errorf("%s: by the times of their beginning, conversations are out of order at word %d: %v", uid, i+1, heard[max(0, i-3):min(len(heard), i+6)])
			return
		}
	}
}

// checkWebhooks wants each to be taken, with the same body each time that it came, and no others.
func (s *system) checkWebhooks(t *testing.T, want map[string]bool) {
	t.Helper()
	bodies := map[string][]byte{}
	taken := map[string]bool{}
	for _, r := range s.webhooks(false) {
		if r.Invalid != nil {
			t.Errorf("webhook %s: the signature doesn't hold: %v", r.ID, r.Invalid)
		}
		if body, ok := bodies[r.ID]; ok && !bytes.Equal(body, r.Body) {
			t.Errorf("webhook %s came with two bodies:\n%s\n%s", r.ID, body, r.Body)
		}
		if !want[r.ID] {
			t.Errorf("webhook %s: there is no such conversation", r.ID)
		}
		bodies[r.ID] = r.Body
		taken[r.ID] = taken[r.ID] || !r.Refused
	}
	for id := range want {
		if !taken[id] {
			t.Errorf("webhook %s was never taken", id)
		}
	}
}
