package cached

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
)

// A title that the person gave while the conversation was live is in the list at once, and the words that come after it
// cost who looks at the list nothing.
func TestListIsKeptAfterRename(t *testing.T) {
	r := newRig(t)
	list := func() []conversation.Conversation {
		t.Helper()
		all, err := r.reader.Read.List(t.Context(), uid, conversation.Filter{}, conversation.Window{Limit: 10})
		if err != nil || len(all) != 1 {
			t.Fatalf("got %d conversations (%v), want one", len(all), err)
		}
		return all
	}
	r.must(r.attach("s1", at))
	r.must(r.say("anna", 3))
	list()
	renamed, err := r.reader.Conversation(t.Context(), uid, cid) // by another instance than where the session is
	r.must(err)
	renamed.Rename("Mine")
	r.must(r.reader.Commit(t.Context(), uid, &renamed))
	if c := list()[0]; c.Structured == nil || c.Structured.Title != "Mine" {
		t.Errorf("after the rename: got %+v, want the title", c.Structured)
	}
	r.conversation = renamed // as the session has it once its next commit was refused
	loads := r.reader.Read.lists.Stats().Loads
	for n := range 10 {
		r.must(r.say("anna", 4+n))
		list()
	}
	if got := r.reader.Read.lists.Stats().Loads - loads; got != 0 {
		t.Errorf("10 commits of words after a rename: the list was loaded %d times, want none", got)
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// What is finished is kept for an hour, what is not for a minute, and what is changed from outside for 115 s; each
// less up to a tenth.
func TestKeptFor(t *testing.T) {
	r := newRig(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: r.redis.Addr()})
	t.Cleanup(func() { r.must(rdb.Close()) })
	kept := func(kind string, want time.Duration) {
		t.Helper()
		keys, err := rdb.Keys(t.Context(), "cache:"+kind+":*").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: got the keys %s (%v), want one", kind, strings.Join(keys, ", "), err)
		}
		const slow = time.Minute // may have passed since, on a busy machine
		got, err := rdb.PTTL(t.Context(), keys[0]).Result()
		if err != nil || got > want || got < want*9/10-min(slow, want/2) {
			t.Errorf("%s is kept for %s (%v), want %s", kind, got, err, want)
		}
	}
	r.must(r.attach("s1", at))
	r.must(r.say("anna", transcript.PageSize+1))
	read := func() {
		t.Helper()
		_, _, err := r.reader.Read.Conversation(t.Context(), uid, cid)
		r.must(err)
	}
	read()
	kept("conversation", unfinishedTTL)
	kept("pages", time.Hour)
	r.conversation.End(at, conversation.EndSilence, "conversation.ended.v1")
	r.conversation.TakeClaim("t", at, time.Minute)
	r.conversation.Complete(conversation.Structured{Title: "T"}, false, at, "")
	r.must(r.commit())
	read()
	kept("conversation", time.Hour)
	r.must(r.writer.PutProfile(t.Context(), uid, account.Profile{}))
	_, err := r.reader.Read.Profile(t.Context(), uid)
	r.must(err)
	kept("profile", 115*time.Second)
	if most := profileTTL + profileLocalTTL; most > 2*time.Minute {
		t.Errorf("a revoked token may hold for %v, want 2 min at most", most)
	}
}

// What an app opens with, lists and their lengths, is kept for 10 minutes, and for one what there are any number of.
func TestListsKeptFor(t *testing.T) {
	r := newRig(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: r.redis.Addr()})
	t.Cleanup(func() { r.must(rdb.Close()) })
	type filter = conversation.Filter
	type window = conversation.Window
	for name, tt := range map[string]struct {
		filter filter
		window window
		want   time.Duration
	}{
		"list":          {filter{}, window{Limit: 100}, listTTL},
		"kept only":     {filter{Statuses: []conversation.Status{conversation.Completed}, KeptOnly: true}, window{Limit: 50}, listTTL},
		"odd limit":     {filter{}, window{Limit: 51}, briefTTL},
		"offset":        {filter{}, window{Limit: 50, Offset: 50}, briefTTL},
		"after":         {filter{}, window{Limit: 50, After: conversation.Mark{CreatedAt: at, ID: cid}}, briefTTL},
		"source":        {filter{Sources: []string{"omi"}}, window{Limit: 50}, briefTTL},
		"from":          {filter{From: at}, window{Limit: 50}, briefTTL},
		"through":       {filter{Through: at}, window{Limit: 50}, briefTTL},
		"count":         {filter{}, window{}, listTTL},
		"count, source": {filter{Sources: []string{"omi"}}, window{}, briefTTL},
		"count, from":   {filter{From: at}, window{}, briefTTL},
	} {
		r.must(rdb.FlushAll(t.Context()).Err())
		_, err := r.reader.Read.ask(t.Context(), uid, question{tt.filter, tt.window})
		r.must(err)
		keys, err := rdb.Keys(t.Context(), "cache:list:*").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: got the keys %s (%v), want one", name, strings.Join(keys, ", "), err)
		}
		if got := rdb.PTTL(t.Context(), keys[0]).Val(); got > tt.want || got < tt.want/2 {
			t.Errorf("%s is kept for %s, want %s", name, got, tt.want)
		}
	}
}

