package sweeper

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a store with the semantics that matter: it finds what is due as the queries do, and a version has one
// successor.
type memory struct {
	mu    sync.Mutex
	clock time.Time
	all   map[string]conversation.Owned
	asked []int // the limits of the calls of Due
	read  int   // conversations that these gave
	// onCommit stands in for a commit; it may call apply, which makes it.
	onCommit func(c conversation.Conversation, apply func() error) error
	down     error
}

func (m *memory) Due(_ context.Context, expired, unannounced conversation.Span) (late, untold []conversation.Owned, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	late = m.oldest(func(o conversation.Owned) time.Time { return o.ExpiresAt }, expired)
	untold = m.oldest(func(o conversation.Owned) time.Time {
		if o.Pending == nil {
			return time.Time{}
		}
		return o.Pending.Since
	}, unannounced)
	m.asked = append(m.asked, max(expired.Limit, unannounced.Limit))
	m.read += len(late) + len(untold)
	return late, untold, m.down
}

func (m *memory) oldest(at func(conversation.Owned) time.Time, span conversation.Span) []conversation.Owned {
	var found []conversation.Owned
	for _, o := range m.all {
		if t := at(o); !t.IsZero() && !t.Before(span.From) && !t.After(span.Through) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b conversation.Owned) int {
		return cmp.Or(at(a).Compare(at(b)), strings.Compare(a.ID, b.ID))
	})
	return found[:min(span.Limit, len(found))]
}

func (m *memory) Commit(_ context.Context, uid string, c *conversation.Conversation, _ ...transcript.Page) error {
	next := *c
	apply := func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		stored, ok := m.all[c.ID]
		if !ok || stored.UID != uid || !stored.UpdateTime.Equal(c.UpdateTime) {
			return fault.Newf(fault.Conflict, "commit", "somebody wrote in between")
		}
		m.put(uid, &next)
		return nil
	}
	err := m.onCommit(next, apply)
	if err == nil {
		*c = next
	}
	return err
}

func (m *memory) put(uid string, c *conversation.Conversation) {
	m.clock = m.clock.Add(time.Microsecond)
	c.UpdateTime = m.clock
	m.all[c.ID] = conversation.Owned{UID: uid, Conversation: *c}
}

// add stores a live conversation that was begun at the time and has been silent since, after the change.
func (m *memory) add(id string, at time.Time, change func(c *conversation.Conversation)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := conversation.Attachment{SessionID: "s", SilenceTimeout: 2 * time.Minute, At: at}.Begin(id, conversation.Device{})
	if change != nil {
		change(&c)
	}
	m.put("u", &c)
}

func (m *memory) get(id string) conversation.Conversation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[id].Conversation
}

// board keeps the ids of what was published.
type board struct {
	mu   sync.Mutex
	ids  []string
	fail func(e event.Event) error // called by several at once
}

func (b *board) Publish(_ context.Context, e event.Event) error {
	if b.fail != nil {
		if err := b.fail(e); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids = append(b.ids, e.ID)
	return nil
}

// told are the ids of what was published, sorted.
func (b *board) told() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(slices.Sorted(slices.Values(b.ids)), " ")
}

func newSweeper() (*Sweeper, *memory, *board) {
	m := &memory{
		clock: time.Unix(1, 0), all: map[string]conversation.Owned{},
		onCommit: func(_ conversation.Conversation, apply func() error) error { return apply() },
	}
	b := &board{}
	hold := func(ctx context.Context, name string, fn func(context.Context) error) error {
		if name != "sweep" {
			return fmt.Errorf("lock %q", name)
		}
		return fn(ctx)
	}
	return &Sweeper{Store: m, Publisher: b, Hold: hold}, m, b
}
