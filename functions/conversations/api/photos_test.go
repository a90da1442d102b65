package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// Another photo beyond those that are shown changes no answer.
func TestPhotosBeyondThoseShown(t *testing.T) {
	r := photographed(t, maxPhotos)
	tag := r.call("GET", "/v1/conversations/c1", "").Header.Get("ETag")
	c := r.stored("anna", "c1")
	c.Photos++
	r.store.put("anna", &c)
	wantStatus(t, r.call("GET", "/v1/conversations/c1", "", "If-None-Match", tag), http.StatusNotModified)
}

// atOnce is how many answers with as many photos as are shown are made at once.
const atOnce = photoBytes / (maxPhotos * bytesAPhoto)

// look asks for the conversation c1 and gives the status of the answer.
func (r *rig) look(ctx context.Context) int {
	w := httptest.NewRecorder()
	r.answer(ctx, w)
	return w.Code
}

func (r *rig) answer(ctx context.Context, w http.ResponseWriter) {
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/conversations/c1", nil)
	request.Header.Set("Authorization", "Bearer anna")
	r.ServeHTTP(w, request)
}

// However many ask for photos at once, few answers with them are under way, and who gives up waiting leaves; all others
// get theirs.
func TestPhotosAreBounded(t *testing.T) {
	r := photographed(t, maxPhotos)
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var mu sync.Mutex
		holding := 0
		r.store.onPhotos = func() {
			mu.Lock()
			holding++
			mu.Unlock()
			<-gate
		}
		var all sync.WaitGroup
		for range 80 {
			all.Go(func() {
				if got := r.look(t.Context()); got != http.StatusOK {
					t.Errorf("got status %d, want 200", got)
				}
			})
		}
		synctest.Wait()
		impatient, leave := context.WithCancel(t.Context())
		all.Go(func() {
			if got := r.look(impatient); got != http.StatusServiceUnavailable {
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

// Who leaves while photos are loaded makes no room for others, since the load goes on.
func TestPhotosOfWhoLeft(t *testing.T) {
	r := photographed(t, maxPhotos)
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r.store.onPhotos = func() { <-gate }
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() { r.look(ctx) })
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		if r.photos.TryAcquire(1) {
			t.Errorf("%d loads go on, and there is room for another", atOnce)
		}
		close(gate)
		all.Wait()
		if !r.photos.TryAcquire(photoBytes) {
			t.Error("the loads have ended, and some of their room is still taken")
		}
	})
}

// reluctant takes nothing of an answer until its gate is open.
type reluctant struct {
	*httptest.ResponseRecorder
	gate chan struct{}
}

func (r reluctant) Write(p []byte) (int, error) {
	<-r.gate
	return r.ResponseRecorder.Write(p)
}

// Those who are slow to read hold what they are sent, and others get theirs meanwhile.
func TestPhotosOfSlowReaders(t *testing.T) {
	r := photographed(t, maxPhotos)
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() { r.answer(t.Context(), reluctant{httptest.NewRecorder(), gate}) })
		}
		synctest.Wait()
		patient, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got := r.look(patient); got != http.StatusOK {
			t.Errorf("with %d slow readers: got status %d, want 200", atOnce, got)
		}
		if r.photos.TryAcquire(photoBytes) {
			t.Error("what is being sent takes no room")
			r.photos.Release(photoBytes)
		}
		close(gate)
		all.Wait()
		if !r.photos.TryAcquire(photoBytes) {
			t.Error("all was sent, and some of its room is still taken")
		}
	})
}

// narrow is a listener on connections that take little of what isn't read.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// A client that doesn't read holds its share until the limit, and no longer; those that read get all.
func TestPhotosOfASlowReader(t *testing.T) {
	r := photographed(t, 4)
	for n := range r.store.photos {
		r.store.photos[n].Data = bytes.Repeat([]byte("jpeg"), 1<<18)
	}
	r.sendLimit = 300 * time.Millisecond
	server := httptest.NewUnstartedServer(r.API)
	server.Listener = narrow{server.Listener}
	server.Start()
	defer server.Close()
	var dialer net.Dialer
	slow, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err == nil {
		t.Cleanup(func() { _ = slow.Close() }) // the server may have closed it
		err = slow.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	if err == nil {
		_, err = io.WriteString(slow, "GET /v1/conversations/c1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer anna\r\n\r\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the photos are on their way", func() bool {
		free := r.photos.TryAcquire(photoBytes)
		if free {
			r.photos.Release(photoBytes)
		}
		return !free
	})
	until(t, "the share is given back", func() bool { return r.photos.TryAcquire(photoBytes) })
	r.photos.Release(photoBytes)

	quick := httptest.NewServer(r.API)
	defer quick.Close()
	r.sendLimit = time.Minute
	for range 2 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, quick.URL+"/v1/conversations/c1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer anna")
		answer, err := quick.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var got conversation.Wire
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || len(got.Photos) != 4 {
			t.Errorf("got %d photos, %v; want 4", len(got.Photos), err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-time.After(time.Millisecond):
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
