package extractive

import (
	"strings"
	"time"
	"unicode"

	"earshot.dev/shared/transcript"
)

// Where there is no punctuation, a segment is the sentence, unless it is longer than this.
const (
	longWords   = 40  // words of a sentence that is left whole
	pieceWords  = 25  // words, about, that longer ones are cut into
	pieceLength = 100 // runes of the pieces of a text that has no spaces
)

// sentence is what is ranked and quoted.
type sentence struct {
	text  string
	at    time.Duration // when its segment began
	terms []string      // its words in one spelling, stop words and all
}

// split takes segments apart into sentences, in order.
func (s *Summarizer) split(segments []transcript.Segment) []sentence {
	var all []sentence
	for _, segment := range segments {
		for _, found := range s.splitter.Tokenize(strings.ToValidUTF8(segment.Text, " ")) {
			for _, piece := range cut(found.Text) {
				if terms := terms(piece); len(terms) > 0 {
					all = append(all, sentence{piece, segment.Start, terms})
				}
			}
		}
	}
	return all
}

// cut takes a text that is too long for a sentence apart into pieces of about the same length.
func cut(text string) []string {
	words := strings.Fields(text)
	if len(words) <= longWords {
		return cutRunes(strings.Join(words, " "))
	}
	var pieces []string
	for len(words) > longWords {
		at := clause(words)
		pieces = append(pieces, cutRunes(strings.Join(words[:at], " "))...)
		words = words[at:]
	}
	return append(pieces, cutRunes(strings.Join(words, " "))...)
}

// clause is where a clause may begin that is nearest to where a piece should end; if there is none, it is there.
func clause(words []string) int {
	for off := range pieceWords / 2 {
		for _, at := range []int{pieceWords - off, pieceWords + off} {
			if conjunctions[words[at]] {
				return at
			}
		}
	}
	return pieceWords
}

func cutRunes(text string) []string {
	var pieces []string
	from, length := 0, 0
	for i, r := range text {
		if length++; length > pieceLength && unspaced(r) && !unicode.IsMark(r) {
			pieces = append(pieces, text[from:i])
			from, length = i, 1
		}
	}
	return append(pieces, text[from:])
}

// terms are the words of a text in one spelling: lower case, straight apostrophes, nothing else but letters and
// digits. A script without spaces gives pairs of neighbouring characters, which serve as well for comparison.
func terms(text string) []string {
	text = strings.ToLower(strings.ReplaceAll(text, "’", "'"))
	fields := strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && r != '\''
	})
	var all []string
	for _, field := range fields {
		if strings.ContainsFunc(field, unspaced) {
			all = append(all, pairs([]rune(field))...)
		} else if word := strings.Trim(field, "'"); word != "" {
			all = append(all, word)
		}
	}
	return all
}

func pairs(runes []rune) []string {
	if len(runes) == 1 {
		return []string{string(runes)}
	}
	var all []string
	for i := range len(runes) - 1 {
		all = append(all, string(runes[i:i+2]))
	}
	return all
}

// unspaced reports whether r is of a script that puts no spaces between words.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer,
		unicode.Myanmar)
}
