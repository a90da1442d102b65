package store

import (
	"testing"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// An image is stored if it is counted, once, and only with the version that the conversation still is.
func TestCommitPhoto(t *testing.T) {
	s, _ := open(t)
	c := attach(t, s, attachment("s1", time.Now()))
	read := c
	put := func(c *conversation.Conversation, id string) error {
		c.MarkFlush("s1")
		return s.CommitPhoto(t.Context(), "u", c, conversation.Photo{ID: id, Data: []byte{1}}, transcript.Page{})
	}
	check := func(when string, want int) {
		t.Helper()
		stored, err := s.Photos(t.Context(), "u", c.ID, 10)
		now, goneErr := s.Conversation(t.Context(), "u", c.ID)
		if err != nil || len(stored) != want || goneErr == nil && (now.Photos != want || !now.UpdateTime.Equal(c.UpdateTime)) {
			t.Errorf("%s: stored %d (%v), counted %d in version %v; want %d in %v", when, len(stored), err, now.Photos, now.UpdateTime, want, c.UpdateTime)
		}
	}
	if err := put(&c, "p1"); err != nil || c.Photos != 1 {
		t.Fatalf("got %v, %d counted", err, c.Photos)
	}
	check("stored", 1)
	if again := c; !fault.Is(put(&again, "p1"), fault.Conflict) || again.Photos != 1 {
		t.Errorf("the same again: counted %d, want a conflict, and 1", again.Photos)
	}
	check("the same again", 1)
	if err := put(&read, "p2"); !fault.Is(err, fault.Conflict) {
		t.Errorf("with an older version: got %v, want a conflict", err)
	}
	check("with an older version", 1)
	late := c
	if err := s.Delete(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	if err := put(&late, "p3"); !fault.Is(err, fault.Conflict) {
		t.Errorf("with what is deleted: got %v, want a conflict", err)
	}
	check("deleted", 0)
}

// An image was once stored before it was counted, and an instance may have died in between.
func TestDeleteTakesUncountedPhotos(t *testing.T) {
	s, _ := open(t)
	c := attach(t, s, attachment("s1", time.Now()))
	for _, id := range []string{"p1", "p2"} {
		if _, err := photos(s.conversation("u", c.ID)).Doc(id).Set(t.Context(), conversation.Photo{ID: id, Data: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Photos(t.Context(), "u", c.ID, 10); err != nil || len(got) != 2 || c.Photos != 0 {
		t.Errorf("got %d, %v, with %d counted; want 2, with none counted", len(got), err, c.Photos)
	}
	if err := s.Delete(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Photos(t.Context(), "u", c.ID, 10); err != nil || len(got) != 0 {
		t.Errorf("%d photos outlived their conversation (%v)", len(got), err)
	}
}
