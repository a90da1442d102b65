package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/cached"
)

// Whoever signed in before their tokens were revoked, or isn't known, reads nothing and deletes nothing, whatever was
// kept for them; who signed in after goes on.
func TestRevoked(t *testing.T) {
	w := newWorld(t)
	i := w.instance(t)
	c := i.hold(time.Now(), 1)
	requests := []string{
		"GET /v1/conversations", "GET /v1/conversations/" + c.ID, "GET /v1/users/me/usage", "DELETE /v1/conversations/" + c.ID,
	}
	for _, tt := range []struct {
		why   string
		after time.Time // tokens of whoever signed in before hold no more
		want  int
	}{
		{"signed in at that second", signedIn.Add(time.Second / 2), http.StatusOK},
		{"signed in before", signedIn.Add(time.Second), http.StatusUnauthorized},
	} {
		if err := i.db.PutProfile(t.Context(), "anna", account.Profile{TokensValidAfter: tt.after}); err != nil {
			t.Fatal(err)
		}
		for _, request := range requests {
			method, target, _ := strings.Cut(request, " ")
			if method == http.MethodDelete && tt.want == http.StatusOK {
				continue
			}
			if status, body := i.call(method, target, ""); status != tt.want {
				t.Errorf("%s, %s: got status %d, %s, want %d", tt.why, request, status, body, tt.want)
			}
		}
	}
	if _, err := i.db.Conversation(t.Context(), "anna", c.ID); err != nil {
		t.Errorf("a revoked token deleted the conversation: %v", err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/conversations", nil)
	r.Header.Set("Authorization", "nobody")
	answer := httptest.NewRecorder()
	if i.ServeHTTP(answer, r); answer.Code != http.StatusUnauthorized {
		t.Errorf("somebody without a profile: got status %d, want 401", answer.Code)
	}
}

// Whether a token still holds is a read of the profile, which is then kept for all requests to all instances.
func TestProfileReads(t *testing.T) {
	w := newWorld(t)
	a, b := w.instance(t), w.instance(t)
	if err := a.db.PutProfile(t.Context(), "anna", account.Profile{}); err != nil { // nothing is kept
		t.Fatal(err)
	}
	w.firestore.ResetBill()
	begun := time.Now()
	for range 5 {
		for _, i := range []*instance{a, b} {
			i.want("GET", "/v1/conversations/count", "")
			i.want("GET", "/v1/users/me/subscription", "")
		}
	}
	took := time.Since(begun)
	if got, most := w.profileReads(), 1+int64(took/cached.ProfileEvery); got < 1 || got > most {
		t.Errorf("20 requests in %s: got %d reads of the profile, want one to %d", took, got, most)
	}
}
