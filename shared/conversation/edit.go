package conversation

import "time"

// ReprocessOutcome is what asking to finalize again came to.
type ReprocessOutcome uint8

// The outcomes of Reprocess.
const (
	Reprocessing ReprocessOutcome = iota // it is to be finalized again, under a new revision
	NotYetDone                           // it is on its way as it is
	StillLive                            // it has not ended
)

// Reprocess takes a conversation that is completed or failed back to ended, with all its attempts before it, to be
// finalized again. Unless the outcome is Reprocessing, nothing has changed.
func (c *Conversation) Reprocess(now time.Time, announce string) ReprocessOutcome {
	switch {
	case c.Status == Live:
		return StillLive
	case !c.Status.Terminal():
		return NotYetDone
	}
	c.Status = Ended
	c.Attempts, c.Claims, c.Failure, c.Claim = 0, 0, "", nil
	c.announceEnd(now, announce)
	return Reprocessing
}

// Rename gives the conversation a title of the person's own, which finalizing leaves as it is.
func (c *Conversation) Rename(title string) {
	s := Structured{Category: CategoryOther}
	if c.Structured != nil {
		s = *c.Structured
	}
	s.Title, s.Renamed = title, true
	c.Structured, c.Relisted = &s, true
}
