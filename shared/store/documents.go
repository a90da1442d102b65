package store

import (
	"reflect"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// conversationDoc is a conversation as it is stored. Times that are not set are absent, so that no index holds
// them.
type conversationDoc struct {
	ID               string                         `firestore:"id"`
	Given            bool                           `firestore:"given,omitempty"`
	Source           string                         `firestore:"source"`
	Device           string                         `firestore:"device"`
	Language         string                         `firestore:"language"`
	Status           conversation.Status            `firestore:"status"`
	CreatedAt        time.Time                      `firestore:"created_at"`
	StartedAt        time.Time                      `firestore:"started_at"`
	FinishedAt       time.Time                      `firestore:"finished_at"`
	EndedAt          *time.Time                     `firestore:"ended_at,omitempty"`
	SilenceTimeoutMS int64                          `firestore:"silence_timeout_ms"`
	ExpiresAt        *time.Time                     `firestore:"expires_at,omitempty"`
	Session          sessionDoc                     `firestore:"session"`
	Former           []sessionDoc                   `firestore:"former,omitempty"`
	AckedSequence    uint32                         `firestore:"acked_sequence"`
	AckedAt          *time.Time                     `firestore:"acked_at,omitempty"`
	AckedBeyond      []time.Duration                `firestore:"acked_beyond,omitempty"`
	Suggested        []string                       `firestore:"suggested,omitempty"`
	Segments         int                            `firestore:"segment_count"`
	Words            int                            `firestore:"words"`
	Pages            int                            `firestore:"page_count"`
	Photos           int                            `firestore:"photo_count"`
	People           map[string]conversation.Person `firestore:"people,omitempty"`
	Named            map[string]conversation.Person `firestore:"named,omitempty"`
	Usage            map[string]usage.Totals        `firestore:"usage,omitempty"`
	Structured       *conversation.Structured       `firestore:"structured,omitempty"`
	Discarded        bool                           `firestore:"discarded"`
	EndReason        conversation.EndReason         `firestore:"end_reason,omitempty"`
	Pending          *pendingDoc                    `firestore:"pending,omitempty"`
	Claim            *claimDoc                      `firestore:"claim,omitempty"`
	Attempts         int                            `firestore:"attempts"`
	Claims           int                            `firestore:"claims"`
	Failure          string                         `firestore:"failure,omitempty"`
	Revision         int                            `firestore:"revision"`
}

type sessionDoc struct {
	ID         string `firestore:"id"`
	Generation int64  `firestore:"generation"`
	Flush      int64  `firestore:"flush"`
	Numbered   bool   `firestore:"numbered"`
	Closed     bool   `firestore:"closed"`

	Traceparent string `firestore:"traceparent,omitempty"`
}

type pendingDoc struct {
	Event string    `firestore:"event"`
	Since time.Time `firestore:"since"`
}

type claimDoc struct {
	Token string    `firestore:"token"`
	Until time.Time `firestore:"until"`
}

type pageDoc struct {
	Segments []segmentDoc `firestore:"segments"`
}

type segmentDoc struct {
	ID       string `firestore:"id"`
	Text     string `firestore:"text"`
	Speaker  int    `firestore:"speaker"`
	IsUser   bool   `firestore:"is_user"`
	PersonID string `firestore:"person_id,omitempty"`
	StartMS  int64  `firestore:"start_ms"`
	EndMS    int64  `firestore:"end_ms"`
	Provider string `firestore:"provider,omitempty"`
}

func toDoc(c *conversation.Conversation) *conversationDoc {
	d := &conversationDoc{
		ID: c.ID, Given: c.Given, Source: c.Source, Device: c.Device, Language: c.Language, Status: c.Status,
		CreatedAt: c.CreatedAt, StartedAt: c.StartedAt, FinishedAt: c.FinishedAt,
		SilenceTimeoutMS: c.SilenceTimeout.Milliseconds(), Session: sessionDoc(c.Session),
		AckedSequence: c.Acked.Sequence, AckedBeyond: c.Acked.Beyond, Segments: c.Segments, Words: c.Words, Pages: c.Pages, Usage: c.Usage,
		Photos: c.Photos, People: c.People, Named: c.Named, Suggested: c.Suggested,
		Structured: c.Structured, Discarded: c.Discarded, EndReason: c.EndReason,
		Pending: (*pendingDoc)(c.Pending), Claim: (*claimDoc)(c.Claim),
		Attempts: c.Attempts, Claims: c.Claims, Failure: c.Failure, Revision: c.Revision,
	}
	if !c.EndedAt.IsZero() {
		d.EndedAt = &c.EndedAt
	}
	if !c.ExpiresAt.IsZero() {
		d.ExpiresAt = &c.ExpiresAt
	}
	if !c.Acked.At.IsZero() {
		d.AckedAt = &c.Acked.At
	}
	for _, s := range c.Former {
		d.Former = append(d.Former, sessionDoc(s))
	}
	return d
}

func (d *conversationDoc) conversation(updateTime time.Time) conversation.Conversation {
	c := conversation.Conversation{
		ID: d.ID, Given: d.Given, Source: d.Source, Device: d.Device, Language: d.Language, Status: d.Status,
		CreatedAt: d.CreatedAt, StartedAt: d.StartedAt, FinishedAt: d.FinishedAt,
		SilenceTimeout: time.Duration(d.SilenceTimeoutMS) * time.Millisecond,
		Session:        conversation.Session(d.Session), Acked: conversation.Acked{Sequence: d.AckedSequence, Beyond: d.AckedBeyond},
		Segments: d.Segments, Words: d.Words, Pages: d.Pages, Usage: d.Usage,
		Photos: d.Photos, People: d.People, Named: d.Named, Suggested: d.Suggested,
		Structured: d.Structured, Discarded: d.Discarded, EndReason: d.EndReason,
		Pending: (*conversation.Pending)(d.Pending), Claim: (*conversation.Claim)(d.Claim),
		Attempts: d.Attempts, Claims: d.Claims, Failure: d.Failure, Revision: d.Revision,
		UpdateTime: updateTime,
	}
	if d.EndedAt != nil {
		c.EndedAt = *d.EndedAt
	}
	if d.ExpiresAt != nil {
		c.ExpiresAt = *d.ExpiresAt
	}
	if d.AckedAt != nil {
		c.Acked.At = *d.AckedAt
	}
	for _, s := range d.Former {
		c.Former = append(c.Former, conversation.Session(s))
	}
	return c
}

// updates sets every field of the document to what d has, and removes those that d leaves out. Only an update
// can demand an update time, and only a list of fields can be an update.
func (d *conversationDoc) updates() []firestore.Update {
	v := reflect.ValueOf(d).Elem()
	updates := make([]firestore.Update, 0, v.NumField())
	for i := range v.NumField() {
		path, optional := fieldTag(v.Type().Field(i))
		value := v.Field(i).Interface()
		if optional && v.Field(i).IsZero() {
			value = firestore.Delete
		}
		updates = append(updates, firestore.Update{Path: path, Value: value})
	}
	return updates
}

func toPageDoc(p transcript.Page) pageDoc {
	d := pageDoc{Segments: make([]segmentDoc, len(p.Segments))}
	for i, s := range p.Segments {
		d.Segments[i] = segmentDoc{
			ID: s.ID, Text: s.Text, Speaker: s.Speaker, IsUser: s.IsUser, PersonID: s.PersonID,
			StartMS: s.Start.Milliseconds(), EndMS: s.End.Milliseconds(), Provider: s.Provider,
		}
	}
	return d
}

func (d pageDoc) segments() []transcript.Segment {
	segments := make([]transcript.Segment, len(d.Segments))
	for i, s := range d.Segments {
		segments[i] = transcript.Segment{
			ID: s.ID, Text: s.Text, Speaker: s.Speaker, IsUser: s.IsUser, PersonID: s.PersonID,
			Start: time.Duration(s.StartMS) * time.Millisecond, End: time.Duration(s.EndMS) * time.Millisecond,
			Provider: s.Provider,
		}
	}
	return segments
}
