package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
)

// Ping is the text frame that keeps the way open.
var Ping = []byte("ping")

// The values of Status, in the order in which a session comes by them; STTFailed comes before a close.
const (
	Initiating    = "initiating"
	Processing    = "in_progress_conversations_processing"
	STTInitiating = "stt_initiating"
	Ready         = "ready"
	STTFailed     = "stt_failed"
)

// Status tells how far the session has come.
func Status(status string) []byte {
	return encode(struct {
		Type   string  `json:"type"`
		Status string  `json:"status"`
		Text   *string `json:"status_text"`
	}{"service_status", status, nil})
}

// ConversationSession tells which conversation the words go to; status is conversation.WireStatus.
func ConversationSession(conversationID, status string) []byte {
	return encode(struct {
		Type           string `json:"type"`
		ConversationID string `json:"conversation_id"`
		Status         string `json:"status"`
	}{"conversation_session", conversationID, status})
}

// Segments tells segments that are new or grew: a bare array.
func Segments(segments []transcript.Segment) []byte { return encode(segments) }

// SegmentsDeleted tells of segments that another one absorbed.
func SegmentsDeleted(ids []string) []byte {
	return encode(struct {
		Type       string   `json:"type"`
		SegmentIDs []string `json:"segment_ids"`
	}{"segments_deleted", ids})
}

// Interim tells words that may still change; start and end count from the conversation's start.
func Interim(text string, start, end time.Duration, speaker int) []byte {
	return encode(struct {
		Type      string  `json:"type"`
		Text      string  `json:"text"`
		Start     float64 `json:"start"`
		End       float64 `json:"end"`
		SpeakerID int     `json:"speaker_id"`
	}{"interim", text, seconds(start), seconds(end), speaker})
}

// LastMemory tells the newest completed conversation.
func LastMemory(conversationID string) []byte {
	return encode(struct {
		Type     string `json:"type"`
		MemoryID string `json:"memory_id"`
	}{"last_memory", conversationID})
}

// MemoryProcessing tells that a conversation has ended and is being finished.
func MemoryProcessing(c conversation.Wire) []byte { return memory("memory_processing_started", c) }

// MemoryCreated tells that a conversation is finished.
func MemoryCreated(c conversation.Wire) []byte { return memory("memory_created", c) }

func memory(kind string, c conversation.Wire) []byte {
	return encode(struct {
		Type     string            `json:"type"`
		Memory   conversation.Wire `json:"memory"`
		Messages []struct{}        `json:"messages"`
	}{kind, c, []struct{}{}})
}

// FreemiumThreshold tells that little is left of what the plan has recognised for nothing.
func FreemiumThreshold(remaining time.Duration) []byte {
	return encode(struct {
		Type      string `json:"type"`
		Remaining int64  `json:"remaining_seconds"`
		Action    string `json:"action"`
	}{"freemium_threshold_reached", int64(remaining / time.Second), "setup_on_device_stt"})
}

// PhotoProcessing tells that an image is stored, under an id of its own.
func PhotoProcessing(tempID, photoID string) []byte {
	return encode(struct {
		Type    string `json:"type"`
		TempID  string `json:"temp_id"`
		PhotoID string `json:"photo_id"`
	}{"photo_processing", tempID, photoID})
}

// SpeakerLabelSuggestion tells that a speaker introduced themself by name, in a segment; personID is empty unless somebody
// of that name is known.
func SpeakerLabelSuggestion(speaker int, personID, name, segmentID string) []byte {
	return encode(struct {
		Type       string `json:"type"`
		SpeakerID  int    `json:"speaker_id"`
		PersonID   string `json:"person_id"`
		PersonName string `json:"person_name"`
		SegmentID  string `json:"segment_id"`
	}{"speaker_label_suggestion", speaker, personID, name, segmentID})
}

// AuthResponse answers a web client's first frame.
func AuthResponse(success bool) []byte {
	return encode(struct {
		Type    string `json:"type"`
		Success bool   `json:"success"`
	}{"auth_response", success})
}

// AudioAck tells that all audio through a number is safe: its words are stored, or it holds none.
func AudioAck(sequence uint32) []byte {
	return encode(struct {
		Type     string `json:"type"`
		Sequence uint32 `json:"sequence"`
	}{"audio_ack", sequence})
}

// AudioGap tells of numbered audio that never came.
func AudioGap(from, through uint32) []byte {
	return encode(struct {
		Type    string `json:"type"`
		From    uint32 `json:"from"`
		Through uint32 `json:"through"`
	}{"audio_gap", from, through})
}

// Backpressure asks a client to hold what it would send, or tells it to go on.
func Backpressure(slow bool) []byte {
	state := "ok"
	if slow {
		state = "slow"
	}
	return encode(struct {
		Type  string `json:"type"`
		State string `json:"state"`
	}{"backpressure", state})
}

// seconds are told in whole milliseconds.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// encode writes a message as it is sent. Strings, numbers and segments can't fail to encode.
func encode(message any) []byte {
	data, err := json.Marshal(message)
	if err != nil {
		panic(fmt.Sprintf("encode a message: %v", err))
	}
	return data
}
