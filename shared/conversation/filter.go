package conversation

import "time"

// Filter says which of a user's conversations are meant. The zero value means all.
type Filter struct {
	Statuses      []Status  // none: any
	Sources       []string  // none: any
	KeptOnly      bool      // without those that were discarded
	From, Through time.Time // created at these times or between; zero: without a bound
}

// Window is a part of a list, newest first: Limit conversations after those that Offset skips, or after the one that
// After marks.
type Window struct {
	Limit, Offset int
	After         Mark // in place of Offset, unless it is zero
}

// Span is a part of a list that is in the order of a time: Limit conversations from one time on and through another.
type Span struct {
	From, Through time.Time
	Limit         int
}

// Mark is the place of a conversation in a list.
type Mark struct {
	CreatedAt time.Time
	ID        string
}

// Mark is where c stands in a list.
func (c *Conversation) Mark() Mark { return Mark{c.CreatedAt, c.ID} }

// Terminal reports whether nothing more becomes of the conversation by itself.
func (s Status) Terminal() bool { return s == Completed || s == Failed }

// FromWire gives the statuses that clients know under a name; none, if there is no such name.
func FromWire(name string) []Status {
	var statuses []Status
	for _, s := range []Status{Live, Ended, Finalizing, Completed, Failed} {
		if wireStatus[s] == name {
			statuses = append(statuses, s)
		}
	}
	return statuses
}
