package extractive

import (
	"strings"
	"unicode"
)

// set is the words of a text.
func set(words string) map[string]bool {
	s := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		s[w] = true
	}
	return s
}

// fillers are what people say while they think; a quote doesn't begin with them.
var fillers = set(`hey um uh uhm er erm ah oh hmm hm mhm mm so well okay ok yeah yep yes no and but like right alright
	anyway basically actually`)

// conjunctions begin clauses, also where nothing else shows it.
var conjunctions = set(`and but so because then or when while which otherwise`)

// dangling are words with which no sentence ends, but a segment may, where the recogniser cut it.
var dangling = set(`a an the and but or nor so because if whether when while of to from for with at by my your our their its
	his i we he she they is are was were`)

// stopWords are English words that say nothing about what is talked about: the grammar, and the verbs and nouns that
// carry any talk.
var stopWords = set(`a about above across actually after again against ago ah all almost alone along already alright
	also although always am an and another any anybody anyone anything anyway anywhere are aren't around as ask asked at
	away back bad basically be became because become been before being below best better between big bit both bring but by
	call called came can can't cause certain certainly come comes coming completely could couldn't couple course day
	definitely did didn't different do does doesn't doing don't done down during each either else em end enough er erm
	especially even ever every everybody everyone everything everywhere exactly far feel few find fine first for forget
	from full fun gave get gets getting give given gives giving go goes going gonna good got gotta great guess guy guys had
	hadn't half happen happened has hasn't have haven't having he he'd he'll he's hear heard hello help her here here's
	hers herself hey hi high him himself his hm hmm hold home hope hour how how's however huge hundred i i'd i'll i'm i've
	idea if important in instead into is isn't it it'd it'll it's its itself just keep kept kind knew know known last late
	later least left less let let's like liked likely literally little live long look looked looking lot lots love made
	maintain make makes making man many matter may maybe me mean means meant mhm might mine minute mm moment month more
	morning most mostly move mr mrs ms much must my myself name near need needed needs neither never new next nice no
	nobody nope nor not nothing now number obviously of off often oh ok okay old on once one ones only open or other others
	otherwise our ours ourselves out over own part people perfect perhaps person piece place please point possible
	pretty probably put question quick quickly quite rather ready real really reason remember right said same saw say
	saying says second see seem seemed seems seen sense set several shall she she'd she'll she's should shouldn't show side
	simply since small so some somebody somehow someone something sometimes somewhere soon sorry sort sound sounds start
	started still stop stuff such sure take taken takes taking talk talked talking tell ten terrible than thank thanks that
	that'd that'll that's the their theirs them themselves then there there's these they they'd they'll they're they've
	thing things think thinking third this those though thought three through time times to today together told tomorrow
	tonight too took top totally towards tried true try trying turn turned two type uh uhm um under until up upon us use
	used using usually very wait want wanted wants was wasn't way we we'd we'll we're we've week weeks well went were
	weren't what what's whatever when when's where where's whether which while who who's whole whom whose why will wish with
	within without won't wonderful word work worked working works would wouldn't wow wrong yeah year years yep yes
	yesterday yet you you'd you'll you're you've your yours yourself monday tuesday wednesday thursday friday saturday
	sunday four five six seven eight nine hundred thousand`)

// meaningless reports whether an English word says nothing about what is talked about.
func meaningless(word string) bool {
	return stopWords[word] || len(word) == 1 && !isDigit(word[0])
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// singular takes the ending of a plural, or of a genitive, off an English word; roughly, for comparing.
func singular(word string) string {
	word = strings.TrimSuffix(word, "'s")
	switch {
	case len(word) > 4 && strings.HasSuffix(word, "ies"):
		return word[:len(word)-3] + "y"
	case len(word) > 3 && strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") &&
		!strings.HasSuffix(word, "us") && !strings.HasSuffix(word, "is"):
		return word[:len(word)-1]
	default:
		return word
	}
}

// looksEnglish reports whether the rules for English apply: the language says so, or is not known, and a fair part of
// the words are such as every English talk is full of.
func looksEnglish(all []sentence, language string) bool {
	base, _, _ := strings.Cut(strings.ToLower(language), "-")
	if base != "en" && base != "multi" && base != "auto" && base != "" {
		return false
	}
	words, known := 0, 0
	for _, s := range all {
		for _, word := range s.terms {
			words++
			if stopWords[word] {
				known++
			}
		}
	}
	return words < 10 && base == "en" || known*5 >= words
}

// spelling is a word of a text as the lists here have it.
func spelling(word string) string {
	word = strings.ToLower(strings.ReplaceAll(word, "’", "'"))
	return strings.TrimFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}
