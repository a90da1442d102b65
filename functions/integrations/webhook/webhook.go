// Package webhook tells the receivers that people have named of what happened to their conversations.
//
// A receiver is told at least once and, as far as it can be known, only once: what became of an attempt is recorded,
// and a delivery that is recorded as done is never attempted again. Where a receiver was told and the record was lost,
// it is told again, under the same webhook-id, by which it can tell (https://www.standardwebhooks.com). Of what is told
// while it is said nothing is recorded: see [Sender.TranscriptAppended] and [Sender.AudioAppended].
package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
)

// Store reads conversations and keeps what became of deliveries. fault.NotFound: there is no such thing.
type Store interface {
	Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, error)
	Segments(ctx context.Context, uid, cid string) ([]transcript.Segment, error)
	Delivery(ctx context.Context, uid, id string) (account.Delivery, error)
	// PutDelivery takes effect only if the stored delivery is still the version that d was read from. fault.Conflict: it
	// isn't, or this is the echo of a write that took effect; fault.Unavailable: nobody knows.
	PutDelivery(ctx context.Context, uid string, d *account.Delivery) error
}

// Settings reads where a type of event goes. fault.NotFound: nowhere.
type Settings func(ctx context.Context, uid string, t account.WebhookType) (account.Webhook, error)

// Hold runs fn while nobody else runs one under the name. fault.Busy: somebody does.
type Hold func(ctx context.Context, name string, fn func(context.Context) error) error

// DefaultClaimTTL is how long a claim on a delivery lasts unless a Sender says otherwise: longer than an attempt and its
// record take.
const DefaultClaimTTL = time.Minute

// Options are what a Sender is made of. All but AllowPrivate and ClaimTTL are needed.
type Options struct {
	Store    Store
	Settings Settings
	Hold     Hold

	// AllowPrivate lets it send to addresses that are not public, such as those of this machine: for the local run.
	AllowPrivate bool

	ClaimTTL time.Duration // 0 is DefaultClaimTTL
}

// Sender sends webhooks. It is safe for concurrent use.
type Sender struct {
	Options
	client *http.Client
}

// New makes a Sender.
func New(o Options) *Sender {
	o.ClaimTTL = cmp.Or(o.ClaimTTL, DefaultClaimTTL)
	return &Sender{o, newClient(o.AllowPrivate)}
}

// Close closes the connections that are kept for the next time.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Names of the events that are logged here.
const (
	webhookDelivered = "webhook_delivered"
	webhookFailed    = "webhook_failed"  // for good
	webhookSkipped   = "webhook_skipped" // there was nothing to tell
)

const (
	keepRecords   = 30 * 24 * time.Hour
	recordTimeout = 10 * time.Second
)

// ConversationFinalized handles conversation.finalized: it posts the conversation to the memory_created webhook. It
// returns nil when the receiver has taken it, or has refused it for good, or when there is nothing to tell or nobody
// to be told; fault.Unavailable when it is to be tried again; fault.Busy when another is at it; fault.Invalid for an
// event that can't be understood.
func (s *Sender) ConversationFinalized(ctx context.Context, e event.Event) error {
	const op = "deliver memory_created"
	told, err := event.Decode[event.Conversation](e)
	if err != nil {
		return fault.New(fault.Invalid, op, err)
	}
	if err := named(e.ID, told.UID, told.ConversationID); err != nil {
		return fault.Wrap(op, err)
	}
	hook, err := s.Settings(ctx, told.UID, account.MemoryCreated)
	if err != nil || !wanted(hook) {
		return fault.Wrap(op, orNobody(err))
	}
	id := account.DeliveryID(account.MemoryCreated, e.ID)
	err = s.Hold(ctx, "delivery:"+id, func(ctx context.Context) error {
		d, err := s.delivery(ctx, told.UID, id)
		if err != nil || d.Done {
			return err
		}
		c, err := s.memory(ctx, told)
		if err != nil {
			return err
		}
		if c == nil {
			return s.forget(ctx, told.UID, d)
		}
		if d, err = s.claim(ctx, told.UID, d, c.Structured.Title); err != nil || d.Done {
			return err
		}
		body, err := s.body(ctx, told, c, d.Title)
		if err != nil {
			return err
		}
		if body == nil {
			return s.forget(ctx, told.UID, d)
		}
		return s.attempt(ctx, told.UID, d, request{hook: hook, uid: told.UID, id: id, body: body})
	})
	return fault.Wrap(op, err)
}

