package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"earshot.dev/shared/conversation"
)

// photographed is a rig with a conversation that has so many photos.
func photographed(t *testing.T, photos int) *rig {
	t.Helper()
	r := newRig(t)
	for n := range photos {
		r.store.photos = append(r.store.photos, conversation.Photo{ID: fmt.Sprint("p", n), Data: []byte("jpeg"), CreatedAt: start})
	}
	r.begin("anna", "c1", start, func(c *conversation.Conversation) { c.Photos = photos })
	return r
}

// Who has an answer with photos is told so without a look at them, until there is another photo.
func TestPhotosAreTagged(t *testing.T) {
	r := photographed(t, 3)
	const target = "/v1/conversations/c1"
	first := r.call("GET", target, "")
	wantStatus(t, first, http.StatusOK)
	if got := decode[conversation.Wire](t, first).Photos; len(got) != 3 || string(got[2].Base64) != "jpeg" {
		t.Fatalf("got %d photos, want 3", len(got))
	}
	tag, looked := first.Header.Get("ETag"), r.store.looked
	again := r.call("GET", target, "", "If-None-Match", tag)
	if wantStatus(t, again, http.StatusNotModified); r.store.looked != looked || again.Header.Get("ETag") != tag {
		t.Errorf("photos were looked at %d times for who has them, want none", r.store.looked-looked)
	}
	c := r.stored("anna", "c1")
	c.Photos = 2
	r.store.put("anna", &c)
	wantStatus(t, r.call("GET", target, "", "If-None-Match", tag), http.StatusOK)
	for _, request := range []string{"POST " + target + "/finalize", "GET " + target} {
		method, target, _ := strings.Cut(request, " ")
		response := r.call(method, target, "")
		if wantStatus(t, response, http.StatusOK); method == "POST" {
			if got := decode[finalized](t, response).Conversation.Photos; len(got) != 2 {
				t.Errorf("%s: got %d photos, want 2", request, len(got))
			}
		}
	}
}

// However many ask for photos at once, few answers with them are under way, and who gives up waiting leaves; all others
// get theirs.
func TestPhotosAreBounded(t *testing.T) {
	r := photographed(t, maxPhotos)
	synctest.Test(t, func(t *testing.T) {
		const atOnce = photoBytes / (maxPhotos * bytesAPhoto)
		gate := make(chan struct{})
		var mu sync.Mutex
		holding := 0
		r.store.onPhotos = func() {
			mu.Lock()
			holding++
			mu.Unlock()
			<-gate
		}
		get := func(ctx context.Context) int {
			request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/conversations/c1", nil)
			request.Header.Set("Authorization", "Bearer anna")
			w := httptest.NewRecorder()
			r.ServeHTTP(w, request)
			return w.Code
		}
		var all sync.WaitGroup
		for range 80 {
			all.Go(func() {
				if got := get(t.Context()); got != http.StatusOK {
					t.Errorf("got status %d, want 200", got)
				}
			})
		}
		synctest.Wait()
		impatient, leave := context.WithCancel(t.Context())
		all.Go(func() {
			if got := get(impatient); got != http.StatusServiceUnavailable {
				t.Errorf("who left: got status %d, want 503", got)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		mu.Lock()
		if holding != atOnce {
			t.Errorf("of 80 answers %d are under way, want %d", holding, atOnce)
		}
		mu.Unlock()
		close(gate)
		all.Wait()
		if holding != 80 {
			t.Errorf("got %d answers with photos, want 80", holding)
		}
	})
}
