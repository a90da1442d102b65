package e2e

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// From the first word to the webhook.
func TestWholePath(t *testing.T) {
	s := begin(t, "anna")
	sp := connect(t, s, "anna", nil)
	sp.say(1, 12)
	sp.sees(1, 12)
	sp.pause(500 * time.Millisecond)
	sp.stop()
	c := finished(t, s, text(1, 12))
	onlyOne(t, s, "anna", c.ID)
	used := counted(t, s, "anna", 12)
	spoken := int64(12 * 240)
	if used.SpeechMS < spoken*8/10 || used.SpeechMS > used.AudioMS || used.AudioMS < spoken {
		t.Errorf("used %+v: %d ms of words were said", used, spoken)
	}
	if got := delivered(t, s); len(got) != 1 || got[0].Query.Get("uid") != "anna" {
		t.Errorf("%d webhooks were taken, the first with query %v; want one, with the uid", len(got), got[0].Query)
	}
}

// The socket is cut in mid sentence, and the device comes back: one conversation, no word missing that was sent.
func TestCutAndResume(t *testing.T) {
	s := begin(t, "ben")
	first := connect(t, s, "ben", nil)
	first.say(1, 6)
	first.until("the first conversation", func() bool { return len(first.conversations) > 0 })
	first.client.Cut()
	<-first.done
	second := connect(t, s, "ben", nil)
	second.say(7, 12)
	second.pause(500 * time.Millisecond)
	second.until("the conversation", func() bool { return len(second.conversations) > 0 })
	second.stop()
	c := finished(t, s, text(1, 12))
	onlyOne(t, s, "ben", c.ID)
	if first.conversations[0] != c.ID || second.conversations[0] != c.ID {
		t.Errorf("conversations %q and %q, want %q both times", first.conversations, second.conversations, c.ID)
	}
	counted(t, s, "ben", 12)
}

// Every message is delivered three times: one finalization, one webhook, the right usage.
func TestEventsRepeat(t *testing.T) {
	s := begin(t, "cleo")
	for _, push := range s.Pushes {
		push.Repeat(2)
	}
	sp := connect(t, s, "cleo", nil)
	sp.say(1, 8)
	sp.sees(1, 8)
	sp.stop()
	c := finished(t, s, text(1, 8))
	for name, push := range s.Pushes {
		if name == "transcript-appended-integrations" || name == "audio-appended-integrations" {
			continue // nobody wants to be told
		}
		settled(t, name+" three times", func(context.Context) (bool, error) {
			acknowledged := 0
			for _, d := range push.Deliveries() {
				if d.Acknowledged() {
					acknowledged++
				}
			}
			return acknowledged > 0 && acknowledged%3 == 0, nil
		})
	}
	onlyOne(t, s, "cleo", c.ID)
	counted(t, s, "cleo", 8)
	if got := delivered(t, s); len(got) != 1 {
		t.Errorf("%d webhooks were taken, want one", len(got))
	}
}

// A receiver that fails gets the webhook again, under the same id.
func TestReceiverFails(t *testing.T) {
	s := begin(t, "dora")
	s.Webhooks.FailNext(2, http.StatusServiceUnavailable)
	sp := connect(t, s, "dora", nil)
	sp.say(1, 4)
	sp.sees(1, 4)
	sp.stop()
	finished(t, s, text(1, 4))
	if got := delivered(t, s); len(got) != 1 || len(s.Webhooks.All()) != 3 {
		t.Errorf("%d attempts, %d taken; want 3 and 1", len(s.Webhooks.All()), len(got))
	}
}

// Redis dies in the middle: everything goes on.
func TestRedisStops(t *testing.T) {
	s := begin(t, "emil")
	sp := connect(t, s, "emil", nil)
	sp.say(1, 4)
	s.Redis.Kill()
	sp.say(5, 8)
	sp.sees(1, 8)
	sp.stop()
	c := finished(t, s, text(1, 8))
	onlyOne(t, s, "emil", c.ID)
	counted(t, s, "emil", 8)
	again := connect(t, s, "emil", nil) // a new session finds its way without Redis too
	again.say(20, 22)
	again.sees(20, 22)
}

// The instance that holds the session dies. What was shown is stored; the sweep ends the conversation, and the rest
// follows.
func TestInstanceDies(t *testing.T) {
	s := begin(t, "fred")
	sp := connect(t, s, "fred", url.Values{"conversation_timeout": {"4"}})
	sp.say(1, 6)
	sp.pause(time.Second)
	sp.sees(1, 6)
	holds(t, s, "fred", sp.conversations[0], 6)
	for _, p := range s.Listen.Processes() {
		p.Kill()
	}
	<-sp.done
	settled(t, "the end", func(ctx context.Context) (bool, error) {
		sweep(t, s)
		all, err := stored(ctx, s, "fred")
		return err == nil && all[sp.conversations[0]]["status"] != "live", err
	})
	c := finished(t, s, text(1, 6))
	onlyOne(t, s, "fred", c.ID)
	counted(t, s, "fred", 6)
}

// SIGTERM in mid sentence: what was said is made final, stored and shown before the close, and the device goes on
// elsewhere.
func TestDrain(t *testing.T) {
	s := begin(t, "gina")
	old := s.Listen.Processes()[0]
	sp := connect(t, s, "gina", nil)
	sp.say(1, 6)
	if _, err := s.Listen.Start(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := old.Terminate(); err != nil {
		t.Errorf("the old process ended with %v", err)
	}
	sp.closedWith(1001)
	sp.sees(1, 6)
	again := connect(t, s, "gina", nil)
	again.say(7, 9)
	again.pause(500 * time.Millisecond)
	again.stop()
	c := finished(t, s, text(1, 9))
	onlyOne(t, s, "gina", c.ID)
}

// A device comes to another instance while nobody speaks, so that the older session has nothing to store from which it would
// see it. It ends all the same.
func TestTakenOverElsewhere(t *testing.T) {
	s := begin(t, "hana")
	if _, err := s.Listen.Start(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	old := connect(t, s, "hana", nil)
	old.say(1, 4)
	old.pause(time.Second)
	old.sees(1, 4)
	holds(t, s, "hana", old.conversations[0], 4)
	again := connect(t, s, "hana", nil) // the processes take turns
	old.closedWith(1001)
	again.say(5, 8)
	again.pause(500 * time.Millisecond)
	again.stop()
	c := finished(t, s, text(1, 8))
	onlyOne(t, s, "hana", c.ID)
}
