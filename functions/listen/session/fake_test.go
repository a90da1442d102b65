package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// memory is a store with the semantics that matter: a version has one successor, and a commit is whole or not at
// all. Each write moves the update time.
type memory struct {
	mu            sync.Mutex
	clock         time.Time
	conversations map[string]*record
	order         []string // ids as they were created
	devices       map[string]conversation.Device
	photos        map[string]conversation.Photo // by conversation and id
	commits       int
	contended     int
	reads         int
	refusals      int                                                         // of Acknowledge
	onCommit      func(c conversation.Conversation, apply func() error) error // replaces a commit; may apply it
}

type record struct {
	conversation.Conversation
	pages map[int]transcript.Page
}

func newMemory() *memory {
	return &memory{
		clock: time.Unix(1, 0), conversations: map[string]*record{}, devices: map[string]conversation.Device{},
		photos: map[string]conversation.Photo{},
	}
}

func (m *memory) tick() time.Time {
	if m.clock = m.clock.Add(time.Microsecond); m.clock.Before(time.Now()) {
		m.clock = time.Now()
	}
	return m.clock
}

func (m *memory) Attach(_ context.Context, _ string, a conversation.Attachment,
) (conversation.Conversation, transcript.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	device, r := m.slot(&a)
	superseded := a.Superseded(device)
	if superseded && a.Numbered {
		return conversation.Conversation{}, transcript.Page{}, fault.New(fault.Conflict, "attach", conversation.ErrSuperseded)
	}
	if r != nil && r.Resumable(a.At) {
		if superseded {
			a.HandIn(&r.Conversation)
		} else {
			a.Resume(&r.Conversation, device)
		}
	} else {
		if r != nil {
			a.Acked, a.Suggested = a.Acked.Latest(r.Acked), r.Suggested
			if a.Fence(&r.Conversation) {
				r.UpdateTime = m.tick()
			}
		}
		r = &record{a.Begin(fmt.Sprintf("c%d", len(m.conversations)+1), device), map[int]transcript.Page{}}
		if superseded {
			r.Session = conversation.Session{}
			a.HandIn(&r.Conversation)
		}
		m.conversations[r.ID] = r
		m.order = append(m.order, r.ID)
	}
	r.UpdateTime = m.tick()
	if !superseded {
		m.devices[a.Device] = a.Point(device, &r.Conversation)
	}
	return r.Conversation, r.last(), nil
}

// slot is the device, or where several share its name the first that nobody talks into, and the conversation there. It sets
// a.Device to what it found.
func (m *memory) slot(a *conversation.Attachment) (conversation.Device, *record) {
	name := a.Device
	for n := 0; ; n++ {
		a.Device = conversation.Slot(name, n)
		device := m.devices[a.Device]
		r := m.conversations[device.ConversationID]
		split := a.Shared && (n > 0 || device.Split)
		if !split || r == nil || a.Free(&r.Conversation) || n+1 == conversation.MaxSlots {
			return device, r
		}
	}
}

