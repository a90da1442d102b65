package session

import (
	"slices"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// utterance is a stretch of one speaker's final words, at the time they were said.
type utterance struct {
	id         string
	text       string
	speaker    int
	isUser     bool
	person     string // who that is, if it was said
	provider   string // who recognised it, where that wasn't us
	start, end time.Time
	known      time.Time // when its words became final
	channel    int
	first      span // its first word, in what was sent of the channel; zero where that wasn't us
}

// span is a stretch of what was sent to a channel's recogniser.
type span struct{ from, to time.Duration }

func (u utterance) segment(origin time.Time) transcript.Segment {
	return transcript.Segment{
		ID: u.id, Text: u.text, Speaker: u.speaker, IsUser: u.isUser, PersonID: u.person, Provider: u.provider,
		Start: max(u.start.Sub(origin), 0), End: max(u.end.Sub(origin), 0),
	}
}

// size is that of the text, in bytes.
func size(us []utterance) (n int) {
	for _, u := range us {
		n += len(u.text)
	}
	return n
}

// draft is the conversation as this session sees it: what is stored, and on top of it what is not yet. When
// somebody else turns out to have written, the stored part is replaced and the rest laid on top again. It does
// no I/O.
type draft struct {
	sessionID  string
	suggested  bool                      // the words are the client's, who may send them again
	stored     conversation.Conversation // as last read or written; no ID: there is none
	transcript *transcript.Transcript    // stored and unsaved words
	unsaved    []utterance
	metered    usage.Hours // not yet committed
	sending    int         // how many of unsaved are in the commit under way
	sent       usage.Hours // what of metered is in the commit under way
	acked      acked       // numbered audio
	notes      notes
	introduced map[int]introduces // by speaker
}

// acked says what audio is safe as soon as all that is unsaved is stored, and what is so now.
type acked struct{ next, stored conversation.Acked }

func (a *acked) move(next conversation.Acked) { a.next = a.next.Latest(next) }

func (a *acked) news() bool { return a.next.Sequence > a.stored.Sequence }

// open reports whether there is a conversation for words to go to.
func (d *draft) open() bool { return d.stored.ID != "" }

// has reports whether a segment is there.
func (d *draft) has(id string) bool { return d.open() && d.transcript.Has(id) }

// begin takes the conversation that the session was attached to, and gives the words that waited for it. Those that were
// shown before, in segments that are now part of others, aren't shown twice.
func (d *draft) begin(stored conversation.Conversation, last transcript.Page) transcript.Change {
	var shown []string
	if d.stored.ID == stored.ID {
		shown = d.shown()
	}
	d.stored = stored
	if d.suggested {
		d.unsaved = slices.DeleteFunc(d.unsaved, func(u utterance) bool { return slices.Contains(stored.Suggested, u.id) })
	}
	d.transcript = transcript.Resume(last)
	d.refused()
	d.notes.merge(stored)
	d.acked.stored = stored.Acked
	d.acked.move(stored.Acked)
	d.reachBack()
	change := d.transcript.Add(d.segments(d.unsaved)...)
	for _, id := range shown {
		if !d.transcript.Has(id) {
			change.Deleted = append(change.Deleted, id)
		}
	}
	for id, p := range d.notes.fresh.named {
		change.Changed = append(change.Changed, d.spokenBy(p, id).Changed...)
	}
	return change
}

// shown are the segments that the client has seen and that are not stored.
func (d *draft) shown() []string {
	var ids []string
	for _, u := range d.unsaved {
		if d.has(u.id) {
			ids = append(ids, u.id)
		}
	}
	return ids
}

// leave forgets the conversation; what is unsaved waits for the next one, in which speakers keep their names.
func (d *draft) leave() {
	d.stored = conversation.Conversation{}
	d.transcript = nil
	d.refused()
	d.notes = d.notes.next(d.unsaved)
	d.introduced = nil
}

// refused notes that nothing of the commit under way took effect.
func (d *draft) refused() {
	d.sending, d.sent = 0, nil
	d.notes.refused()
}

// gone forgets a conversation that was deleted. One without words was so by who finalizes it, who has counted what it used, maybe
// with the commit under way: that is counted at most once.
func (d *draft) gone() {
	if d.stored.Words+d.stored.Photos+d.sending == 0 {
		d.metered = subtract(d.metered, d.sent)
	}
	d.leave()
}

// drop forgets what was heard and is not stored.
func (d *draft) drop() {
	d.unsaved, d.metered = nil, nil
	d.sending, d.sent = 0, nil
}

// add takes final words in and gives what they change for the client; nothing as long as no conversation is open.
func (d *draft) add(us ...utterance) transcript.Change {
	before := len(d.unsaved)
	for _, u := range us {
		d.unsaved = append(d.unsaved, d.spoken(u))
	}
	if !d.open() {
		return transcript.Change{}
	}
	d.reachBack()
	return d.transcript.Add(d.segments(d.unsaved[before:])...)
}

// reachBack has a conversation that has no words yet begin with the first: audio that comes again was said before the
// session was opened that takes it in, and a conversation that follows must not begin before this one.
func (d *draft) reachBack() {
	if d.transcript.Len() > 0 {
		return
	}
	for _, u := range d.unsaved {
		if u.start.Before(d.stored.StartedAt) {
			d.stored.StartedAt, d.stored.Relisted = u.start.UTC().Truncate(time.Microsecond), true // as it is stored
		}
	}
}

// meter adds to what the conversation used.
func (d *draft) meter(at time.Time, t usage.Totals) {
	if t != (usage.Totals{}) {
		d.metered = d.metered.Add(usage.Hours{usage.Hour(at): t})
	}
}

func (d *draft) segments(us []utterance) []transcript.Segment {
	segments := make([]transcript.Segment, len(us))
	for i, u := range us {
		segments[i] = u.segment(d.stored.StartedAt)
	}
	return segments
}

// commit is the next version of the conversation with all that is unsaved in it, the pages that changed, and
// the flush number by which its outcome is recognised.
func (d *draft) commit() (c conversation.Conversation, pages []transcript.Page, flush int64) {
	c = d.stored
	flush = c.MarkFlush(d.sessionID)
	named := d.notes.commit(&c)
	c.Acked = c.Acked.Latest(d.acked.next)
	hours := d.metered
	for _, u := range d.unsaved {
		words := u.segment(c.StartedAt).Words()
		c.Words += words
		if d.suggested {
			c.Suggest(u.id)
		}
		c.Heard(u.end)
		hours = hours.Add(usage.Hours{usage.Hour(u.start): {Words: int64(words)}})
	}
	c.Usage = c.Usage.Add(hours)
	if len(d.unsaved) > 0 || named {
		pages = d.transcript.Unsaved()
		c.Segments = d.transcript.Len()
		if c.Segments > 0 {
			c.Pages = pages[len(pages)-1].Number + 1
		} else {
			pages = nil
		}
	}
	d.sending, d.sent = len(d.unsaved), d.metered
	return c, pages, flush
}

// committed notes that the commit under way took effect and is the stored version now.
func (d *draft) committed(stored conversation.Conversation) {
	began := d.stored.StartedAt
	if d.stored = stored; stored.Segments == 0 && began.Before(stored.StartedAt) {
		d.stored.StartedAt, d.stored.Relisted = began, true // its first words have come meanwhile
	}
	d.notes.committed()
	d.acked.stored = stored.Acked
	d.unsaved = append([]utterance(nil), d.unsaved[d.sending:]...)
	d.metered = subtract(d.metered, d.sent)
	d.sending, d.sent = 0, nil
	if stored.Pages > 0 {
		d.transcript.Saved(stored.Pages - 1)
	}
}

// heardUntil is the end of the last word, stored or not.
func (d *draft) heardUntil() time.Time {
	at := d.stored.FinishedAt
	for _, u := range d.unsaved {
		if u.end.After(at) {
			at = u.end
		}
	}
	return at
}

func subtract(h, o usage.Hours) usage.Hours {
	rest := usage.Hours{}
	for hour, t := range h {
		if left := t.Sub(o[hour]); left != (usage.Totals{}) {
			rest[hour] = left
		}
	}
	return rest
}
