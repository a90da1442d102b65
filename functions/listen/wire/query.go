// Package wire is what is said on the socket: the query a client comes with, the messages both sides send, and
// the socket itself. README.md beside it is the protocol.
package wire

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Query is what a client asks for. A value that can't be understood is its default: nothing here refuses a
// client; what can't be served is refused by the decoder or the recogniser, who know why.
type Query struct {
	Language             string // BCP 47, or "multi"; empty: the profile decides
	SampleRate           int    // Hz, of the payload
	Codec                string
	Source               string
	ConversationTimeout  time.Duration
	ClientConversationID string // a UUID, or empty
	Device               string // as the client says, or empty
	Channels             int    // 1, or MaxChannels
	CustomSTT            bool   // the client recognises
	Interim              bool   // tell words that may still change
	Acknowledge          bool   // audio is numbered, and told when it is safe
}

// The default of conversation_timeout and the longest; the shortest is configuration, and the default for clients.
const (
	defaultConversationTimeout = 2 * time.Minute
	maxConversationTimeout     = 4 * time.Hour
)

const defaultSampleRate = 8000

// UnknownSource is the source of a client that names none that is known.
const UnknownSource = "unknown"

var sources = []string{
	"friend", "omi", "fieldy", "bee", "plaud", "frame", "friend_com", "apple_watch", "phone", "phone_call", "desktop",
	"openglass", "screenpipe", "workflow", "sdcard", "external_integration", "limitless", "rayban_meta", "onboarding",
	UnknownSource,
}

// ParseQuery reads the query of the upgrade request. No conversation_timeout is shorter than shortest.
func ParseQuery(values url.Values, shortest time.Duration) Query {
	q := Query{
		Language:            values.Get("language"),
		SampleRate:          defaultSampleRate,
		Codec:               values.Get("codec"),
		Source:              values.Get("source"),
		Device:              values.Get("device"),
		ConversationTimeout: conversationTimeout(values.Get("conversation_timeout"), shortest),
		Channels:            1,
		CustomSTT:           values.Get("custom_stt") == "enabled",
		Interim:             values.Get("interim") == "1",
		Acknowledge:         values.Get("ack") == "1",
	}
	if rate, err := strconv.Atoi(values.Get("sample_rate")); err == nil {
		q.SampleRate = rate
	}
	if channels, err := strconv.Atoi(values.Get("channels")); err == nil && channels > 1 {
		q.Channels = MaxChannels
	}
	if q.Codec == "" {
		q.Codec = "pcm8"
	}
	switch {
	case q.Source == "":
		q.Source = "omi"
	case !slices.Contains(sources, q.Source):
		q.Source = UnknownSource
	}
	if q.Language == "auto" {
		q.Language = "multi"
	}
	if id, err := uuid.Parse(values.Get("client_conversation_id")); err == nil {
		q.ClientConversationID = id.String()
	}
	return q
}

func conversationTimeout(value string, shortest time.Duration) time.Duration {
	seconds, err := strconv.Atoi(value)
	if err != nil {
		return defaultConversationTimeout
	}
	if seconds == -1 || seconds > int(maxConversationTimeout/time.Second) {
		return maxConversationTimeout
	}
	return max(time.Duration(max(seconds, 0))*time.Second, shortest) // far below 0 the product would come round to hours
}
