package conversation

import "time"

// EndReason says why a conversation ended.
type EndReason string

// Why conversations end. The person's own reasons come from the client (package wire).
const (
	EndSilence   EndReason = "silence"
	EndAbandoned EndReason = "abandoned" // the sweep found it
	EndFull      EndReason = "full"      // it is as long as one may be
	EndRequested EndReason = "requested" // through the API, or the client's end message
)

// Automatic reports whether nobody asked for the end.
func (r EndReason) Automatic() bool { return r == EndSilence || r == EndAbandoned || r == EndFull }

// The times after which the sweep looks again at what should have happened by itself.
const (
	finalizeWithin = 10 * time.Minute // an ended conversation that nobody claimed
	claimGrace     = time.Minute      // a claim that ran out
)

const (
	// MaxAttempts is how often finalizing may be broken off, or fail for a reason that stays, before the conversation
	// fails.
	MaxAttempts = 10

	// MaxClaims and GiveUpAfter bound finalizing whatever it fails for, so that nothing is in the works for ever: a
	// conversation fails that was claimed so often and ended so long ago. So often alone may be two hours of an outage,
	// since events that come to nothing multiply: the sweep tells anew beside those that are delivered again. So long
	// ago alone may be one that nobody could try, or hardly, until now.
	MaxClaims   = 100
	GiveUpAfter = 24 * time.Hour
)

// ClaimOutcome is what asking for the right to finalize came to.
type ClaimOutcome uint8

// The outcomes of Claim.
const (
	Claimed        ClaimOutcome = iota
	ClaimHeld                   // another works on it
	ClaimTooEarly               // it is live
	ClaimDone                   // it is completed or failed
	ClaimExhausted              // tried MaxAttempts times, or MaxClaims and for GiveUpAfter: it should fail now
)

// End closes the conversation to further words and reports whether it was live until now.
func (c *Conversation) End(now time.Time, reason EndReason, announce string) bool {
	if c.Status != Live {
		return false
	}
	c.Status = Ended
	if !reason.Automatic() || c.EndReason == "" {
		c.EndReason = reason // else it is what the client said before
	}
	c.announceEnd(now, announce)
	return true
}

// announceEnd has the end told, as that of a new revision.
func (c *Conversation) announceEnd(now time.Time, announce string) {
	c.Revision++
	c.EndedAt = now
	c.Pending = &Pending{announce, now}
	c.ExpiresAt = now.Add(finalizeWithin)
}

// TakeClaim asks for the right to finalize until ttl from now. Unless the outcome is Claimed, or ClaimExhausted
// for a caller that goes on to Fail, nothing has changed.
func (c *Conversation) TakeClaim(token string, now time.Time, ttl time.Duration) ClaimOutcome {
	switch c.Status {
	case Live:
		return ClaimTooEarly
	case Completed, Failed:
		return ClaimDone
	case Finalizing:
		if c.Claim != nil && now.Before(c.Claim.Until) {
			return ClaimHeld
		}
	case Ended:
	}
	if c.Attempts >= MaxAttempts || c.Claims >= MaxClaims && now.Sub(c.EndedAt) >= GiveUpAfter {
		return ClaimExhausted
	}
	c.Status = Finalizing
	c.Attempts++
	c.Claims++
	c.Claim = &Claim{token, now.Add(ttl)}
	c.Pending = nil // whoever asks was told
	c.ExpiresAt = c.Claim.Until.Add(claimGrace)
	return Claimed
}

// Release gives a claim back before it runs out, so that the next attempt need not wait. The attempt counts, or not: one
// that met an outage says nothing about the conversation. It reports whether the token's claim is the present one; else
// nothing has changed.
func (c *Conversation) Release(token string, counts bool, now time.Time) bool {
	if c.Claim == nil || c.Claim.Token != token {
		return false
	}
	c.Claim = &Claim{Until: now} // nobody's
	if !counts {
		c.Attempts--
	}
	return true
}

// Complete stores what finalizing found, but for a title that the person gave, and reports whether it was being
// finalized; else nothing has changed. The caller holds the claim; the store's fencing proves it.
func (c *Conversation) Complete(s Structured, discarded bool, now time.Time, announce string) bool {
	if c.Status != Finalizing {
		return false
	}
	if c.Structured != nil && c.Structured.Renamed {
		s.Title, s.Renamed = c.Structured.Title, true
	}
	c.Status = Completed
	c.Structured = &s
	c.Discarded = discarded
	c.Failure = ""
	c.settle(now, announce)
	return true
}

// Fail gives up on finalizing, with a reason that the person can read, and reports whether there was something to give
// up; else nothing has changed.
func (c *Conversation) Fail(reason string, now time.Time) bool {
	if c.Status != Ended && c.Status != Finalizing {
		return false
	}
	c.Status = Failed
	c.Failure = reason
	c.settle(now, "")
	return true
}

func (c *Conversation) settle(now time.Time, announce string) {
	c.Claim = nil
	c.ExpiresAt = time.Time{}
	c.Pending = nil
	if announce != "" {
		c.Pending = &Pending{announce, now}
	}
}

// Expired reports whether something should have happened by now that did not, and marks what the sweep has to
// do about it: a live conversation ends, one that nobody finalizes is announced again. The time to look again
// doubles with each attempt, so that one that can't be finalized costs little until it fails.
func (c *Conversation) Expired(now time.Time, announceEnded string) bool {
	if c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt) {
		return false
	}
	switch c.Status {
	case Live:
		return c.SilentAt(now) && c.End(now, EndAbandoned, announceEnded)
	case Ended, Finalizing:
		c.Pending = &Pending{announceEnded, now}
		c.ExpiresAt = now.Add(finalizeWithin << min(c.Attempts, 6))
		return true
	default:
		return false
	}
}
