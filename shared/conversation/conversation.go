package conversation

import (
	"slices"
	"time"

	"earshot.dev/shared/usage"
)

// Status is where a conversation stands in its life.
type Status string

// The statuses as they are stored; see Wire for their names towards clients.
const (
	Live       Status = "live"
	Ended      Status = "ended"
	Finalizing Status = "finalizing"
	Completed  Status = "completed"
	Failed     Status = "failed"
)

// Conversation is one conversation without its segments.
type Conversation struct {
	ID, Source, Device, Language string
	Given                        bool // the id is the client's
	Status                       Status
	CreatedAt, StartedAt         time.Time
	FinishedAt                   time.Time // the end of the last word, or the start as long as there is none
	SilenceTimeout               time.Duration
	EndedAt                      time.Time // when it was last ended, or asked to be finalized again; zero: never
	ExpiresAt                    time.Time // when the sweep looks at it; zero: never
	Session                      Session   // the one that may write
	Former                       []Session // those before it, newest first
	Acked                        Acked     // the audio of which the outcome is stored
	Suggested                    []string  // ids of the last segments that came from the client: see Suggest
	Segments, Words, Pages       int
	Photos                       int               // images stored beside it
	People                       map[string]Person // who speaks, by the speaker's number
	Named                        map[string]Person // who spoke a segment, where somebody said so later
	Usage                        usage.Hours
	Structured                   *Structured
	Discarded                    bool
	EndReason                    EndReason
	Pending                      *Pending
	Claim                        *Claim
	Attempts                     int    // at finalizing it: the present one, and those that count against it
	Claims                       int    // all that were taken for this revision: the latest one's number
	Failure                      string // why it failed, for the person
	Revision                     int    // grows each time it is ended or reprocessed, and names the events

	// UpdateTime is the version that the next write replaces. It is not stored.
	UpdateTime time.Time
	// Relisted says that what a list shows of it, its title or its beginning, is another than in that version. It is not stored.
	Relisted bool `json:"-"`
	// DeviceTime likewise is that of the device's document, where the conversation was just attached to. It is not stored.
	DeviceTime time.Time
}

// Session is what a socket leaves in the conversation it writes to. Flush is the number of its last commit: a
// session that never got the answer to a commit finds here whether it took effect.
type Session struct {
	ID         string
	Generation int64
	Flush      int64
	Numbered   bool // its client sends again what isn't acknowledged
	Closed     bool // it has stored its last

	// Traceparent is where in a trace it began (W3C): the sweep's and the API's events of the conversation lead back to
	// it.
	Traceparent string
}

// Person is somebody who was named as a speaker. The id "user" is the person themself.
type Person struct {
	ID   string `firestore:"id"`
	Name string `firestore:"name"`
}

// User is the id of the person themself.
const User = "user"

// Photo is an image that came with a conversation.
type Photo struct {
	ID        string    `firestore:"id"`
	Data      []byte    `firestore:"data"`
	CreatedAt time.Time `firestore:"created_at"`
}

// maxSuggested is how many ids of suggested segments are known.
const maxSuggested = 256

// Suggest notes segments that the client recognised itself, and sends again after a cut since it can't know that they are
// stored. They are known by their ids, since another segment may have absorbed them; the next conversation of the device
// knows them too.
func (c *Conversation) Suggest(ids ...string) {
	all := slices.Concat(c.Suggested, ids) // a version that was read is not changed by the one made from it
	c.Suggested = all[max(0, len(all)-maxSuggested):]
}

// Acked says that all numbered audio through a sequence number is stored as words, or known to hold none, and when
// that audio had been said. Of the audio after it, so much of each channel is stored too: words don't end where packets
// do.
type Acked struct {
	Sequence uint32
	At       time.Time
	Beyond   []time.Duration
}

// Latest is the later of the two; beyond the same number, what either says of a channel.
func (a Acked) Latest(b Acked) Acked {
	if b.Sequence > a.Sequence {
		return b
	}
	if b.Sequence < a.Sequence {
		return a
	}
	if b.At.After(a.At) {
		a.At = b.At
	}
	if !slices.Equal(a.Beyond, b.Beyond) { // a version that was read is not changed by the one made from it
		a.Beyond = append(slices.Clone(a.Beyond), b.Beyond[min(len(a.Beyond), len(b.Beyond)):]...)
		for i, beyond := range b.Beyond {
			a.Beyond[i] = max(a.Beyond[i], beyond)
		}
	}
	return a
}

// Pending marks a change that was committed and not yet announced.
type Pending struct {
	Event string // its type, such as conversation.ended.v1
	Since time.Time
}

