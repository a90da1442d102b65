package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"earshot.dev/shared/conversation"
)

func TestDue(t *testing.T) {
	s, _ := open(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	make := func(uid string, change func(*conversation.Conversation)) string {
		a := attachment("s", now.Add(-time.Hour))
		a.Device = uuid.NewString()
		c, _, err := s.Attach(t.Context(), uid, a)
		if err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := s.Commit(t.Context(), uid, &c); err != nil {
			t.Fatal(err)
		}
		return uid + "/" + c.ID
	}
	var want []string
	want = append(want, make("u1", func(c *conversation.Conversation) {})) // abandoned
	make("u1", func(c *conversation.Conversation) { c.Heard(now) })        // live
	want = append(want, make("u2", func(c *conversation.Conversation) {    // committed and not announced
		c.End(now.Add(-time.Minute), conversation.EndSilence, "ended")
	}))
	make("u2", func(c *conversation.Conversation) { // being announced right now
		c.End(now, conversation.EndSilence, "ended")
	})
	make("u2", func(c *conversation.Conversation) { // all done
		c.End(now, conversation.EndSilence, "ended")
		c.TakeClaim("t", now, time.Minute)
		c.Complete(conversation.Structured{}, false, now, "")
	})
	ids := func(list []conversation.Owned) (ids []string) {
		for _, o := range list {
			ids = append(ids, o.UID+"/"+o.ID)
		}
		return ids
	}
	span := func(from, through time.Time) conversation.Span {
		return conversation.Span{From: from, Through: through, Limit: 100}
	}
	late, untold, err := s.Due(t.Context(), span(time.Time{}, now), span(time.Time{}, now.Add(-30*time.Second)))
	if err != nil || !slices.Equal(ids(late), want[:1]) || !slices.Equal(ids(untold), want[1:]) {
		t.Errorf("got %q and %q, %v, want one of %q each", ids(late), ids(untold), err, want)
	}
	broken := s.conversation("u3", "broken")
	for _, field := range []string{"expires_at", "since"} {
		doc := map[string]any{"words": "many", "expires_at": now.Add(-time.Hour)}
		if field == "since" {
			doc = map[string]any{"words": "many", "pending": map[string]any{"since": now.Add(-time.Hour)}}
		}
		if _, err := broken.Set(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		l, u, err := s.Due(t.Context(), span(time.Time{}, now.Add(-time.Minute)), span(time.Time{}, now.Add(-time.Minute)))
		all := slices.DeleteFunc(append(l, u...), func(o conversation.Owned) bool { return o.Unreadable == nil })
		if err != nil || len(all) != 1 || all[0].ID != "broken" || all[0].UID != "u3" {
			t.Errorf("one that can't be decoded, by %s: got %+v, %v, want it in its place", field, all, err)
		} else if untold := all[0].Pending != nil; untold != (field == "since") || all[0].ExpiresAt.IsZero() != untold {
			t.Errorf("by %s: expires %v, pending %+v; want nothing but what it was found by", field, all[0].ExpiresAt, all[0].Pending)
		}
	}
	if _, err := broken.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	at, since := late[0].ExpiresAt, untold[0].Pending.Since
	if again, told, err := s.Due(t.Context(), span(at, now), span(since, now)); err != nil || len(again) != 1 || len(told) != 2 {
		t.Errorf("from the last ones on: got %q and %q, %v, want them and what is between", ids(again), ids(told), err)
	}
	after, told, err := s.Due(t.Context(), span(at.Add(time.Microsecond), now), span(since.Add(time.Microsecond), now.Add(-30*time.Second)))
	if err != nil || len(after)+len(told) > 0 {
		t.Errorf("after the last ones: got %q and %q, %v, want none", ids(after), ids(told), err)
	}
}
