package extractive

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"earshot.dev/shared/conversation"
)

const (
	maxItems     = 20
	maxItemWords = 18
	minItemWords = 2
)

// openers are the ways in which people undertake something, or ask others to. A verb of doing has to follow, so that
// "I'll be honest" and "can you believe it" are none.
var openers = rows(`i'll|we'll|i will|we will|i'm going to|i am going to|we're going to|we are going to|i'm gonna|
	we're gonna|i need to|we need to|i have to|we have to|i've got to|we've got to|i gotta|we gotta|i must|we must|i should|
	we should|you need to|let's|please|can you|could you|would you|will you|remember to|don't forget to|make sure to|
	make sure you|make sure we|be sure to`)

// between may stand between an opener and its verb.
var between = set("also just then please probably definitely quickly to still go and")

// notAfter are the words after which an opener undertakes nothing: conditions, questions, what was in the past.
var notAfter = set(`if when whenever unless until whether what how why where who which do did does would could should
	because wish supposed said before`)

// doing are the verbs that something can be done with later. What is also said in passing (see, say, be, think, go,
// give, take, have, try, tell) is not among them.
var doing = set(`add apply arrange ask assign bake book bring build buy call cancel change charge check clean collect
	compare complete configure confirm contact cook copy create decide deliver deploy discuss document download draft email
	file fill find finish fix follow forward get hand hire install invite mail meet message milk order organize pack paint
	pay pick plan post practice prepare print publish push reach read rebook refactor register remind renew renovate repair
	replace reply report request research reschedule reserve respond return review revise schedule sell send set share ship
	sign solve sort submit test text transfer translate update upgrade upload verify visit wash water wire write`)

// notDoing are beginnings that mean something else.
var notDoing = rows("call it|call that|check it out|get it|get to|get back|get going|get into|get started|meet you|read that|" +
	"ask you|ask why|find that|add that|add to that|change that|get over|get used|pick on|set aside|sort of|sell it")

// clauseStarts end an item: what follows is something else.
var clauseStarts = set("because but if while although though since unless whereas")

// subjects begin another clause where they come after a comma or an "and".
var subjects = set("i i'll i'm we we'll we're you he she they it it's that that's this which then okay so there")

// trailing is what an item doesn't end in.
var trailing = set("okay ok right please too then and so yeah alright you know or uh um well thanks")

func rows(list string) [][]string {
	var all [][]string
	for row := range strings.SplitSeq(list, "|") {
		all = append(all, strings.Fields(row))
	}
	return all
}

// actionItems are what somebody undertook, or was asked to do, each once, in order; those in English.
func (t *text) actionItems(began time.Time) []conversation.ActionItem {
	var items []conversation.ActionItem
	if !t.english {
		return items
	}
	known := map[string]bool{}
	for _, s := range t.sentences {
		words := strings.Fields(s.text)
		spelled := make([]string, len(words))
		for i, w := range words {
			spelled[i] = spelling(w)
		}
		for at := 0; at < len(words) && len(items) < maxItems; at++ {
			from, to := undertaking(words, spelled, at)
			if to == from {
				continue
			}
			description := capital(strings.TrimFunc(strings.Join(words[from:to], " "), unicode.IsPunct))
			key := strings.Join(terms(description), " ")
			if !known[key] {
				known[key] = true
				due := dueDate(spelled[from:min(to+3, len(spelled))], began.Add(s.at))
				items = append(items, conversation.ActionItem{Description: description, DueAt: due})
			}
			at = to - 1
		}
	}
	return items
}

// undertaking finds what is undertaken by an opener at the position: words[from:to], empty if there is none.
func undertaking(words, spelled []string, at int) (from, to int) {
	n := opens(spelled[at:])
	if n == 0 || at > 0 && notAfter[spelled[at-1]] && !endsClause(words[at-1]) {
		return 0, 0
	}
	from = at + n
	for from < len(words) && between[spelled[from]] && from < at+n+2 {
		from++
	}
	if from == len(words) || !doing[spelled[from]] || startsWith(spelled[from:], notDoing) > 0 {
		return 0, 0
	}
	to = from + 1
	for to < len(words) && to < from+maxItemWords && !endsItem(words, spelled, to) {
		to++
	}
	for to > from && trailing[spelled[to-1]] {
		to--
	}
	if to-from < minItemWords {
		return 0, 0
	}
	return from, to
}

// opens is the length of the opener that the words begin with, 0 if there is none.
func opens(spelled []string) int { return startsWith(spelled, openers) }

func startsWith(spelled []string, rows [][]string) int {
	longest := 0
	for _, row := range rows {
		if len(row) > longest && len(row) <= len(spelled) && slices.Equal(row, spelled[:len(row)]) {
			longest = len(row)
		}
	}
	return longest
}

func endsClause(word string) bool { return strings.ContainsAny(word[len(word)-1:], ",.;:?!") }

// endsItem reports whether something else begins at the position.
func endsItem(words, spelled []string, at int) bool {
	if strings.ContainsAny(words[at-1][len(words[at-1])-1:], ".;:?!") || clauseStarts[spelled[at]] ||
		opens(spelled[at:]) > 0 {
		return true
	}
	joins := spelled[at] == "and" || spelled[at] == "so" || spelled[at] == "then" || spelled[at] == "that"
	if endsClause(words[at-1]) && (subjects[spelled[at]] || trailing[spelled[at]] && !joins) {
		return true
	}
	return joins && at+1 < len(words) && (subjects[spelled[at+1]] || opens(spelled[at+1:]) > 0)
}
