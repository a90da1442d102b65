package session

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
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
	introduced map[int]string // speakers, by the names that were suggested for them
}

// notes are what the client said beside the audio. They are as they will be once the commit that holds them is done.
type notes struct {
	people map[string]conversation.Person // speakers, by number
	named  map[string]conversation.Person // speakers of segments that don't change any more
	fresh  names                          // of these, what was said since the last commit, which may be refused
	reason conversation.EndReason         // that ends nothing
	made   int                            // how many there were
	stored int                            // how many of them are stored
	sent   int                            // or in the commit under way
}

// names are those of speakers, by their number, and of those who spoke a segment, by its id.
type names struct {
	people, named map[string]conversation.Person
}

func (n *notes) news() bool { return n.made > n.stored }

// acked says what audio is safe as soon as all that is unsaved is stored, and what is so now.
type acked struct{ next, stored conversation.Acked }

func (a *acked) move(next conversation.Acked) { a.next = a.next.Latest(next) }

func (a *acked) news() bool { return a.next.Sequence > a.stored.Sequence }

// open reports whether there is a conversation for words to go to.
func (d *draft) open() bool { return d.stored.ID != "" }

// noted reports whether there are notes to store, in a conversation that is there.
func (d *draft) noted() bool { return d.open() && d.notes.news() }

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
	d.sending, d.sent = 0, nil
	d.notes.merge(stored)
	d.acked.stored = stored.Acked
	d.acked.move(stored.Acked)
	d.reachBack()
	change := d.transcript.Add(d.segments()...)
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
	d.notes = notes{
		people: d.notes.people, fresh: names{maps.Clone(d.notes.people), d.notes.fresh.named}, made: len(d.notes.people),
	}
	maps.DeleteFunc(d.notes.fresh.named, func(id string, _ conversation.Person) bool {
		return !slices.ContainsFunc(d.unsaved, func(u utterance) bool { return u.id == id })
	})
	d.introduced = nil
	d.sending, d.sent = 0, nil
}

// merge takes over what a stored conversation says. What was said since counts more; begin sees to that of segments.
func (n *notes) merge(c conversation.Conversation) {
	people, named := maps.Clone(c.People), maps.Clone(c.Named)
	if people == nil {
		people = make(map[string]conversation.Person)
	}
	if named == nil {
		named = make(map[string]conversation.Person)
	}
	maps.Copy(people, n.fresh.people)
	n.people, n.named = people, named
}

// maxNamed is how many segments of closed pages are remembered to have been named.
const maxNamed = 1000

// name says who a speaker is, from now on and in some segments.
func (d *draft) name(speaker int, p conversation.Person, segments []string) transcript.Change {
	d.notes.made++
	if d.notes.people == nil {
		d.notes.people = make(map[string]conversation.Person)
	}
	if d.notes.fresh.people == nil {
		d.notes.fresh.people = make(map[string]conversation.Person)
	}
	if d.notes.fresh.named == nil {
		d.notes.fresh.named = make(map[string]conversation.Person)
	}
	number := strconv.Itoa(speaker)
	d.notes.people[number], d.notes.fresh.people[number] = p, p
	if !d.open() {
		return transcript.Change{}
	}
	for _, id := range segments {
		if len(d.notes.fresh.named) < maxNamed {
			d.notes.fresh.named[id] = p
		}
	}
	return d.spokenBy(p, segments...)
}

// spokenBy says who spoke some segments of the conversation that is open.
func (d *draft) spokenBy(p conversation.Person, segments ...string) transcript.Change {
	change, others := d.transcript.Name(segments, p.ID, p.ID == conversation.User)
	for _, id := range others {
		if len(d.notes.named) < maxNamed {
			d.notes.named[id] = p
		}
	}
	return change
}

// spoken gives an utterance the person that its speaker is known to be.
func (d *draft) spoken(u utterance) utterance {
	if p, ok := d.notes.people[strconv.Itoa(u.speaker)]; ok && u.person == "" {
		u.person, u.isUser = p.ID, p.ID == conversation.User
		if u.isUser {
			u.person = ""
		}
	}
	return u
}

// drop forgets what was heard and is not stored.
func (d *draft) drop() {
	d.unsaved, d.metered = nil, nil
	d.sending, d.sent = 0, nil
	d.acked.next = d.acked.stored
}

// add takes final words in and gives what they change for the client; nothing as long as no conversation is open.
func (d *draft) add(u utterance) transcript.Change {
	u = d.spoken(u)
	d.unsaved = append(d.unsaved, u)
	if !d.open() {
		return transcript.Change{}
	}
	d.reachBack()
	return d.transcript.Add(u.segment(d.stored.StartedAt))
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

func (d *draft) segments() []transcript.Segment {
	segments := make([]transcript.Segment, len(d.unsaved))
	for i, u := range d.unsaved {
		segments[i] = u.segment(d.stored.StartedAt)
	}
	return segments
}

// commit is the next version of the conversation with all that is unsaved in it, the pages that changed, and
// the flush number by which its outcome is recognised.
func (d *draft) commit() (c conversation.Conversation, pages []transcript.Page, flush int64) {
	c = d.stored
	flush = c.MarkFlush(d.sessionID)
	if n := &d.notes; n.news() {
		c.People, c.Named = maps.Clone(n.people), maps.Clone(n.named)
		c.EndReason = cmp.Or(n.reason, c.EndReason)
	}
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
	if len(d.unsaved) > 0 || d.notes.news() {
		pages = d.transcript.Unsaved()
		c.Segments = d.transcript.Len()
		if c.Segments > 0 {
			c.Pages = pages[len(pages)-1].Number + 1
		} else {
			pages = nil
		}
	}
	d.notes.sent = d.notes.made
	d.sending, d.sent = len(d.unsaved), d.metered
	return c, pages, flush
}

// committed notes that the commit under way took effect and is the stored version now.
func (d *draft) committed(stored conversation.Conversation) {
	began := d.stored.StartedAt
	if d.stored = stored; stored.Segments == 0 && began.Before(stored.StartedAt) {
		d.stored.StartedAt, d.stored.Relisted = began, true // its first words have come meanwhile
	}
	if d.notes.stored = d.notes.sent; !d.notes.news() {
		d.notes.fresh = names{}
	}
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
