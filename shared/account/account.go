// Package account holds what is known of a user apart from conversations: the profile, where webhooks go, and
// what became of each delivery.
package account

import (
	"strconv"
	"strings"
	"time"
)

// Profile is a user's settings. The zero value of a field is its default.
type Profile struct {
	Language   string   `json:"language" firestore:"language"`     // BCP 47; used where the client names none
	Vocabulary []string `json:"vocabulary" firestore:"vocabulary"` // words that recognisers should expect
	TimeZone   string   `json:"time_zone" firestore:"time_zone"`   // IANA name
	Plan       string   `json:"plan" firestore:"plan"`

	// TokensValidAfter revokes the tokens of whoever signed in before.
	TokensValidAfter time.Time `json:"tokens_valid_after,omitzero" firestore:"tokens_valid_after,omitempty"`
}

// Revoked reports whether a token of a sign-in is revoked. Sign-ins have times in seconds.
func (p Profile) Revoked(signedIn time.Time) bool {
	return signedIn.Before(p.TokensValidAfter.Truncate(time.Second))
}

// WebhookType names what a webhook is told, and its document.
type WebhookType string

// The types are Omi's.
const (
	MemoryCreated      WebhookType = "memory_created"
	RealtimeTranscript WebhookType = "realtime_transcript"
	AudioBytes         WebhookType = "audio_bytes"
	DaySummary         WebhookType = "day_summary"
)

// Webhook is where one type of event is delivered. Secret signs it, in the form whsec_<base64>
// (standardwebhooks.com).
type Webhook struct {
	URL     string `json:"url" firestore:"url"`
	Secret  string `json:"secret" firestore:"secret"`
	Enabled bool   `json:"enabled" firestore:"enabled"`
}

// How long the stretches are that an audio_bytes webhook is told in, unless its address says so, and at most.
const (
	usualStretch   = 5 * time.Second
	longestStretch = 30 * time.Second
)

// Audio is where an audio_bytes webhook goes, and in stretches of how long. Omi's apps set both as one address,
// "https://example.com/hear,10", where the seconds may be missing.
func (w Webhook) Audio() (address string, stretch time.Duration) {
	comma := strings.LastIndexByte(w.URL, ',')
	if comma < 0 {
		return w.URL, usualStretch
	}
	after := w.URL[comma+1:]
	if after == "" {
		return w.URL[:comma], usualStretch
	}
	seconds, err := strconv.Atoi(after)
	if err != nil { // the comma is part of the address
		return w.URL, usualStretch
	}
	return w.URL[:comma], min(max(1, time.Duration(seconds)), longestStretch/time.Second) * time.Second
}

// Delivery is what became of telling a receiver of one event. It is written before and after each attempt, and a delivery
// that is Done is never attempted again.
type Delivery struct {
	ID        string      `firestore:"id"` // also the webhook-id header, the same on every attempt
	Webhook   WebhookType `firestore:"webhook"`
	Attempts  int         `firestore:"attempts"`
	Done      bool        `firestore:"done"`
	Failed    bool        `firestore:"failed"` // done, without the receiver having taken it
	Status    int         `firestore:"status"` // of the last answer; 0: none came
	Title     string      `firestore:"title"`  // of the conversation, as each attempt says it; none where there are to be no more
	UpdatedAt time.Time   `firestore:"updated_at"`
	ExpiresAt time.Time   `firestore:"expires_at"` // TTL

	// Who is attempting it, and how long others keep away.
	ClaimedBy    string    `firestore:"claimed_by"`
	ClaimedUntil time.Time `firestore:"claimed_until"`

	// UpdateTime is the version that the next write replaces; zero is none. It is not stored.
	UpdateTime time.Time `firestore:"-"`
}

// DeliveryID is the id of the delivery of an event.
func DeliveryID(t WebhookType, eventID string) string { return string(t) + ":" + eventID }
