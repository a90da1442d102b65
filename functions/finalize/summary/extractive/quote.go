package extractive

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxQuotes   = 4
	maxOverview = 500 // runes
	maxTitle    = 60  // runes
	titleWords  = 8
)

// shape is how well a sentence can stand alone, from 0 to 1.
func shape(s sentence) float64 {
	weight := 1.0
	switch {
	case len(s.terms) < 4:
		weight = 0.3
	case len(s.terms) < 7:
		weight = 0.8
	}
	if strings.HasSuffix(s.text, "?") {
		weight *= 0.6
	}
	return weight
}

// best are the n of the window with the highest scores, in their order; of equals the first.
func best(window []int, scores []float64, n int) []int {
	order := make([]int, len(window))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	order = order[:min(n, len(order))]
	slices.Sort(order)
	kept := make([]int, len(order))
	for i, at := range order {
		kept[i] = window[at]
	}
	return kept
}

// overview quotes the best sentences in the order in which they were said: a third of all, and a few at most. One
// that says what another has said gives way.
func (t *text) overview(scores []float64) string {
	var chosen []int
	left := scores
	length := 0
	for len(chosen) < min(maxQuotes, (len(t.sentences)+2)/3) {
		top := highest(left)
		if top < 0 {
			break
		}
		length += utf8.RuneCountInString(t.sentences[top].text)
		if length > maxOverview && len(chosen) > 0 {
			break
		}
		chosen = append(chosen, top)
		left = t.without(left, top)
	}
	slices.Sort(chosen)
	quotes := make([]string, len(chosen))
	for i, n := range chosen {
		quotes[i] = t.quote(t.sentences[n].text)
	}
	return strings.Join(quotes, " ")
}

// highest is the sentence with the highest score above 0, the first of equals, or -1.
func highest(scores []float64) int {
	top := -1
	for i, s := range scores {
		if s > 0 && (top < 0 || s > scores[top]) {
			top = i
		}
	}
	return top
}

// without lowers the scores of sentences by what they share with the one that was chosen.
func (t *text) without(scores []float64, chosen int) []float64 {
	said := map[int]bool{}
	for _, n := range t.content[chosen] {
		said[n] = true
	}
	left := slices.Clone(scores)
	left[chosen] = 0
	for i := range left {
		if left[i] == 0 || len(t.content[i]) == 0 {
			continue
		}
		shared := 0
		for _, n := range t.content[i] {
			if said[n] {
				shared++
			}
		}
		left[i] *= math.Max(0, 1-float64(shared)/float64(len(t.content[i])))
	}
	return left
}

// quote makes a sentence of what was said: without what one says while thinking, with a capital and a full stop.
func (t *text) quote(said string) string {
	words := strings.Fields(said)
	if t.english {
		for len(words) > 4 && fillers[spelling(words[0])] {
			words = words[1:]
		}
		for len(words) > 4 && dangling[words[len(words)-1]] {
			words = words[:len(words)-1]
		}
		for i, word := range words {
			if word == "i" || strings.HasPrefix(word, "i'") || strings.HasPrefix(word, "i’") {
				words[i] = "I" + word[1:]
			}
		}
	}
	quoted := capital(strings.Join(words, " "))
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(quoted, `"'”’)」』`))
	switch {
	case strings.ContainsRune(".?!…。？！", last):
		return quoted
	case unicode.In(last, unicode.Han, unicode.Hiragana, unicode.Katakana):
		return quoted + "。"
	case unspaced(last):
		return quoted
	default:
		return strings.TrimRightFunc(quoted, unicode.IsPunct) + "."
	}
}

// title is made of the phrases that come back, or else the beginning of the best sentence.
func (t *text) title(scores []float64) string {
	if phrases := t.phrases(); len(phrases) > 0 {
		return shorten(strings.Join(phrases, " and "))
	}
	top := highest(scores)
	if top < 0 {
		return ""
	}
	quoted := t.quote(t.sentences[top].text)
	short := shorten(quoted)
	if t.english && len(strings.Fields(short)) < len(strings.Fields(quoted)) {
		short = withoutTail(short)
	}
	return short
}

// withoutTail takes off the words at the end of a title that was cut which promise more.
func withoutTail(title string) string {
	words := strings.Fields(title)
	for n := len(words); n > 2; n-- {
		if !stopWords[spelling(words[n-1])] {
			return strings.Join(words[:n], " ")
		}
	}
	return title
}

// shorten keeps whole words, as many as a title takes.
func shorten(text string) string {
	words := strings.Fields(strings.TrimRight(text, ".。"))
	short := strings.Join(words[:min(titleWords, len(words))], " ")
	for utf8.RuneCountInString(short) > maxTitle {
		if space := strings.LastIndexByte(short, ' '); space > 0 {
			short = short[:space]
			continue
		}
		short = string([]rune(short)[:maxTitle])
	}
	return strings.TrimRightFunc(short, func(r rune) bool { return unicode.IsPunct(r) && !strings.ContainsRune("?!)？！", r) })
}

func capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToTitle(first)) + text[size:]
}
