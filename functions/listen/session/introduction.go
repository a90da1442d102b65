package session

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/transcript"
)

// introduction is how people say their name, in the languages of the recognisers. Only what can hardly mean anything else
// is here: "I'm Ada" counts after a greeting, since "I'm German" is no name. The name is its last group that isn't empty.
var introduction = regexp.MustCompile(`(?:^|[^\p{L}])(?:` +
	`(?i:my name is|my name's|(?:hi|hello|hey)(?:,| there,?)? (?:i am|i'm|i’m)` + // English
	`|ich heiße|ich heisse|mein name ist` + // German
	`|me llamo|mi nombre es` + // Spanish
	`|je m'appelle|je m’appelle|mon nom est` + // French
	`|mi chiamo|il mio nome è` + // Italian
	`|eu me chamo|chamo-me|o? ?meu nome é` + // Portuguese
	`|ik heet|mijn naam is` + // Dutch
	`|jag heter|mitt namn är|jeg heter|jeg hedder|mit navn er|navnet mitt er|nimeni on` + // Swedish, Norwegian, Danish, Finnish
	`|nazywam się|mam na imię|jmenuji se|volám sa|mă numesc` + // Polish, Czech, Slovak, Romanian
	`|меня зовут|мене звати|казвам се` + // Russian, Ukrainian, Bulgarian
	`|benim adım|με λένε)` + // Turkish, Greek
	` (\p{Lu}[\p{L}'’-]*\p{L})` +
	`|(?:我叫|我的名字是|我的名字叫|私の名前は|제 이름은 )(\p{L}{1,6}?)(?:です|と申します|입니다|이에요|예요|[^\p{L}]|$))`)

// introduced is the name by which a speaker introduces themself in a text; empty, if they don't.
func introduced(text string) string {
	found := introduction.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return found[1] + found[2]
}

// introduces is what is known of a speaker's introductions: the last segment that was searched for one, how far, in bytes, and
// the name that was suggested.
type introduces struct {
	segment  string
	searched int
	name     string
}

// longestIntroduction is the most of a text, in bytes, that one may begin before what is new.
const longestIntroduction = 200

// unsearched is what is to be searched of a segment, which only grows at its end: a sentence is searched once, and not with
// each that follows it.
func (in introduces) unsearched(seg transcript.Segment) string {
	if seg.ID != in.segment || in.searched > len(seg.Text) {
		return seg.Text
	}
	before := max(in.searched-longestIntroduction, 0)
	return seg.Text[strings.LastIndexByte(seg.Text[:before], ' ')+1:] // whole words
}

// introductions are the suggestions that segments which changed give rise to: that a speaker whom nobody named yet has
// a name. Each is made once in a conversation.
func (d *draft) introductions(changed []transcript.Segment) (frames [][]byte) {
	for _, seg := range changed {
		speaker := strconv.Itoa(seg.Speaker)
		if _, known := d.notes.people[speaker]; known || seg.IsUser || seg.PersonID != "" {
			continue
		}
		in := d.introduced[seg.Speaker]
		name := introduced(in.unsearched(seg))
		if d.introduced == nil {
			d.introduced = make(map[int]introduces)
		}
		d.introduced[seg.Speaker] = introduces{seg.ID, len(seg.Text), cmp.Or(name, in.name)}
		if name == "" || in.name == name {
			continue
		}
		frames = append(frames, wire.SpeakerLabelSuggestion(seg.Speaker, d.notes.personNamed(name), name, seg.ID))
	}
	return frames
}

// personNamed is the id of the person who was named so in the conversation; empty, if there is none.
func (n *notes) personNamed(name string) string {
	for _, p := range n.people {
		if p.Name == name {
			return p.ID
		}
	}
	return ""
}
