package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// The tests of this file are about images that come while something else happens to their conversation.

// picture sends an image.
func (r *rig) picture(id string) { r.pictureOf(id, "Ynll") }

// pictureOf sends an image of these bytes, in base64.
func (r *rig) pictureOf(id, data string) {
	r.frame(false, fmt.Sprintf(`{"type":"image_chunk","id":%q,"index":0,"total":1,"data":%q}`, id, data))
}

// pictured checks how many images each conversation has, which it is to count. One that is deleted counts none.
func (r *rig) pictured(want ...int) {
	r.t.Helper()
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for i, n := range want {
		cid := fmt.Sprint("c", i+1)
		stored, counted := 0, 0
		for key := range r.store.photos {
			if strings.HasPrefix(key, cid+"/") {
				stored++
			}
		}
		if c := r.store.conversations[cid]; c != nil {
			counted = c.Photos
		}
		if stored != n || counted != n {
			r.t.Errorf("%s has %d images and counts %d, want %d", cid, stored, counted, n)
		}
	}
	if got := len(r.store.order); got != len(want) {
		r.t.Errorf("%d conversations, want %d", got, len(want))
	}
}

// stops ends the session.
func (r *rig) stops() {
	r.t.Helper()
	r.session.Stop(Drained)
	r.ended(Drained)
}

// An image whose conversation is ended or deleted elsewhere waits for the next one, with the words that were said before it.
func TestImageOfWhatIsOver(t *testing.T) {
	for name, tt := range map[string]struct {
		over  func(m *memory)
		words []string
	}{
		"ended": {func(m *memory) {
			m.edit("c1", func(c *conversation.Conversation) {
				c.End(time.Now(), conversation.EndRequested, event.ConversationEnded)
			})
		}, []string{"one.", "two."}},
		"deleted": {func(m *memory) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.conversations["c1"] = nil
		}, []string{"two."}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startWith(t, Params{ID: "s1", MaxImages: 1}, 1, nil)
				r.audio(time.Second)
				r.ear.say("one.")
				pass(2 * time.Second)
				tt.over(r.store)
				r.picture("tmp")
				pass(100 * time.Millisecond)
				r.ear.say("two.")
				pass(2 * time.Second)
				r.stops()
				r.pictured(0, 1)
				r.stored(tt.words...)
				if !r.line.told(`{"type":"photo_processing","temp_id":"tmp"`) {
					t.Errorf("told %q", r.line.sent)
				}
			})
		})
	}
}

// An image of which it isn't known whether it was stored is stored once, and what was said with it too, and the end after it.
func TestImageAndLostAnswer(t *testing.T) {
	lost := fault.Newf(fault.Unavailable, "commit", "the answer is lost")
	for name, answer := range map[string]func(apply func() error) error{
		"before it was stored": func(func() error) error { return lost },
		"after":                func(apply func() error) error { return errors.Join(apply(), lost) },
		"and an echo":          func(apply func() error) error { return errors.Join(apply(), apply()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startWith(t, Params{ID: "s1", MaxImages: 2}, 1, nil)
				r.audio(time.Second)
				tries := 0
				r.store.setHook(func(_ conversation.Conversation, apply func() error) error {
					switch tries++; tries {
					case 1: // what comes meanwhile is stored with the second
						pass(100 * time.Millisecond)
					case 2:
						return fault.Wrap("commit", answer(apply))
					}
					return apply()
				})
				r.ear.say("one.")
				pass(10 * time.Millisecond)
				r.ear.say("two.")
				r.picture("tmp")
				r.frame(false, `{"type":"end"}`)
				pass(2 * time.Second)
				r.picture("another")
				pass(2 * time.Second)
				r.stops()
				r.pictured(1, 1)
				r.stored("one. two.", "")
			})
		})
	}
}

// An image that the next session is sent again is stored and counted once, and its client told where it is. Another image
// under the same id is another.
func TestImageAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", MaxImages: 2}, 1, nil)
		pass(time.Second)
		r.picture("tmp")
		pass(time.Second)
		r.picture("tmp")
		r.ear.say("one.")
		pass(2 * time.Second)
		r.stops()
		again := startWith(t, Params{ID: "s2", MaxImages: 3}, 1, r)
		pass(time.Second)
		again.picture("tmp")
		again.picture("another")
		again.pictureOf("tmp", "b3RoZXI=")
		again.ear.say("two.")
		pass(2 * time.Second)
		again.stops()
		again.pictured(3)
		again.stored("one. two.")
		if !again.line.told(`{"type":"photo_processing","temp_id":"tmp"`) || !again.line.told(`"temp_id":"another"`) {
			t.Errorf("told %q", again.line.sent)
		}
	})
}

