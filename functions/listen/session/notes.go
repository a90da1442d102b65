package session

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
)

// notes are what the client said beside the audio. They are as they will be once the commit that holds them is done.
type notes struct {
	names
	former  map[string]conversation.Person // speakers, as the conversation before had them: they count where nobody says otherwise
	fresh   remarks                        // said, and in no commit yet
	sending remarks                        // in the commit under way, which may be refused
	made    int                            // how many there were
	stored  int                            // how many of them are stored
	sent    int                            // or in the commit under way
}

// names say who speakers are, by their number, and who spoke segments that don't change any more, by their id.
type names struct {
	people, named map[string]conversation.Person
}

// remarks are names, and why the conversation will be over if it ends by itself.
type remarks struct {
	names
	reason conversation.EndReason
}

// over gives these remarks, and those of older that say nothing else.
func (r remarks) over(older remarks) remarks {
	return remarks{names{laid(r.people, older.people), laid(r.named, older.named)}, cmp.Or(r.reason, older.reason)}
}

// laid is a map of its own.
func laid(newer, older map[string]conversation.Person) map[string]conversation.Person {
	all := make(map[string]conversation.Person, len(newer)+len(older))
	maps.Copy(all, older)
	maps.Copy(all, newer)
	return all
}

func (n *notes) news() bool { return n.made > n.stored }

// noted reports whether there are notes to store, in a conversation that is there.
func (d *draft) noted() bool { return d.open() && d.notes.news() }

// merge takes over what a stored conversation says. What was said since counts more; begin sees to that of segments.
func (n *notes) merge(c conversation.Conversation) {
	n.people = laid(n.fresh.people, laid(c.People, n.former))
	n.named = laid(c.Named, nil)
}

// commit lays into c what is to be stored, and reports whether there is anything.
func (n *notes) commit(c *conversation.Conversation) bool {
	n.sent = n.made
	if !n.news() {
		return false
	}
	c.People, c.Named = maps.Clone(n.people), maps.Clone(n.named)
	c.EndReason = cmp.Or(n.fresh.reason, c.EndReason)
	n.sending, n.fresh = n.fresh, remarks{}
	return true
}

func (n *notes) committed() { n.stored, n.sending = n.sent, remarks{} }

func (n *notes) refused() { n.fresh, n.sending = n.fresh.over(n.sending), remarks{} }

// next are the notes of the conversation that follows, in which there will be some utterances.
func (n *notes) next(us []utterance) notes {
	next := notes{names: names{people: n.people}, former: maps.Clone(n.people), fresh: n.fresh, made: len(n.people)}
	if next.fresh.reason != "" {
		next.made++
	}
	maps.DeleteFunc(next.fresh.named, func(id string, _ conversation.Person) bool {
		return !slices.ContainsFunc(us, func(u utterance) bool { return u.id == id })
	})
	return next
}

// because notes why the conversation will be over, if it ends by itself: the one that is open, or else the next.
func (n *notes) because(reason conversation.EndReason) {
	if reason != "" {
		n.fresh.reason = reason
		n.made++
	}
}

// maxNamed is how many segments of closed pages are remembered to have been named.
const maxNamed = 1000

// name says who a speaker is, from now on and in some segments.
func (d *draft) name(speaker int, p conversation.Person, segments []string) transcript.Change {
	n := &d.notes
	n.made++
	said := remarks{names: names{people: map[string]conversation.Person{strconv.Itoa(speaker): p}}}
	n.people = laid(said.people, n.people)
	if d.open() {
		said.named = make(map[string]conversation.Person)
		for _, id := range segments {
			if len(n.fresh.named)+len(said.named) < maxNamed {
				said.named[id] = p
			}
		}
	}
	n.fresh = said.over(n.fresh)
	if !d.open() {
		return transcript.Change{}
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
