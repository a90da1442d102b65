package client

import (
	"encoding/json"
	"fmt"

	"earshot.dev/shared/transcript"
)

// The types of messages that clients act upon.
const (
	Segments             = "segments" // our name for the bare array
	Interim              = "interim"
	SegmentsDeleted      = "segments_deleted"
	ServiceStatus        = "service_status"
	ConversationSession  = "conversation_session"
	ProcessingStarted    = "memory_processing_started"
	ConversationFinished = "memory_created"
	AudioAck             = "audio_ack"
	AudioGap             = "audio_gap"
	Backpressure         = "backpressure"
	PhotoProcessing      = "photo_processing"
)

// Message is what a server sends, except pings. Which fields are set is said by the type
// (functions/listen/wire/README.md).
type Message struct {
	Type           string               `json:"type"`
	Segments       []transcript.Segment `json:"-"`
	SegmentIDs     []string             `json:"segment_ids"`
	Status         string               `json:"status"`
	ConversationID string               `json:"conversation_id"`
	Text           string               `json:"text"`
	Start          float64              `json:"start"` // seconds
	End            float64              `json:"end"`   // seconds
	Memory         json.RawMessage      `json:"memory"`
	Sequence       uint32               `json:"sequence"`
	From           uint32               `json:"from"`
	Through        uint32               `json:"through"`
	State          string               `json:"state"`
	PhotoID        string               `json:"photo_id"` // under which an image is stored
}

func parse(data []byte) (Message, error) {
	var m Message
	var err error
	if len(data) > 0 && data[0] == '[' {
		m.Type = Segments
		err = json.Unmarshal(data, &m.Segments)
	} else {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return Message{}, fmt.Errorf("understand a message of %d bytes: %w", len(data), err)
	}
	return m, nil
}
