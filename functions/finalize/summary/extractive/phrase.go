package extractive

import (
	"slices"
	"strings"
	"unicode"
)

const (
	maxPhrase  = 3 // words
	phraseUses = 2 // how often a phrase is said that is fit for a title
	wordUses   = 3 // the same of a single word
)

// phrase is a row of meaningful words.
type phrase struct {
	stems []string
	words []string // as they were said first
	uses  int
}

// weight prefers what is said often and says much.
func (p *phrase) weight() int { return p.uses * (3*len(p.stems) - 1) }

// phrases are up to two phrases or words that come back, the weightier first. There are none in other languages,
// where nothing is known of what the words mean.
func (t *text) phrases() []string {
	if !t.english {
		return nil
	}
	repeated := t.repeated()
	first := weightiest(repeated, nil)
	if first == nil {
		return nil
	}
	titles := []string{t.display(first)}
	if second := weightiest(repeated, first); second != nil && 3*second.weight() >= first.weight() {
		titles = append(titles, t.display(second))
	}
	if len(titles) == 1 && len(first.stems) == 1 {
		return nil // one word alone is no title
	}
	return titles
}

// weightiest is the phrase that has the most weight of those that share no word with the other, if there is one; of
// equals the first.
func weightiest(phrases []*phrase, other *phrase) *phrase {
	var top *phrase
	for _, p := range phrases {
		if (top == nil || p.weight() > top.weight()) && (other == nil || !p.shares(other)) {
			top = p
		}
	}
	return top
}

func (p *phrase) shares(other *phrase) bool {
	return slices.ContainsFunc(p.stems, func(stem string) bool { return slices.Contains(other.stems, stem) })
}

// repeated are the phrases that come back, in order of first appearance.
func (t *text) repeated() []*phrase {
	var order []*phrase
	known := map[string]*phrase{}
	for _, s := range t.sentences {
		for from := range s.terms {
			for to := from + 1; to <= min(from+maxPhrase, len(s.terms)); to++ {
				if meaningless(s.terms[to-1]) || isDigit(s.terms[to-1][0]) {
					break
				}
				stems := make([]string, 0, maxPhrase)
				for _, word := range s.terms[from:to] {
					stems = append(stems, singular(word))
				}
				key := strings.Join(stems, " ")
				p := known[key]
				if p == nil {
					p = &phrase{stems: stems, words: s.terms[from:to]}
					known[key] = p
					order = append(order, p)
				}
				p.uses++
			}
		}
	}
	var repeated []*phrase
	for _, p := range order {
		if p.uses >= wordUses || p.uses >= phraseUses && len(p.stems) > 1 {
			repeated = append(repeated, p)
		}
	}
	return repeated
}

// display writes a phrase as a title has it, and names and abbreviations as they were written.
func (t *text) display(p *phrase) string {
	words := make([]string, len(p.words))
	for i, word := range p.words {
		words[i] = capital(word)
		if written := t.written(word); written != "" {
			words[i] = written
		}
	}
	return strings.Join(words, " ")
}

// written is how a word was written that has capitals beyond its first letter, such as API or iPhone.
func (t *text) written(term string) string {
	for _, s := range t.sentences {
		for word := range strings.FieldsSeq(s.text) {
			word = strings.TrimFunc(word, unicode.IsPunct)
			if len(word) == len(term) && strings.ToLower(word) == term && strings.ContainsFunc(word[1:], unicode.IsUpper) {
				return word
			}
		}
	}
	return ""
}
