package conversation

import "time"

// Device is what a device of a user is attached to.
type Device struct {
	ConversationID string    `firestore:"conversation_id"`
	SessionID      string    `firestore:"session_id"`
	Generation     int64     `firestore:"generation"`
	AttachedAt     time.Time `firestore:"attached_at"`
}

// Attachment is a session's wish for a conversation of its device to write to.
type Attachment struct {
	Device    string
	SessionID string
	Source    string
	Language  string
	// ClientID is the id that a new conversation gets if none has it yet; empty for one of our own.
	ClientID       string
	SilenceTimeout time.Duration
	At             time.Time
}

// Resume makes the session the writer of c, whose device was at the generation.
func (a Attachment) Resume(c *Conversation, generation int64) {
	c.Attach(Session{ID: a.SessionID, Generation: generation + 1})
	c.SilenceTimeout = a.SilenceTimeout
	c.Heard(c.FinishedAt)
}

// Begin is a new conversation with the session as its writer.
func (a Attachment) Begin(id string, generation int64) Conversation {
	c := Conversation{
		ID: id, Source: a.Source, Device: a.Device, Language: a.Language, Status: Live,
		CreatedAt: a.At, StartedAt: a.At, SilenceTimeout: a.SilenceTimeout,
		Session: Session{ID: a.SessionID, Generation: generation + 1},
	}
	c.Heard(a.At)
	return c
}

// Pointer is the device's record once the session is attached to c.
func (a Attachment) Pointer(c *Conversation) Device {
	return Device{c.ID, a.SessionID, c.Session.Generation, a.At}
}
