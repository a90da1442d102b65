package webhook

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/tracing"
	"earshot.dev/shared/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	speech  = "the launch code"
	token   = "in-the-address"
)

// memory is a store of one conversation and its deliveries.
type memory struct {
	c          *conversation.Conversation // nil: deleted
	segments   []transcript.Segment
	deliveries map[string]account.Delivery
	clock      time.Time
	onPut      func(ctx context.Context, d *account.Delivery) error // before it takes effect
	onPages    func()                                               // before pages are read
}

var errMissing = fault.Newf(fault.NotFound, "read", "no such document")

func (m *memory) Conversation(context.Context, string, string) (conversation.Conversation, error) {
	if m.c == nil {
		return conversation.Conversation{}, errMissing
	}
	return *m.c, nil
}

func (m *memory) Segments(context.Context, string, string) ([]transcript.Segment, error) {
	if m.onPages != nil {
		m.onPages()
	}
	return m.segments, nil
}

func (m *memory) Delivery(_ context.Context, _, id string) (account.Delivery, error) {
	d, ok := m.deliveries[id]
	if !ok {
		return d, errMissing
	}
	return d, nil
}

func (m *memory) PutDelivery(ctx context.Context, _ string, d *account.Delivery) error {
	if m.onPut != nil {
		if err := m.onPut(ctx, d); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !m.deliveries[d.ID].UpdateTime.Equal(d.UpdateTime) {
		return fault.Newf(fault.Conflict, "put", "somebody wrote in between")
	}
	m.clock = m.clock.Add(time.Second)
	d.UpdateTime = m.clock
	m.deliveries[d.ID] = *d
	return nil
}

// receiver answers webhooks and keeps what it got.
type receiver struct {
	*httptest.Server
	answer http.HandlerFunc // nil: 200

	mu   sync.Mutex
	got  []*http.Request
	body [][]byte
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.got, r.body = append(r.got, request), append(r.body, body)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, request)
	}
}

// status makes the receiver answer with it.
func (r *receiver) status(code int) {
	r.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// rig is a Sender among fakes, with a receiver and a conversation that was completed.
type rig struct {
	*Sender
	store    *memory
	receiver *receiver
	kind     account.WebhookType // the one that there are settings of
	hook     account.Webhook
	hookErr  error
	log      *bytes.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	c := &conversation.Conversation{
		ID: "c1", Status: conversation.Completed, Revision: 1, Language: "en", CreatedAt: time.Unix(1, 0).UTC(), Segments: 1,
		Structured: &conversation.Structured{Title: "Title", Category: "work", Summarizer: "extractive"},
	}
	r := &rig{
		store: &memory{
			c: c, segments: []transcript.Segment{{ID: "s1", Text: speech}}, deliveries: map[string]account.Delivery{},
		},
		receiver: &receiver{}, log: &bytes.Buffer{}, kind: account.MemoryCreated,
	}
	r.receiver.Server = httptest.NewServer(r.receiver)
	r.hook = account.Webhook{URL: r.receiver.URL + "/hook?key=" + token, Secret: signing, Enabled: true}
	r.Sender = New(Options{
		Store:        r.store,
		AllowPrivate: true,
		Settings: func(_ context.Context, _ string, kind account.WebhookType) (account.Webhook, error) {
			if kind != r.kind {
				t.Errorf("settings of %s", kind)
			}
			return r.hook, r.hookErr
		},
		Hold: func(ctx context.Context, name string, fn func(context.Context) error) error {
			if want := "delivery:memory_created:c1:finalized:1"; name != want {
				t.Errorf("lock: got %q, want %q", name, want)
			}
			return fn(ctx)
		},
	})
	t.Cleanup(func() {
		r.Close()
		r.receiver.Close()
		for _, secret := range []string{speech, token, signing[10:20]} {
			if strings.Contains(r.log.String(), secret) {
				t.Errorf("%q is in the log:\n%s", secret, r.log)
			}
		}
	})
	return r
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// deliver hands the event over, and logs an error as the subscriber does.
func (r *rig) deliver(t *testing.T) error {
	t.Helper()
	ctx := r.context(t)
	err := r.ConversationFinalized(ctx, event.Event{
		ID: "c1:finalized:1", Type: event.ConversationFinalized, Subject: "u 1/c1",
		Data: []byte(`{"uid":"u 1","conversation_id":"c1","revision":1}`),
	})
	logging.Error(ctx, "event_failed", err)
	return err
}

func (r *rig) context(t *testing.T) context.Context {
	return logging.NewContext(tracing.Continue(t.Context(), traceparent), slog.New(slog.NewTextHandler(r.log, nil)))
}

func (r *rig) record() account.Delivery {
	d := r.store.deliveries["memory_created:c1:finalized:1"]
	return account.Delivery{Attempts: d.Attempts, Done: d.Done, Failed: d.Failed, Status: d.Status}
}