// Claim is the right to finalize, until a time.
type Claim struct {
	Token string
	Until time.Time
}

// Structured is what a summary found.
type Structured struct {
	Title       string       `json:"title" firestore:"title"`
	Overview    string       `json:"overview" firestore:"overview"`
	Emoji       string       `json:"emoji" firestore:"emoji"`
	Category    string       `json:"category" firestore:"category"`
	ActionItems []ActionItem `json:"action_items" firestore:"action_items"`
	Events      []Event      `json:"events" firestore:"events"`
	Summarizer  string       `json:"-" firestore:"summarizer"`        // who made it
	Renamed     bool         `json:"-" firestore:"renamed,omitempty"` // the title is the person's
}

// ActionItem is something that somebody said they would do.
type ActionItem struct {
	Description    string     `json:"description" firestore:"description"`
	Completed      bool       `json:"completed" firestore:"completed"`
	CreatedAt      time.Time  `json:"created_at" firestore:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at" firestore:"updated_at"`
	DueAt          *time.Time `json:"due_at" firestore:"due_at"`
	CompletedAt    *time.Time `json:"completed_at" firestore:"completed_at"`
	ConversationID string     `json:"conversation_id" firestore:"conversation_id"`
}

// Event is an appointment that was made. Duration is in minutes.
type Event struct {
	Title       string    `json:"title" firestore:"title"`
	Description string    `json:"description" firestore:"description"`
	Start       time.Time `json:"start" firestore:"start"`
	Duration    int       `json:"duration" firestore:"duration"`
	Created     bool      `json:"created" firestore:"created"`
}

// formerSessions is how many sessions back an unknown outcome can be resolved. A session that is superseded
// this often before it has read back its last commit has lost its network for minutes.
const formerSessions = 8

// Attach makes s the session that may write.
func (c *Conversation) Attach(s Session) {
	if c.Session.ID == s.ID {
		s.Flush = c.Session.Flush
	} else {
		c.admit(c.Session)
	}
	c.Session = s
}

// admit makes s one of the former sessions, which may hand in their last words.
func (c *Conversation) admit(s Session) {
	if slices.ContainsFunc(c.Former, func(f Session) bool { return f.ID == s.ID }) {
		return
	}
	c.Former = append([]Session{s}, c.Former[:min(len(c.Former), formerSessions-1)]...)
}

// Close notes that the session has stored its last.
func (c *Conversation) Close(sessionID string) {
	if c.Session.ID == sessionID {
		c.Session.Closed = true
	}
}

// Flushed is the number of the session's last commit that took effect, 0 if none is known.
func (c *Conversation) Flushed(sessionID string) int64 {
	for _, s := range append([]Session{c.Session}, c.Former...) {
		if s.ID == sessionID {
			return s.Flush
		}
	}
	return 0
}

// MarkFlush counts a commit of the session, which may be a former one that hands in its last words, and gives
// its number. A session that nobody remembers any more gets 0, and its commit is not counted.
func (c *Conversation) MarkFlush(sessionID string) int64 {
	if c.Session.ID == sessionID {
		c.Session.Flush++
		return c.Session.Flush
	}
	c.Former = slices.Clone(c.Former) // a version that was read is not changed by the one made from it
	for i := range c.Former {
		if c.Former[i].ID == sessionID {
			c.Former[i].Flush++
			return c.Former[i].Flush
		}
	}
	return 0
}

// SilentAt reports whether the silence at now has lasted beyond the timeout.
func (c *Conversation) SilentAt(now time.Time) bool {
	return !now.Before(c.FinishedAt.Add(c.SilenceTimeout))
}

// Resumable reports whether a session may go on with the conversation.
func (c *Conversation) Resumable(now time.Time) bool { return c.Status == Live && !c.SilentAt(now) }

// Heard moves the end of the last word to at, and with it the time at which the sweep may look: by more than is
// needed, so that its index is written once in half a timeout and not with every word.
func (c *Conversation) Heard(at time.Time) {
	if at = at.UTC().Truncate(time.Microsecond); at.After(c.FinishedAt) { // as it is stored, and shown from there
		c.FinishedAt = at
	}
	if c.Status == Live && c.ExpiresAt.Before(c.FinishedAt.Add(c.SilenceTimeout)) {
		c.ExpiresAt = c.expiry()
	}
}

// expiry is the latest time at which the sweep looks at a live conversation in which nothing more is said.
func (c *Conversation) expiry() time.Time { return c.FinishedAt.Add(c.SilenceTimeout * 3 / 2) }

// Owned is a conversation together with whose it is.
type Owned struct {
	UID string
	Conversation
	Unreadable error // why it can't be decoded; then no more is known than the id, and what it was found by
}
