// Package event states what the functions tell each other: the types, their payloads, their topics and their
// ids.
//
// An event says that something was committed. It may come twice, late, or out of order, and it carries ids
// rather than content, so a consumer looks at the store for what is true now; but for TranscriptAppended and AudioAppended,
// which carry what was said, since they are told while it is. Ids are made from what was committed and not from when it was
// told: telling again gives the same id.
package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// The types of events. Each has a topic of its own; see Topic.
const (
	ConversationEnded     = "conversation.ended.v1"
	ConversationFinalized = "conversation.finalized.v1"
	TranscriptAppended    = "transcript.appended.v1"
	AudioAppended         = "audio.appended.v1"
	UsageRecorded         = "usage.recorded.v1"
)

// Types are all types of events.
var Types = []string{ConversationEnded, ConversationFinalized, TranscriptAppended, AudioAppended, UsageRecorded}

// Ordered reports whether events of a type are delivered in the order in which they were published: those of one Order,
// each after the one before it is done with.
func Ordered(eventType string) bool { return eventType == AudioAppended }

// Topic is the name of the Pub/Sub topic of a type: without its version, with hyphens.
func Topic(eventType string) string {
	name := eventType[:strings.LastIndex(eventType, ".v")]
	return strings.ReplaceAll(name, ".", "-")
}

// Event is one message. All but Data travel as attributes.
type Event struct {
	ID          string
	Type        string
	Subject     string // {uid}/{conversation id}
	Time        time.Time
	Traceparent string // W3C trace context of the publisher, if any
	Order       string // what it is ordered with, where its type is Ordered; who takes it doesn't see it
	Data        json.RawMessage
}

// Conversation is the payload of ConversationEnded and ConversationFinalized.
type Conversation struct {
	UID            string `json:"uid"`
	ConversationID string `json:"conversation_id"`
	Revision       int    `json:"revision"`
}

// Usage is the payload of UsageRecorded: totals of the conversation as committed, of some of its hours or all.
type Usage struct {
	UID            string      `json:"uid"`
	ConversationID string      `json:"conversation_id"`
	Hours          usage.Hours `json:"hours"`
}

// Appended is the payload of TranscriptAppended: segments that are new or grew, whole, as clients are shown them. It is
// told for people who have a realtime_transcript webhook, as words come, and isn't told again: nothing marks that it is
// to be, and the sweep doesn't know of it. What a process that dies has not told is in the conversation all the same.
type Appended struct {
	UID            string               `json:"uid"`
	ConversationID string               `json:"conversation_id"`
	Segments       []transcript.Segment `json:"segments"`
}

// Audio is the payload of AudioAppended: a stretch of what a session has heard, in 16 bit samples, little endian, of one
// channel. It is told for people who have an audio_bytes webhook, in order, and isn't kept to be told again.
type Audio struct {
	UID            string `json:"uid"`
	ConversationID string `json:"conversation_id"`
	SampleRate     int    `json:"sample_rate"` // Hz
	PCM            []byte `json:"pcm"`
}

// OfConversation tells that c reached the state that the type, ConversationEnded or ConversationFinalized, names.
func OfConversation(eventType, uid string, c *conversation.Conversation, now time.Time) (Event, error) {
	return newEvent(RevisionID(eventType, c.ID, c.Revision), eventType, uid, c.ID, now, Conversation{uid, c.ID, c.Revision})
}

// RevisionID is the id of the event that OfConversation makes of a revision of a conversation.
func RevisionID(eventType, cid string, revision int) string {
	verb := strings.Split(eventType, ".")[1]
	return fmt.Sprintf("%s:%s:%d", cid, verb, revision)
}

// OfUsage tells what c has used in some of its hours, as of the version of it that was committed.
func OfUsage(uid string, c *conversation.Conversation, hours usage.Hours, now time.Time) (Event, error) {
	id := fmt.Sprintf("%s:usage:%d", c.ID, c.UpdateTime.UnixMicro())
	return newEvent(id, UsageRecorded, uid, c.ID, now, Usage{uid, c.ID, hours})
}

// OfAppended tells of segments that a session had stored with c, as of the version of it that was committed.
func OfAppended(uid, sessionID string, c *conversation.Conversation, segments []transcript.Segment, now time.Time) (Event, error) {
	id := fmt.Sprintf("%s:appended:%s:%d", c.ID, sessionID, c.UpdateTime.UnixMicro())
	return newEvent(id, TranscriptAppended, uid, c.ID, now, Appended{uid, c.ID, segments})
}

// OfAudio tells the nth stretch of what a session of the device has heard, while it wrote to the conversation a names.
func OfAudio(sessionID, device string, n int, a Audio, now time.Time) (Event, error) {
	id := fmt.Sprintf("%s:audio:%s:%d", a.ConversationID, sessionID, n)
	e, err := newEvent(id, AudioAppended, a.UID, a.ConversationID, now, a)
	e.Order = a.UID + "/" + device
	return e, err
}

func newEvent(id, eventType, uid, cid string, now time.Time, payload any) (Event, error) {
	data, err := json.Marshal(payload)
	if err != nil {
		return Event{}, fmt.Errorf("encode %s: %w", eventType, err)
	}
	return Event{ID: id, Type: eventType, Subject: uid + "/" + cid, Time: now, Data: data}, nil
}

// Decode reads the payload of an event. An error means that the event can never be understood.
func Decode[T any](e Event) (T, error) {
	var payload T
	if err := json.Unmarshal(e.Data, &payload); err != nil {
		return payload, fmt.Errorf("decode %s: %w", e.Type, err)
	}
	return payload, nil
}
