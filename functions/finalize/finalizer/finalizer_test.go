package finalizer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

func TestFinalize(t *testing.T) {
	r := newRig(t)
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	r.wantCompleted(t, "main")
	r.wantLogged(t, "msg=conversation_finalized outcome=completed revision=1 attempts=1 segments=2 words=5")
	item := r.store.stored.Structured.ActionItems[0]
	if item.ConversationID != cid || item.CreatedAt.IsZero() {
		t.Errorf("action item: got %+v, want it to know its conversation and its time", item)
	}
	for _, e := range r.board.events {
		if e.Traceparent != traceparent {
			t.Errorf("%s: traceparent %q, want that of what caused it", e.ID, e.Traceparent)
		}
	}
	told, err := event.Decode[event.Usage](r.board.events[0])
	if err != nil || len(told.Hours) != 1 || told.UID != uid || told.ConversationID != cid {
		t.Errorf("usage: got %+v, %v", told, err)
	}
}

func TestDeliveredThreeTimes(t *testing.T) {
	r := newRig(t)
	for range 3 {
		if err := r.deliver(t); err != nil {
			t.Fatal(err)
		}
	}
	r.wantCompleted(t, "main")
	r.wantLogged(t, "outcome=repeated")
	if r.main.calls != 1 || r.store.stored.Attempts != 1 {
		t.Errorf("summarized %d times in %d attempts, want once", r.main.calls, r.store.stored.Attempts)
	}
}

func TestOutcomesWithoutWork(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(c *conversation.Conversation)
		want  outcome
		fault fault.Kind // where there is no outcome
	}{
		{"live", func(c *conversation.Conversation) { c.Status = conversation.Live }, stale, 0},
		{"failed", func(c *conversation.Conversation) { c.Fail("why", time.Now()) }, repeated, 0},
		{"claimed by another", func(c *conversation.Conversation) {
			c.TakeClaim("other", time.Now(), time.Minute)
		}, "", fault.Busy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.store.edit(tt.edit)
			err := r.deliver(t)
			if tt.want != "" {
				r.wantLogged(t, "outcome="+string(tt.want))
			}
			if (err == nil) != (tt.want != "") || err != nil && fault.KindOf(err) != tt.fault {
				t.Errorf("got %v, want outcome %q or %v", err, tt.want, tt.fault)
			}
			if r.store.writes != 0 || len(r.board.events) != 0 || r.main.calls != 0 {
				t.Errorf("%d writes, %d events, %d summaries; want none", r.store.writes, len(r.board.events), r.main.calls)
			}
		})
	}
}

func TestInvalidEvents(t *testing.T) {
	for _, data := range []string{``, `[]`, `{}`, `{"uid":"u"}`, `{"uid":"a/b","conversation_id":"c"}`} {
		r := newRig(t)
		err := r.Finalize(t.Context(), event.Event{Type: event.ConversationEnded, Data: []byte(data)})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v, want invalid, for the dead letter topic", data, err)
		}
	}
}

func TestDiscardRule(t *testing.T) {
	said := func(words int) []transcript.Segment {
		return []transcript.Segment{{Text: strings.Repeat("word ", words)}}
	}
	for _, tt := range []struct {
		name      string
		words     int
		discard   bool
		broken    bool
		discarded bool
	}{
		{"short and worthless", 5, true, false, true},
		{"short and worth keeping", 5, false, false, false},
		{"100 words", 100, true, false, true},
		{"101 words are kept", 101, true, false, false},
		{"nobody can say", 5, true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.store.segments = said(tt.words)
			r.main.do = func(context.Context) (bool, error) {
				if tt.broken {
					return tt.discard, errors.New("no such model")
				}
				return tt.discard, nil
			}
			r.fallback.do = func(context.Context) (bool, error) { return true, nil }
			if err := r.deliver(t); err != nil {
				t.Fatal(err)
			}
			if got := r.store.stored.Discarded; got != tt.discarded {
				t.Errorf("discarded: got %v, want %v", got, tt.discarded)
			}
			if r.board.ids(event.ConversationFinalized) == "" {
				t.Error("it was not announced")
			}
		})
	}
}

// What nobody said is deleted, and its audio has been counted by then.
func TestNoWords(t *testing.T) {
	for _, tt := range []struct {
		name    string
		onWrite func(write int, apply func() error) error
	}{
		{"deleted", nil},
		{"the answer is lost", func(write int, apply func() error) error {
			if err := apply(); err != nil || write != 2 {
				return err
			}
			return errLost
		}},
		{"somebody touches it", func(write int, apply func() error) error {
			if write == 2 {
				return fault.Newf(fault.Conflict, "delete", "changed")
			}
			return apply()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.store.segments, r.store.stored.Words, r.store.onWrite = nil, 0, tt.onWrite
			if err := r.deliver(t); err != nil {
				t.Fatal(err)
			}
			if r.store.stored != nil {
				t.Errorf("stored: got %+v, want nothing", r.store.stored)
			}
			if r.board.ids(event.UsageRecorded) == "" || r.board.ids(event.ConversationFinalized) != "" {
				t.Errorf("events: got %v, want usage alone", r.board.events)
			}
			r.wantLogged(t, "outcome=deleted")
		})
	}
}

// Photos without words are kept: the client was told that they are stored.
func TestPhotosWithoutWords(t *testing.T) {
	r := newRig(t)
	r.store.segments, r.store.stored.Words, r.store.stored.Photos = nil, 0, 2
	r.fallback.do = func(context.Context) (bool, error) { return true, nil }
	r.fallback.title = ""
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	r.wantCompleted(t, "fallback")
	if c := r.store.stored; c != nil && (c.Discarded || c.Structured.Title != photosTitle) {
		t.Errorf("got %q, discarded %v, want %q, kept", c.Structured.Title, c.Discarded, photosTitle)
	}
	if r.main.calls != 0 {
		t.Error("a summary was asked for of nothing")
	}
}

// Words that are counted and can't be read are no reason to delete a conversation.
func TestMissingPages(t *testing.T) {
	r := newRig(t)
	r.store.segments = nil
	if err := r.deliver(t); !fault.Is(err, fault.Internal) {
		t.Errorf("got %v, want an internal fault", err)
	}
	if r.store.stored == nil {
		t.Error("the conversation was deleted")
	}
}

func TestFailsInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.store.unread = func() error { return fault.Newf(fault.Internal, "decode", "page 0 can't be read") }
		for range conversation.MaxAttempts {
			if err := r.deliver(t); !fault.Is(err, fault.Internal) {
				t.Fatalf("got %v, want the fault of the page", err)
			}
		}
		r.board.events = nil
		if err := r.deliver(t); err != nil {
			t.Fatalf("got %v; a conversation that has failed is done with", err)
		}
		c := r.store.stored
		if c.Status != conversation.Failed || c.Failure != failureReason || c.Claim != nil {
			t.Errorf("stored: got %s %q, claim %v", c.Status, c.Failure, c.Claim)
		}
		if r.board.ids(event.UsageRecorded) == "" {
			t.Error("its usage was not told")
		}
		r.wantLogged(t, "level=ERROR msg=conversation_failed")
	})
}
