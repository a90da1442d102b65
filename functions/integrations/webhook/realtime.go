package webhook

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
)

// freshFor is how long words are worth telling while they are said. A receiver that is away for longer misses some, and
// finds them in memory_created; they don't end among the dead letters, in which there is no speech.
const freshFor = 3 * time.Minute

// TranscriptAppended handles transcript.appended: it posts the segments to the realtime_transcript webhook. What becomes
// of it isn't recorded, since that would be a write for each second of speech: a receiver that is told twice knows it by
// the webhook-id, which is the event's. It returns nil when the receiver has taken them or has refused them for good,
// when they are old, or when there is nobody to be told; fault.Unavailable when it is to be tried again; fault.Invalid
// for an event that can't be understood.
func (s *Sender) TranscriptAppended(ctx context.Context, e event.Event) error {
	const op = "deliver realtime_transcript"
	told, err := event.Decode[event.Appended](e)
	if err != nil {
		return fault.New(fault.Invalid, op, err)
	}
	if err := named(e.ID, told.UID, told.ConversationID); err != nil {
		return fault.Wrap(op, err)
	}
	if time.Since(e.Time) > freshFor {
		logging.From(ctx).LogAttrs(ctx, slog.LevelInfo, webhookSkipped, slog.String("reason", "old"))
		return nil
	}
	hook, err := s.Settings(ctx, told.UID, account.RealtimeTranscript)
	if err != nil || !wanted(hook) {
		return fault.Wrap(op, orNobody(err))
	}
	body, err := json.Marshal(realtime{told.Segments, told.UID})
	if err != nil {
		return fault.New(fault.Internal, op, err)
	}
	began := time.Now()
	id := string(account.RealtimeTranscript) + ":" + e.ID
	status, refused := s.post(ctx, request{hook, told.UID, id, body})
	signal(ctx, account.RealtimeTranscript, refused, time.Since(began))
	if refused == nil || fault.Is(refused, fault.Unavailable) {
		return fault.Wrap(op, refused)
	}
	logging.Error(ctx, webhookFailed, fault.Escalate(fault.Medium, refused),
		slog.String("delivery_id", id), slog.Int("status", status), slog.Int("bytes", len(body)))
	return nil
}

// realtime is the body. Omi's receivers take the user for the session.
type realtime struct {
	Segments  []transcript.Segment `json:"segments"`
	SessionID string               `json:"session_id"`
}
