package conversation

import (
	"time"

	"earshot.dev/shared/transcript"
)

// Wire is a conversation as Omi's clients and webhook receivers read it: functions/conversations/api/openapi.json.
type Wire struct {
	ID           string               `json:"id"`
	CreatedAt    time.Time            `json:"created_at"`
	StartedAt    time.Time            `json:"started_at"`
	FinishedAt   time.Time            `json:"finished_at"`
	Source       string               `json:"source"`
	Language     string               `json:"language"`
	Structured   Structured           `json:"structured"`
	Segments     []transcript.Segment `json:"transcript_segments"`
	Status       string               `json:"status"`
	Discarded    bool                 `json:"discarded"`
	Geolocation  *struct{}            `json:"geolocation"`
	Photos       []PhotoWire          `json:"photos"` // only where one conversation is asked for
	AppsResults  []struct{}           `json:"apps_results"`
	ExternalData *struct{}            `json:"external_data"`
	Visibility   string               `json:"visibility"`
	Starred      bool                 `json:"starred"`
}

// PhotoWire is a photo as Omi's clients read it. Nobody describes photos here, or discards them.
type PhotoWire struct {
	ID          string    `json:"id"`
	Base64      []byte    `json:"base64"` // the image as it came, most often JPEG
	Description *string   `json:"description"`
	CreatedAt   time.Time `json:"created_at"`
	Discarded   bool      `json:"discarded"`
}

// Wire is the photo as it goes to clients.
func (p Photo) Wire() PhotoWire { return PhotoWire{ID: p.ID, Base64: p.Data, CreatedAt: p.CreatedAt} }

// wireStatus gives the statuses Omi's names.
var wireStatus = map[Status]string{
	Live: "in_progress", Ended: "processing", Finalizing: "processing", Completed: "completed", Failed: "failed",
}

// WireStatus is the status under the name that clients know.
func (c *Conversation) WireStatus() string { return wireStatus[c.Status] }

// Wire is the conversation with its segments as it goes to clients and receivers; lists are never null.
func (c *Conversation) Wire(segments []transcript.Segment) Wire {
	structured := Structured{Category: CategoryOther}
	if c.Structured != nil {
		structured = *c.Structured
	}
	if structured.ActionItems == nil {
		structured.ActionItems = []ActionItem{}
	}
	if structured.Events == nil {
		structured.Events = []Event{}
	}
	segments = append([]transcript.Segment{}, segments...)
	for i, s := range segments {
		if p, ok := c.Named[s.ID]; ok {
			segments[i] = s.SpokenBy(p.ID, p.ID == User)
		}
	}
	return Wire{
		ID: c.ID, CreatedAt: c.CreatedAt, StartedAt: c.StartedAt, FinishedAt: c.FinishedAt, Source: c.Source,
		Language: c.Language, Structured: structured, Segments: segments, Status: c.WireStatus(),
		Discarded: c.Discarded, Photos: []PhotoWire{}, AppsResults: []struct{}{}, Visibility: "private",
	}
}

// CategoryOther is the category of what fits no other.
const CategoryOther = "other"
