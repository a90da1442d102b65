package finalizer

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/tracing"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

const (
	uid = "u1"
	cid = "c1"
)

// memory is a store of one conversation with the semantics that matter: a version has one successor, and each write
// moves the update time.
type memory struct {
	mu       sync.Mutex
	clock    time.Time
	stored   *conversation.Conversation // nil: deleted
	segments []transcript.Segment
	writes   int
	unread   func() error // what reading pages fails with
	lost     func() error // what reading the conversation fails with
	// onWrite stands in for a write; it may call apply, which makes it. Writes count from 1.
	onWrite func(write int, apply func() error) error
}

func (m *memory) tick() time.Time {
	m.clock = m.clock.Add(time.Microsecond)
	return m.clock
}

func (m *memory) Conversation(ctx context.Context, _, _ string) (conversation.Conversation, error) {
	if m.lost != nil {
		if err := m.lost(); err != nil {
			return conversation.Conversation{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return conversation.Conversation{}, ctx.Err()
	}
	if m.stored == nil {
		return conversation.Conversation{}, fault.Newf(fault.NotFound, "read", "no such conversation")
	}
	return *m.stored, nil
}

func (m *memory) Segments(context.Context, string, string) ([]transcript.Segment, error) {
	if m.unread != nil {
		if err := m.unread(); err != nil {
			return nil, err
		}
	}
	return m.segments, nil
}

func (m *memory) Commit(ctx context.Context, _ string, c *conversation.Conversation, _ ...transcript.Page) error {
	next := *c
	err := m.write(ctx, c.UpdateTime, func() {
		next.UpdateTime = m.tick()
		kept := next
		m.stored = &kept
	})
	if err == nil {
		*c = next
	}
	return err
}

func (m *memory) Delete(ctx context.Context, _ string, c *conversation.Conversation) error {
	return m.write(ctx, c.UpdateTime, func() { m.stored = nil })
}

func (m *memory) write(ctx context.Context, version time.Time, change func()) error {
	m.mu.Lock()
	m.writes++
	write, hook := m.writes, m.onWrite
	m.mu.Unlock()
	apply := func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if m.stored == nil || !m.stored.UpdateTime.Equal(version) {
			return fault.Newf(fault.Conflict, "commit", "somebody wrote in between")
		}
		change()
		return nil
	}
	if hook == nil {
		return apply()
	}
	return hook(write, apply)
}

// edit changes the stored conversation as another process would.
func (m *memory) edit(change func(c *conversation.Conversation)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m.stored)
	m.stored.UpdateTime = m.tick()
}

// board keeps what was published.
type board struct {
	mu     sync.Mutex
	events []event.Event
	fail   func(e event.Event) error
}

func (b *board) Publish(ctx context.Context, e event.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if b.fail != nil {
		if err := b.fail(e); err != nil {
			return err
		}
	}
	e.Traceparent = tracing.Parent(ctx) // as the publisher does
	b.events = append(b.events, e)
	return nil
}

// ids are those of the events of a type, in order.
func (b *board) ids(eventType string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for _, e := range b.events {
		if e.Type == eventType {
			ids = append(ids, e.ID)
		}
	}
	return strings.Join(ids, " ")
}

// summarizer is one under the name, that does as it is told.
type summarizer struct {
	name  string
	title string
	calls int
	do    func(ctx context.Context) (discard bool, err error)
}

func (s *summarizer) Summarize(ctx context.Context, _ []transcript.Segment, _ string, _ time.Time) (
	conversation.Structured, bool, error,
) {
	s.calls++
	if s.do == nil {
		return s.structured(), false, nil
	}
	discard, err := s.do(ctx)
	return s.structured(), discard, err
}

func (s *summarizer) structured() conversation.Structured {
	return conversation.Structured{
		Title: s.title, Summarizer: s.name, ActionItems: []conversation.ActionItem{{Description: "Call"}},
	}
}

// rig is a Finalizer among fakes, with a conversation of two segments that has just ended.
type rig struct {
	*Finalizer
	store    *memory
	board    *board
	main     *summarizer
	fallback *summarizer
	log      *bytes.Buffer
}

const secret = "launch code"

func newRig(t *testing.T) *rig {
	t.Helper()
	now := time.Now()
	c := conversation.Attachment{Device: "d", SessionID: "s", SilenceTimeout: 2 * time.Minute, At: now}.Begin(cid, conversation.Device{})
	c.Words, c.Segments, c.Pages = 5, 2, 1
	c.Usage = usage.Hours{usage.Hour(now): {AudioMS: 4000, SpeechMS: 3000, Words: 5}}
	if !c.End(now, conversation.EndSilence, event.ConversationEnded) {
		t.Fatal("it doesn't end")
	}
	c.UpdateTime = time.Unix(1, 0)
	r := &rig{
		store: &memory{
			clock: c.UpdateTime, stored: &c,
			segments: []transcript.Segment{{ID: "1", Text: "the " + secret}, {ID: "2", Text: "said Ann"}},
		},
		board: &board{}, main: &summarizer{name: "main", title: "Title"},
		fallback: &summarizer{name: "fallback", title: "Title"}, log: &bytes.Buffer{},
	}
	r.Finalizer = &Finalizer{
		Store: r.store, Publisher: r.board, Summarizer: r.main, Fallback: r.fallback,
		Hold: func(ctx context.Context, name string, fn func(context.Context) error) error {
			if want := "conversation:u1:c1"; name != want {
				t.Errorf("lock: got %q, want %q", name, want)
			}
			return fn(ctx)
		},
	}
	t.Cleanup(func() {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("speech is in the log:\n%s", r.log)
		}
	})
	return r
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// deliver hands the event over as the subscriber does.
func (r *rig) deliver(t *testing.T) error {
	t.Helper()
	data, err := json.Marshal(event.Conversation{UID: uid, ConversationID: cid, Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx := logging.NewContext(t.Context(), slog.New(slog.NewTextHandler(r.log, nil)))
	ctx = tracing.Continue(ctx, traceparent)
	return r.Finalize(ctx, event.Event{
		ID: "c1:ended:1", Type: event.ConversationEnded, Subject: "u1/c1", Data: data,
	})
}

// wantCompleted checks that all is done, once, by the summarizer of the name, and that nothing is left to tell.
func (r *rig) wantCompleted(t *testing.T, by string) {
	t.Helper()
	c := r.store.stored
	if c == nil {
		t.Fatal("the conversation is gone")
	}
	if c.Status != conversation.Completed || c.Claim != nil || c.Pending != nil || !c.ExpiresAt.IsZero() {
		t.Errorf("stored: got %s, claim %v, pending %v, expires %v", c.Status, c.Claim, c.Pending, c.ExpiresAt)
	}
	if c.Structured == nil || c.Structured.Summarizer != by {
		t.Errorf("summary: got %+v, want one by %s", c.Structured, by)
	}
	if got := r.board.ids(event.ConversationFinalized); got != "c1:finalized:1" {
		t.Errorf("announced: got %q, want it once", got)
	}
}

func (r *rig) wantLogged(t *testing.T, want string) {
	t.Helper()
	if !strings.Contains(r.log.String(), want) {
		t.Errorf("%q is not in the log:\n%s", want, r.log)
	}
}
