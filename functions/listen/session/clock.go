package session

import "time"

// drift is by how much the audio may lag behind the clock before it is taken for a pause in which the client
// sent nothing. Networks delay by less, or for a moment.
const drift = 2 * time.Second

// catchUp is how long a client has that may be sending what it kept: one that does gains on the clock by half of
// it at least, one that was switched off meanwhile doesn't.
const catchUp = time.Second

// clock tells when audio was said. It comes late, in bursts, and with gaps, but never before it is said.
type clock struct {
	origin time.Time // when position 0 was said, as far as is known
	keeps  bool      // the client keeps audio that it can't send, and sends it later

	lag   time.Duration // of the audio when it last gained on the clock
	since time.Time     // when that was; zero: it doesn't lag
	from  time.Duration // where the audio went on then
	last  time.Duration // where it was when more arrived
}

// arrived notes that audio up to a position has come in by now. If there turns out to have been a pause, all from a position
// on was said so much later than at has told.
func (c *clock) arrived(now time.Time, position time.Duration) (from, later time.Duration) {
	lag, before := now.Sub(c.origin.Add(position)), c.last
	c.last = position
	switch {
	case lag < 0:
		c.origin = now.Add(-position)
	case lag <= drift:
		c.since = time.Time{}
	case c.keeps && (c.since.IsZero() || lag <= c.lag-catchUp/2):
		c.lag, c.since, c.from = lag, now, before
	case !c.keeps:
		c.origin, c.since = now.Add(-position), time.Time{}
		return before, lag
	case now.Sub(c.since) >= catchUp:
		c.origin, c.since = now.Add(-position), time.Time{}
		return c.from, lag
	}
	return 0, 0
}

// at is the time at which a position was said.
func (c *clock) at(position time.Duration) time.Time { return c.origin.Add(position) }