// What was said in a conversation isn't kept when it is deleted, though it was watched while it became longer.
func TestDeletedIsNotKept(t *testing.T) {
	r := newRig(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: r.redis.Addr()})
	t.Cleanup(func() { r.must(rdb.Close()) })
	kept := func() int {
		t.Helper()
		pages, err := rdb.Keys(t.Context(), "cache:pages:*").Result()
		r.must(err)
		tails, err := rdb.Keys(t.Context(), "cache:conversation:*").Result()
		r.must(err)
		return len(pages) + len(tails)
	}
	r.must(r.attach("s1", at))
	for pages := range 4 {
		r.must(r.say("anna", pages*transcript.PageSize+1))
		_, _, err := r.reader.Read.Conversation(t.Context(), uid, cid)
		r.must(err)
	}
	if got := kept(); got != 3+1 {
		t.Fatalf("got %d keys, want one for each page that became full, and one", got)
	}
	r.must(r.writer.Delete(t.Context(), uid, &r.conversation))
	if got := kept(); got != 0 {
		t.Errorf("%d keys are left, want none", got)
	}
	if got := len(closedKeys(uid, &conversation.Conversation{Pages: 10_000})); got != mostClosed {
		t.Errorf("a conversation without end: got %d keys, want %d", got, mostClosed)
	}
}

// Photos are read as they become more, until as many are there as are shown.
func TestPhotosAreReadAgain(t *testing.T) {
	r := newRig(t)
	r.must(r.attach("s1", at))
	for many := 1; many <= maxPhotos+10; many++ {
		r.conversation.Photos = many
		_, err := r.reader.Read.Photos(t.Context(), uid, &r.conversation)
		r.must(err)
	}
	if got := r.reader.Read.photos.Stats().Loads; got != maxPhotos {
		t.Errorf("%d photos were loaded %d times, as they came, want %d", maxPhotos+10, got, maxPhotos)
	}
}

// What is too much of the photos isn't kept behind those that are shown.
func TestPhotosWithin(t *testing.T) {
	photos := make([]conversation.Photo, 6)
	for n := range photos {
		photos[n].Data = make([]byte, 900_000)
	}
	got := within(photos, maxPhotoBytes)
	if len(got) != 4 {
		t.Errorf("got %d photos, want the 4 that are within %d bytes", len(got), maxPhotoBytes)
	}
	for n, p := range got[len(got):cap(got)] {
		if p.Data != nil {
			t.Errorf("photo %d isn't shown, and is kept", len(got)+n)
		}
	}
}

// However much a write has forgotten, a Redis that says nothing is waited for once.
func TestWriterIsNotHeldUp(t *testing.T) {
	r := newRig(t)
	r.must(r.attach("s1", at))
	r.redis.Pause()
	t.Cleanup(r.redis.Resume)
	for what, write := range map[string]func(s *Store) error{
		"commit": func(s *Store) error {
			r.conversation.Rename("Mine")
			return s.Commit(t.Context(), uid, &r.conversation, transcript.Page{})
		},
		"forget": func(s *Store) error { s.Forget(t.Context(), uid, cid); return nil },
	} {
		began := time.Now()
		r.must(write(map[string]*Store{"commit": r.writer, "forget": r.reader}[what])) // neither has met the silence yet
		if took, most := time.Since(began), 1300*time.Millisecond; took > most+500*time.Millisecond {
			t.Errorf("%s took %v, want %v at most", what, took, most)
		}
	}
}
