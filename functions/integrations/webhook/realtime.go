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

// freshFor is how long what was said is worth telling while it is. A receiver that is away for longer misses some, and
// finds the words in memory_created; they don't end among the dead letters, in which there is no speech.
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
	body, err := json.Marshal(realtime{told.Segments, told.UID})
	if err != nil {
		return fault.New(fault.Internal, op, err)
	}
	r := request{uid: told.UID, body: body}
	return fault.Wrap(op, s.whileSaid(ctx, e, told.ConversationID, account.RealtimeTranscript, r))
}

// realtime is the body. Omi's receivers take the user for the session.
type realtime struct {
	Segments  []transcript.Segment `json:"segments"`
	SessionID string               `json:"session_id"`
}

// AudioAppended handles audio.appended: it posts the octets to the audio_bytes webhook, and returns what
// TranscriptAppended does. Pub/Sub delivers what comes after them when that is nil (event.Ordered).
func (s *Sender) AudioAppended(ctx context.Context, e event.Event) error {
	const op = "deliver audio_bytes"
	told, err := event.Decode[event.Audio](e)
	if err != nil {
		return fault.New(fault.Invalid, op, err)
	}
	if told.SampleRate <= 0 {
		return fault.Newf(fault.Invalid, op, "it has no sample rate")
	}
	r := request{uid: told.UID, body: told.PCM, kind: "application/octet-stream", rate: told.SampleRate}
	return fault.Wrap(op, s.whileSaid(ctx, e, told.ConversationID, account.AudioBytes, r))
}

// whileSaid posts what was said in a conversation to a type of webhook, unless it is old or nobody wants it.
func (s *Sender) whileSaid(ctx context.Context, e event.Event, cid string, t account.WebhookType, r request) error {
	if err := named(e.ID, r.uid, cid); err != nil {
		return err
	}
	if time.Since(e.Time) > freshFor {
		logging.From(ctx).LogAttrs(ctx, slog.LevelInfo, webhookSkipped, slog.String("reason", "old"))
		return nil
	}
	var err error
	if r.hook, err = s.Settings(ctx, r.uid, t); err != nil || !wanted(r.hook) {
		return orNobody(err)
	}
	if t == account.AudioBytes {
		r.hook.URL, _ = r.hook.Audio()
	}
	began := time.Now()
	r.id = string(t) + ":" + e.ID
	status, refused := s.post(ctx, r)
	signal(ctx, t, refused, time.Since(began))
	if refused == nil || fault.Is(refused, fault.Unavailable) {
		return refused
	}
	logging.Error(ctx, webhookFailed, fault.Escalate(fault.Medium, refused),
		slog.String("delivery_id", r.id), slog.Int("status", status), slog.Int("bytes", len(r.body)))
	return nil
}
