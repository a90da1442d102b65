package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"earshot.dev/shared/conversation"
)

// photograph stores photos of a size with a conversation, in the order of their numbers, but counts only so many.
func (i *instance) photograph(c *conversation.Conversation, photos, size, counted int) {
	i.t.Helper()
	for n := range photos {
		p := conversation.Photo{
			ID: fmt.Sprint("p", photos-n), Data: bytes.Repeat([]byte{byte(n)}, size), // ids are in another order
			CreatedAt: c.CreatedAt.Add(time.Duration(n) * time.Second),
		}
		c.MarkFlush(c.Session.ID)
		if err := i.db.CommitPhoto(i.t.Context(), "anna", c, p); err != nil {
			i.t.Fatal(err)
		}
	}
	c.Photos = counted
	c.MarkFlush(c.Session.ID)
	i.commit(c)
}

// Photos come back as they were sent, the first ones, as many as one answer can hold; who looks again costs nothing.
func TestPhotos(t *testing.T) {
	w := newWorld(t)
	i := w.instance(t)
	for _, tt := range []struct {
		photos, size, want int
		reads              int64
	}{
		{3, 30_000, 3, 3},
		{25, 30_000, 20, 20},
		{6, 900_000, 4, 6}, // 4 MiB hold no more of the largest
	} {
		c := i.begin(fmt.Sprint("device", tt.photos), time.Now())
		i.say(&c, 0, 1)
		i.photograph(&c, tt.photos, tt.size, tt.photos)
		target := "/v1/conversations/" + c.ID
		var answer string
		documents, calls := w.reads(func() { answer = i.want("GET", target, "") })
		if documents != 2+tt.reads || calls != 3 {
			t.Errorf("%d photos: got %d documents in %d calls, want the conversation, its page, and %d photos", tt.photos, documents, calls, tt.reads)
		}
		var got struct{ Photos []map[string]any }
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Photos) != tt.want {
			t.Errorf("%d photos of %d bytes: got %d, want %d", tt.photos, tt.size, len(got.Photos), tt.want)
		}
		for n, p := range got.Photos {
			var image []byte
			if err := json.Unmarshal(fmt.Appendf(nil, "%q", p["base64"]), &image); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(image, bytes.Repeat([]byte{byte(n)}, tt.size)) || p["id"] != fmt.Sprint("p", tt.photos-n) ||
				p["description"] != nil || p["discarded"] != false || p["created_at"] == nil {
				t.Errorf("photo %d: got %v of %d bytes", n, p["id"], len(image))
			}
		}
		if documents, _ := w.reads(func() { i.want("GET", target, "") }); documents != 0 {
			t.Errorf("%d photos, again: got %d documents, want none", tt.photos, documents)
		}
	}
}

// What is deleted is gone with its photos, the one too that is not counted, as one could once be.
func TestPhotosAreDeleted(t *testing.T) {
	w := newWorld(t)
	i := w.instance(t)
	for counted := range 3 {
		c := i.begin(fmt.Sprint("device", counted), time.Now())
		i.photograph(&c, 2, 10, counted)
		i.want("DELETE", "/v1/conversations/"+c.ID, "")
		if left, err := i.db.Photos(t.Context(), "anna", c.ID, 10); err != nil || len(left) != 0 {
			t.Errorf("%d of 2 counted: %d photos are left (%v)", counted, len(left), err)
		}
	}
}

// To delete a conversation costs a read of it, one for each photo, or one to find that there is none, and one of its device
// if its audio was numbered, which keeps how far it was acknowledged.
func TestDeleteReads(t *testing.T) {
	w := newWorld(t)
	i := w.instance(t)
	for _, tt := range []struct {
		photos   int
		numbered bool
		want     int64
	}{{0, false, 1 + 1}, {1, false, 1 + 1}, {25, false, 1 + 25}, {25, true, 1 + 25 + 1}} {
		c := i.begin(fmt.Sprint("device", tt), time.Now())
		if tt.numbered {
			c.Acked = conversation.Acked{Sequence: 7, At: c.CreatedAt}
		}
		i.photograph(&c, tt.photos, 10, tt.photos)
		if got, _ := w.reads(func() { i.want("DELETE", "/v1/conversations/"+c.ID, "") }); got != tt.want {
			t.Errorf("%d photos, numbered %t: got %d documents, want %d", tt.photos, tt.numbered, got, tt.want)
		}
	}
}