// As many images are counted as are stored, also of a session that doesn't know that a newer one has taken over.
func TestImagesOfTwoSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := startWith(t, Params{ID: "s1", MaxImages: 2}, 1, nil)
		pass(time.Second)
		old.picture("one")
		pass(time.Second)
		again := startWith(t, Params{ID: "s2", MaxImages: 2}, 1, old)
		pass(time.Second)
		old.picture("two")
		again.picture("three")
		pass(2 * time.Second)
		old.ended(Superseded)
		again.stops()
		again.pictured(3)
	})
}

// An image that can't be stored takes no word with it that was said at its time, nor the end that waits for it.
func TestImageThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		d := &darkroom{r.store, make(chan struct{}), fault.New(fault.Internal, "commit", errors.New("too large"))}
		close(d.opened)
		r.session = New(Params{ID: "s1", UID: "u", Device: "d", SilenceTimeout: 2 * time.Minute, MaxImages: 1}, r.line,
			[]Decoder{&babbler{}}, r.ear, d, r.board)
		go func() { r.reason <- r.session.Run(t.Context()) }()
		r.audio(time.Second)
		r.ear.say("one.")
		r.picture("tmp")
		r.frame(false, `{"type":"end"}`)
		pass(2 * time.Second)
		if c := r.store.get("c1"); c.Status != conversation.Ended || r.line.told("photo_processing") {
			t.Errorf("the conversation is %s; told %q", c.Status, r.line.sent)
		}
		r.stops()
		r.stored("one.")
		r.pictured(0)
	})
}

// A conversation ends behind all images that came before its end.
func TestImagesBeforeAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", MaxImages: 3}, 1, nil)
		pass(time.Second)
		r.store.setHook(func(_ conversation.Conversation, apply func() error) error {
			pass(100 * time.Millisecond)
			return apply()
		})
		for i := range 3 {
			r.picture(fmt.Sprint(i))
		}
		r.frame(false, `{"type":"end"}`)
		pass(2 * time.Second)
		if c := r.store.get("c1"); c.Status != conversation.Ended {
			t.Errorf("the conversation is %s", c.Status)
		}
		r.stops()
		r.pictured(3)
	})
}

// The client is told that a conversation of images is being finished, too.
func TestImagesAloneAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", MaxImages: 1}, 1, nil)
		pass(time.Second)
		r.picture("tmp")
		r.frame(false, `{"type":"end"}`)
		pass(2 * time.Second)
		if !r.line.told("memory_processing_started") {
			t.Errorf("told %q", r.line.sent)
		}
		r.stops()
	})
}

// An image that comes after an end isn't of the conversation that ends, though that still waits for its words.
func TestImageAfterAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", Numbered: true, MaxImages: 2}, 1, nil)
		pass(time.Second)
		r.numbered(100)
		r.ear.mute = true
		r.picture("before")
		r.frame(false, `{"type":"end"}`)
		r.picture("after")
		pass(time.Second)
		r.ear.mute = false
		r.ear.say("word.")
		pass(endingLimit)
		r.stops()
		r.pictured(1, 1)
		r.stored("word.", "")
	})
}

// A silence that isn't over leaves the images that it waited for to the end behind it.
func TestImagesOfASilence(t *testing.T) {
	s := newScribe(Params{ID: "s1"}, newMemory(), &board{}, &ledger{}, func([]byte) {}, func(*Reason) {})
	s.draft.begin(conversation.Conversation{ID: "c1", StartedAt: time.Now()}, transcript.Page{})
	s.photos = make([]photo, 1)
	s.end(conversation.EndSilence, boundary{at: time.Now()})
	s.photos = make([]photo, 2)
	s.end(conversation.EndRequested, boundary{at: time.Now()})
	s.photos = make([]photo, 3)
	s.ended()
	for range 2 {
		if s.photo() == nil {
			t.Fatal("the end doesn't wait for an image that came before it")
		}
		s.shed()
	}
	if s.photo() != nil {
		t.Error("the conversation gets an image that came after its end")
	}
}
