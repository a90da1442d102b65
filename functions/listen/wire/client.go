package wire

import (
	"encoding/json"

	"earshot.dev/shared/conversation"
)

// ClientMessage is a text frame that asks for something.
type ClientMessage struct {
	Type   string                 `json:"type"`
	Reason conversation.EndReason `json:"reason"`
}

// The types of client messages that are acted upon.
const (
	TypeFinalizationReason = "finalization_reason"
	TypeEnd                = "end"
)

// endsNow are the reasons of finalization_reason that end the conversation at once; the others are only kept.
var endsNow = map[conversation.EndReason]bool{
	"user_stop": true, "finish_and_continue": true, "meeting_ended": true,
	"meeting_started": false, "max_duration_rotation": false, "crash_recovery": false, "retry": false,
}

// ParseClient reads a text frame. It reports false for what is ignored: text that is no JSON, unknown types,
// and reasons that nobody defined.
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
	default:
		return ClientMessage{}, false
	}
}

// Ends reports whether the message ends the conversation now.
func (m ClientMessage) Ends() bool { return m.Type == TypeEnd || endsNow[m.Reason] }
