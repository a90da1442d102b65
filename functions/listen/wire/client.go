package wire

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
)

// ClientMessage is a text frame that asks for something. What is set depends on the type.
type ClientMessage struct {
	Type string `json:"type"`

	Reason conversation.EndReason `json:"reason"` // of finalization_reason and end

	Segments []transcript.Segment `json:"segments"` // of suggested_transcript; times count from the session's start
	Provider string               `json:"stt_provider"`

	SpeakerID  int      `json:"speaker_id"` // of speaker_assigned
	PersonID   string   `json:"person_id"`
	PersonName string   `json:"person_name"`
	SegmentIDs []string `json:"segment_ids"`

	ImageChunk
}

// ImageChunk is a part of an image, which is complete when all are there.
type ImageChunk struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
	Total int    `json:"total"`
	Data  []byte `json:"data"` // base64 on the wire
}

// The types of client messages that are acted upon.
const (
	TypeFinalizationReason  = "finalization_reason"
	TypeEnd                 = "end"
	TypeSuggestedTranscript = "suggested_transcript"
	TypeSpeakerAssigned     = "speaker_assigned"
	TypeImageChunk          = "image_chunk"
)

// endsNow are the reasons of finalization_reason that end the conversation at once; the others are only kept.
var endsNow = map[conversation.EndReason]bool{
	"user_stop": true, "finish_and_continue": true, "meeting_ended": true,
	"meeting_started": false, "max_duration_rotation": false, "crash_recovery": false, "retry": false,
}

// User is the person_id of the person themself.
const User = "user"

// The limits of what a message may hold. What is beyond them is ignored, as all is that makes no sense.
const (
	maxSpeakers = 1000
	maxNameSize = 128 // bytes, of an id or a name
	maxNamed    = 1000
	maxTextSize = 4000 // bytes, of a segment: 128 of them, a page, are stored in a document, which holds 1 MiB
	maxChunks   = 256
)

// ParseClient reads a text frame. It reports false for what is ignored: text that is no JSON, unknown types, and
// values that make no sense.
func ParseClient(data []byte) (ClientMessage, bool) {
	var m ClientMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return ClientMessage{}, false
	}
	switch m.Type {
	case TypeEnd:
		m.Reason = conversation.EndRequested
		return m, true
	case TypeFinalizationReason:
		_, known := endsNow[m.Reason]
		return m, known
	case TypeSuggestedTranscript:
		m.Segments = slices.DeleteFunc(m.Segments, senseless)
		return m, len(m.Segments) > 0 && len(m.Provider) <= maxNameSize
	case TypeSpeakerAssigned:
		m.SegmentIDs = slices.DeleteFunc(m.SegmentIDs, func(id string) bool { return uuid.Validate(id) != nil }) // it is none of ours
		return m, m.SpeakerID >= 0 && m.SpeakerID <= maxSpeakers && m.PersonID != "" &&
			max(len(m.PersonID), len(m.PersonName)) <= maxNameSize && len(m.SegmentIDs) <= maxNamed
	case TypeImageChunk:
		return m, m.ID != "" && len(m.ID) <= maxNameSize && m.Total >= 1 && m.Total <= maxChunks &&
			m.Index >= 0 && m.Index < m.Total
	default:
		return ClientMessage{}, false
	}
}

func senseless(s transcript.Segment) bool {
	return s.Start < 0 || s.End < s.Start || s.Speaker < 0 || s.Speaker > maxSpeakers ||
		max(len(s.ID), len(s.PersonID)) > maxNameSize || len(s.Text) > maxTextSize || strings.TrimSpace(s.Text) == ""
}

// Ends reports whether the message ends the conversation now.
func (m ClientMessage) Ends() bool {
	return m.Type == TypeEnd || m.Type == TypeFinalizationReason && endsNow[m.Reason]
}

// ParseAuth reads the first text frame of a web client, which can't set headers: its token.
func ParseAuth(data []byte) (token string, ok bool) {
	var m struct {
		Type  string `json:"type"`
		Token string `json:"token"`
	}
	err := json.Unmarshal(data, &m)
	return m.Token, err == nil && m.Type == "auth" && m.Token != ""
}
