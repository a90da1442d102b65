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
}

// arrived notes that audio up to a position has come in by now.
func (c *clock) arrived(now time.Time, position time.Duration) {
	lag := now.Sub(c.origin.Add(position))
	switch {
	case lag < 0:
		c.origin = now.Add(-position)
	case lag <= drift:
		c.since = time.Time{}
	case c.keeps && (c.since.IsZero() || lag <= c.lag-catchUp/2):
		c.lag, c.since = lag, now
	case !c.keeps || now.Sub(c.since) >= catchUp:
		c.origin, c.since = now.Add(-position), time.Time{}
	}
}

// at is the time at which a position was said.
func (c *clock) at(position time.Duration) time.Time { return c.origin.Add(position) }
