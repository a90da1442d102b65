package conversation

import (
	"errors"
	"fmt"
	"time"
)

// ErrSuperseded is why a session can't attach any more: a newer one of its device has, and gets the audio again that
// this one has not stored.
var ErrSuperseded = errors.New("a newer session of the device took over")

// Device is what a device of a user is attached to.
type Device struct {
	ConversationID string          `firestore:"conversation_id"`
	SessionID      string          `firestore:"session_id"`
	Generation     int64           `firestore:"generation"`
	AttachedAt     time.Time       `firestore:"attached_at"`    // when the session asked to be, for the first time
	AckedSequence  uint32          `firestore:"acked_sequence"` // what is known between two conversations: see Acked
	AckedAt        time.Time       `firestore:"acked_at"`
	AckedBeyond    []time.Duration `firestore:"acked_beyond"`
	ContendedAt    []time.Time     `firestore:"contended_at"` // the last times at which a session was put out in mid stream
	Split          bool            `firestore:"split"`        // there are two devices behind the name
}

// Silence is audio of a device that holds no words and belongs to no conversation. DeviceTime is when the device's document
// was last written, as the session knows it.
type Silence struct {
	Device, SessionID string
	DeviceTime        time.Time
	Acked             Acked
}

// MaxSlots is how many devices that can't be told apart are kept apart all the same.
const MaxSlots = 8

// Slot is the name under which the n-th of the devices that share one is kept, from 0.
func Slot(device string, n int) string {
	if n == 0 {
		return device
	}
	return fmt.Sprintf("%s~%d", device, n+1)
}

// contendedWithin is the time in which two devices that share a name must have put each other out to be known as two.
const contendedWithin = 10 * time.Minute

// Contend notes that a session whose client was still talking was superseded. The second time within ten minutes tells
// that there are two devices: one alone doesn't talk on two sockets.
func (d *Device) Contend(at time.Time) {
	at = at.UTC().Truncate(time.Microsecond) // as it is stored
	if n := len(d.ContendedAt); n > 0 {
		last := d.ContendedAt[n-1]
		if !at.After(last) {
			return // it is noted: the answer was lost
		}
		d.Split = d.Split || at.Sub(last) <= contendedWithin
	}
	d.ContendedAt = []time.Time{at}
}

// Attachment is a session's wish for a conversation of its device to write to.
type Attachment struct {
	Device    string
	SessionID string
	Source    string
	Language  string
	// ClientID is the id that a new conversation gets if none has, or had, it yet; empty for one of our own.
	ClientID       string
	SilenceTimeout time.Duration
	At             time.Time
	// Numbered says that the client sends again what isn't acknowledged.
	Numbered bool
	// Shared says that other devices may come under the same name.
	Shared bool
	// Generation is that of the session's attachment before, 0 for its first, or if it comes like a new one. A session that was
	// superseded since doesn't get the device back.
	Generation int64
	// Acked is what the session knows to be acknowledged.
	Acked Acked
	// Suggested are those of the device's conversation before.
	Suggested []string
	// Traceparent is the session's.
	Traceparent string
}

// Superseded reports whether a newer session than this one has attached to the device: since this one did or, if it never
// has, since it asked to.
func (a Attachment) Superseded(d Device) bool {
	return d.SessionID != a.SessionID && (a.Generation > 0 || d.AttachedAt.After(a.At))
}

// busyFor is how long a session that did not say goodbye is taken to go on. One that gets audio stores what it counts each
// minute.
const busyFor = 90 * time.Second

// Free reports whether a device's slot, whose conversation was last written at a time, is there for this session.
func (a Attachment) Free(c *Conversation) bool {
	return !c.Resumable(a.At) || c.Session.Closed || c.Session.ID == a.SessionID || a.At.Sub(c.UpdateTime) > busyFor
}

// Resume makes the session the writer of c.
func (a Attachment) Resume(c *Conversation, d Device) {
	c.Attach(Session{ID: a.SessionID, Generation: d.Generation + 1, Numbered: a.Numbered, Traceparent: a.Traceparent})
	c.SilenceTimeout = a.SilenceTimeout
	if latest := c.expiry(); c.ExpiresAt.After(latest) { // it is that of a longer timeout
		c.ExpiresAt = latest
	}
	c.Heard(c.FinishedAt)
}

// Fence takes a conversation away from an older session whose audio the new one gets again, and reports whether that was
// due. The older one finds out with its next write, which is refused.
func (a Attachment) Fence(former *Conversation) bool {
	if former.Status != Live || !a.Numbered || !former.Session.Numbered || former.Session.ID == a.SessionID {
		return false
	}
	former.Attach(Session{ID: a.SessionID, Generation: former.Session.Generation, Numbered: true})
	return true
}

// HandIn lets a session that was superseded write its last words to c.
func (a Attachment) HandIn(c *Conversation) { c.admit(Session{ID: a.SessionID}) }

// Begin is a new conversation with the session as its writer.
func (a Attachment) Begin(id string, d Device) Conversation {
	c := Conversation{
		ID: id, Given: id == a.ClientID, Source: a.Source, Device: a.Device, Language: a.Language, Status: Live,
		CreatedAt: a.At, StartedAt: a.At, SilenceTimeout: a.SilenceTimeout,
		Session: Session{ID: a.SessionID, Generation: d.Generation + 1, Numbered: a.Numbered, Traceparent: a.Traceparent},
		Acked:   a.Acked.Latest(Acked{d.AckedSequence, d.AckedAt, d.AckedBeyond}), Suggested: a.Suggested,
	}
	c.Heard(a.At)
	return c
}

// Point makes c the conversation of the device, unless the session was superseded.
func (a Attachment) Point(d Device, c *Conversation) Device {
	if a.Superseded(d) {
		return d
	}
	if d.SessionID != a.SessionID {
		d.AttachedAt = a.At
	}
	d.ConversationID, d.SessionID, d.Generation = c.ID, a.SessionID, c.Session.Generation
	return d
}