// named refuses an event whose id, user or conversation can't be one.
func named(ids ...string) error {
	for _, id := range ids {
		if id == "" || strings.Contains(id, "/") {
			return fault.Newf(fault.Invalid, "read event", "it names no conversation, or has no id")
		}
	}
	return nil
}

func wanted(hook account.Webhook) bool { return hook.Enabled && hook.URL != "" }

// orNobody makes settings that aren't there no error: there is nobody to be told.
func orNobody(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// memory is the conversation, or nil if there is nothing to tell. That is so if the person has
// deleted it, since what they deleted is not to be handed out; if it is discarded, since it is not shown to them
// either; and if it is not the version that the event is about: it is being finalized again, and an event of its own
// will tell of that.
func (s *Sender) memory(ctx context.Context, told event.Conversation) (*conversation.Conversation, error) {
	c, err := s.Store.Conversation(ctx, told.UID, told.ConversationID)
	reason := ""
	switch {
	case fault.Is(err, fault.NotFound):
		reason = "deleted"
	case err != nil:
		return nil, err
	case c.Status != conversation.Completed || c.Revision != told.Revision:
		reason = "stale"
	case c.Discarded:
		reason = "discarded"
	}
	if reason != "" {
		logging.From(ctx).LogAttrs(ctx, slog.LevelInfo, webhookSkipped, slog.String("reason", reason))
		return nil, nil
	}
	return &c, nil
}

// body is the conversation as receivers read it. All of it but the title stays as it is from its completion on. It is nil
// where there is nothing to tell any more: pages that are missing may have been deleted with the conversation since that
// was read.
func (s *Sender) body(ctx context.Context, told event.Conversation, c *conversation.Conversation, title string) ([]byte, error) {
	segments, err := s.Store.Segments(ctx, told.UID, c.ID)
	if err != nil {
		return nil, err
	}
	if len(segments) < c.Segments {
		if again, err := s.memory(ctx, told); err != nil || again == nil {
			return nil, err
		}
		return nil, fault.Newf(fault.Internal, "read pages", "%d segments are counted and %d are stored", c.Segments, len(segments))
	}
	structured := *c.Structured
	structured.Title = title
	c.Structured = &structured
	body, err := json.Marshal(c.Wire(segments))
	return body, fault.New(fault.Internal, "encode conversation", err)
}

// attempt posts once and records what came of it, whatever becomes of ctx meanwhile: the receiver may have been told.
func (s *Sender) attempt(ctx context.Context, uid string, d account.Delivery, r request) error {
	began := time.Now()
	status, refused := s.post(ctx, r)
	took := time.Since(began)
	signal(ctx, d.Webhook, refused, took)
	later := fault.Is(refused, fault.Unavailable)
	d, err := s.record(ctx, uid, d, func(d *account.Delivery) {
		d.Attempts++
		d.Status = status
		d.Done, d.Failed = !later, refused != nil && !later
		if d.Done {
			d.Title = ""
		}
	})
	if err != nil {
		return err
	}
	attrs := []slog.Attr{
		slog.String("delivery_id", d.ID), slog.Int("attempts", d.Attempts), slog.Int("status", status),
		slog.Int("bytes", len(r.body)), slog.Duration("took", took),
	}
	switch {
	case later:
		return refused
	case refused != nil:
		logging.Error(ctx, webhookFailed, fault.Escalate(fault.Medium, refused), attrs...)
	default:
		logging.From(ctx).LogAttrs(ctx, slog.LevelInfo, webhookDelivered, attrs...)
	}
	return nil
}