func (m *memory) Acknowledge(_ context.Context, _ string, s conversation.Silence) (time.Time, error) {
	pass(10 * time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.devices[s.Device]
	if d.SessionID != s.SessionID {
		m.refusals++
		return time.Time{}, fault.New(fault.Conflict, "acknowledge", conversation.ErrSuperseded)
	}
	d.AckedSequence, d.AckedAt = s.Acked.Sequence, s.Acked.At
	m.devices[s.Device] = d
	return m.tick(), nil
}

func (m *memory) Newest(context.Context, string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Backward(m.order) {
		if r := m.conversations[id]; r != nil && r.Status == conversation.Completed {
			return id, nil
		}
	}
	return "", nil
}

func (m *memory) Segments(_ context.Context, _, cid string) (segments []transcript.Segment, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range m.conversations[cid].Pages {
		segments = append(segments, m.conversations[cid].pages[n].Segments...)
	}
	return segments, nil
}

func (m *memory) Finished(ctx context.Context, _, cid string) (conversation.Conversation, error) {
	for {
		if c := m.get(cid); c.Status == conversation.Completed || c.Status == conversation.Failed {
			return c, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return conversation.Conversation{}, ctx.Err()
		}
	}
}

func (m *memory) Contend(_ context.Context, _, device string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contended++
	d := m.devices[device]
	d.Contend(at)
	m.devices[device] = d
	return nil
}

func (r *record) last() transcript.Page {
	if r.Pages == 0 {
		return transcript.Page{}
	}
	return r.pages[r.Pages-1]
}

func (m *memory) Commit(_ context.Context, _ string, c *conversation.Conversation, pages ...transcript.Page) error {
	return m.commit(c, pages)
}

func (m *memory) CommitPhoto(_ context.Context, _ string, c *conversation.Conversation, p conversation.Photo, pages ...transcript.Page) error {
	counted := *c
	counted.Photos++
	err := m.commit(&counted, pages, p)
	if err == nil {
		*c = counted
	}
	return err
}

func (m *memory) commit(c *conversation.Conversation, pages []transcript.Page, photos ...conversation.Photo) error {
	m.mu.Lock()
	m.commits++
	hook := m.onCommit
	m.mu.Unlock()
	next := *c
	apply := func() error { return m.apply(&next, pages, photos) }
	if hook == nil {
		hook = func(_ conversation.Conversation, apply func() error) error { return apply() }
	}
	err := hook(next, apply)
	if err == nil {
		*c = next
	}
	return err
}

func (m *memory) apply(c *conversation.Conversation, pages []transcript.Page, photos []conversation.Photo) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.conversations[c.ID]
	if r == nil || !r.UpdateTime.Equal(c.UpdateTime) {
		return fault.Newf(fault.Conflict, "commit", "somebody wrote in between")
	}
	for _, p := range photos {
		key := c.ID + "/" + p.ID
		if _, there := m.photos[key]; there {
			return fault.Newf(fault.Conflict, "commit", "there is a photo %s", key)
		}
		m.photos[key] = p
	}
	r.Conversation = *c
	r.UpdateTime = m.tick()
	for _, p := range pages {
		r.pages[p.Number] = p
	}
	c.UpdateTime = r.UpdateTime
	return nil
}

func (m *memory) Tail(_ context.Context, _, cid string) (conversation.Conversation, transcript.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	r := m.conversations[cid]
	if r == nil {
		return conversation.Conversation{}, transcript.Page{}, fault.Newf(fault.NotFound, "tail", "no %s", cid)
	}
	return r.Conversation, r.last(), nil
}

// edit changes a stored conversation as another process would.
func (m *memory) edit(cid string, change func(*conversation.Conversation)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.conversations[cid]
	change(&r.Conversation)
	r.UpdateTime = m.tick()
}

func (m *memory) setHook(hook func(conversation.Conversation, func() error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onCommit = hook
}

// slow lets each commit that a session makes to a conversation of its own take so long.
func (m *memory) slow(sessionID string, d time.Duration) {
	m.setHook(func(c conversation.Conversation, apply func() error) error {
		if c.Session.ID == sessionID {
			pass(d)
		}
		return apply()
	})
}

func (m *memory) get(cid string) conversation.Conversation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conversations[cid].Conversation
}

// words are the words of each conversation, in order.
func (m *memory) words() [][]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all [][]string
	for _, id := range m.order {
		if m.conversations[id] == nil {
			continue
		}
		var words []string
		for n := range m.conversations[id].Pages {
			for _, s := range m.conversations[id].pages[n].Segments {
				words = append(words, strings.Fields(s.Text)...)
			}
		}
		all = append(all, words)
	}
	return all
}

// board keeps what was published.
type board struct {
	mu     sync.Mutex
	events []event.Event
	err    error
	silent bool // transcript.appended and audio.appended are answered when their context ends
}

func (b *board) Publish(ctx context.Context, e event.Event) error {
	b.mu.Lock()
	silent := b.silent && (e.Type == event.TranscriptAppended || e.Type == event.AudioAppended)
	b.mu.Unlock()
	if silent {
		<-ctx.Done()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.events = append(b.events, e)
	}
	return b.err
}

// fail has what is published from now on refused; where it is silent, what is said isn't even answered.
func (b *board) fail(err error, silent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.silent = err, silent
}

func (b *board) ids(eventType string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for _, e := range b.events {
		if e.Type == eventType {
			ids = append(ids, e.ID)
		}
	}
	return ids
}
