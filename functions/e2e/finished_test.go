package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/usage"
)

// finished waits for the webhook of the only conversation and gives it as the receiver got it.
func finished(t *testing.T, s *stack.Stack, words string) conversation.Wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	last := words[strings.LastIndex(words, " ")+1:]
	got, err := s.Webhooks.Wait(ctx, last)
	if err != nil {
		t.Fatal(err)
	}
	var c conversation.Wire
	if err := json.Unmarshal(got.Body, &c); err != nil {
		t.Fatal(err)
	}
	var heard []string
	for _, segment := range c.Segments {
		heard = append(heard, segment.Text)
	}
	if text := strings.Join(heard, " "); text != words {
		t.Errorf("the webhook's words: got %q, want %q", text, words)
	}
	if c.Status != "completed" || c.Structured.Title == "" || c.Discarded {
		t.Errorf("the conversation: status %s, title %q, discarded %v", c.Status, c.Structured.Title, c.Discarded)
	}
	return c
}

// settled waits until a stored condition holds.
func settled(t *testing.T, what string, holds func(ctx context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := holds(ctx)
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v (%v)", what, patience, err)
		}
	}
}

// holds waits until so many words are stored with a conversation.
func holds(t *testing.T, s *stack.Stack, uid, cid string, words int64) {
	t.Helper()
	settled(t, "the words stored", func(ctx context.Context) (bool, error) {
		all, err := stored(ctx, s, uid)
		return err == nil && all[cid]["words"] == words, err
	})
}

// stored reads all conversations of a user as they are stored, by id.
func stored(ctx context.Context, s *stack.Stack, uid string) (map[string]map[string]any, error) {
	snapshots, err := s.Firestore.Collection("users/" + uid + "/conversations").Documents(ctx).GetAll()
	all := map[string]map[string]any{}
	for _, snapshot := range snapshots {
		all[snapshot.Ref.ID] = snapshot.Data()
	}
	return all, err
}

// onlyOne checks that the user has one conversation and that it was finalized once.
func onlyOne(t *testing.T, s *stack.Stack, uid, cid string) {
	t.Helper()
	settled(t, "one conversation, told of", func(ctx context.Context) (bool, error) {
		all, err := stored(ctx, s, uid)
		c := all[cid]
		return err == nil && len(all) == 1 && c["status"] == "completed" && c["pending"] == nil, err
	})
	all, err := stored(t.Context(), s, uid)
	if err != nil {
		t.Fatal(err)
	}
	if c := all[cid]; c["revision"] != int64(1) || c["attempts"] != int64(1) {
		t.Errorf("revision %v, attempts %v; want 1 and 1", c["revision"], c["attempts"])
	}
}

// delivered gives the webhooks that were taken, and checks that all are signed and of one id.
func delivered(t *testing.T, s *stack.Stack) []stack.Received {
	t.Helper()
	var ids []string
	taken := slices.DeleteFunc(s.Webhooks.All(), func(r stack.Received) bool { return r.Refused })
	for _, r := range s.Webhooks.All() {
		if r.Invalid != nil {
			t.Errorf("a webhook's signature doesn't hold: %v", r.Invalid)
		}
		ids = append(ids, r.ID)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 {
		t.Errorf("webhook ids: got %q, want one", ids)
	}
	return taken
}

// counted waits until hour, day and month say that so many words were used, and checks that they agree.
func counted(t *testing.T, s *stack.Stack, uid string, words int64) usage.Totals {
	t.Helper()
	sums := map[byte]usage.Totals{}
	settled(t, "usage", func(ctx context.Context) (bool, error) {
		clear(sums)
		snapshots, err := s.Firestore.Collection("users/" + uid + "/usage").Documents(ctx).GetAll()
		if err != nil {
			return false, err
		}
		for _, snapshot := range snapshots {
			sums[snapshot.Ref.ID[0]] = sums[snapshot.Ref.ID[0]].Add(totals(snapshot))
		}
		return sums['m'].Words >= words, nil
	})
	if sums['h'] != sums['d'] || sums['d'] != sums['m'] || sums['m'].Words != words {
		t.Errorf("used in the hours %+v, days %+v, months %+v; want the same, with %d words", sums['h'], sums['d'], sums['m'], words)
	}
	return sums['m']
}

func totals(snapshot *firestore.DocumentSnapshot) usage.Totals {
	number := func(field string) int64 {
		n, _ := snapshot.Data()[field].(int64)
		return n
	}
	return usage.Totals{AudioMS: number("audio_ms"), SpeechMS: number("speech_ms"), Words: number("words")}
}

// sweep calls the sweep.
func sweep(t *testing.T, s *stack.Stack) {
	t.Helper()
	status, err := s.Sweep(t.Context())
	if err != nil || status >= http.StatusMultipleChoices {
		t.Fatalf("sweep: status %d, %v", status, err)
	}
}
