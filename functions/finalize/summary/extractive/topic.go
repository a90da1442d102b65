package extractive

import (
	"strings"

	"earshot.dev/functions/finalize/summary"
	"earshot.dev/shared/conversation"
)

// What a category needs to be voted in: different words of its own, and a part of all meaningful words.
const (
	minKeywords  = 2
	keywordVotes = 3   // of one word, however often it is said
	minShare     = 100 // one vote in so many words
)

// category is the one whose keywords are said most, or else "other"; of equals the first in the order of all.
func (t *text) category() string {
	if !t.english {
		return conversation.CategoryOther
	}
	words := 0
	for _, n := range t.count {
		words += n
	}
	votes, kinds := map[string]int{}, map[string]int{}
	for n, word := range t.words {
		for _, category := range topics[word] {
			votes[category] += min(t.count[n], keywordVotes)
			kinds[category]++
		}
	}
	winner := conversation.CategoryOther
	for _, category := range summary.Categories {
		enough := kinds[category] >= minKeywords && votes[category]*minShare >= words
		if enough && votes[category] > votes[winner] {
			winner = category
		}
	}
	return winner
}

// topics are the categories of each keyword, in the singular.
var topics = byKeyword(map[string]string{
	"personal":         "diary habit routine hobby journal resolution birthday goal lonely",
	"education":        "school class teacher student homework exam lesson university college course professor grade lecture semester tutor math study essay",
	"health":           "doctor hospital medicine pain headache sick symptom appointment therapy diet vitamin blood surgery dentist prescription nurse clinic fever allergy sleep exercise workout",
	"finance":          "money budget invoice bank loan mortgage tax salary savings investment stock interest credit debt payment account fund pension expense refund",
	"legal":            "lawyer contract court judge lawsuit attorney clause agreement liability legal sue license trial law settlement",
	"philosophy":       "philosophy meaning existence moral ethics truth consciousness socrates plato nietzsche metaphysics stoic",
	"spiritual":        "god prayer pray church faith bible meditation soul spirit temple blessing sermon mosque holy",
	"science":          "experiment physics chemistry biology theory hypothesis lab scientist molecule quantum gene telescope research cell planet",
	"entrepreneurship": "startup founder investor pitch venture seed accelerator bootstrap cofounder valuation equity entrepreneur",
	"parenting":        "diaper toddler baby bedtime daycare kindergarten nap stroller tantrum babysitter newborn pacifier",
	"romantic":         "boyfriend girlfriend kiss anniversary romantic crush wedding engaged valentine dating",
	"travel":           "flight hotel airport trip passport luggage vacation visa train ticket tourist beach itinerary suitcase boarding booking",
	"inspiration":      "dream inspire inspiring motivation courage passion believe inspiration purpose gratitude",
	"technology":       "software computer app code server database api bug phone laptop algorithm website deploy release browser programming android iphone cloud robot backend frontend",
	"business":         "customer sale market revenue client profit strategy partner deal product company pricing quarter supplier competitor contract growth",
	"social":           "party friend dinner drink invite barbecue guest neighbor celebrate hangout club brunch",
	"work":             "meeting project deadline manager office team report boss colleague task sprint presentation interview shift schedule coworker slide agenda launch review",
	"sports":           "game match team score goal football soccer basketball tennis coach player league season tournament marathon baseball playoff referee",
	"politics":         "election vote president government senator congress parliament party minister policy campaign democrat republican candidate",
	"literature":       "book novel poem author chapter character poetry writer reading library fiction plot verse",
	"history":          "war century empire king queen ancient revolution medieval roman dynasty historical history museum",
	"architecture":     "building facade architect blueprint column skyscraper cathedral arch construction floorplan",
	"music":            "song band guitar piano concert album singer melody drum rehearsal chord lyric violin playlist orchestra",
	"weather":          "rain snow storm forecast temperature sunny wind cloudy degree humid thunder umbrella weather",
	"news":             "headline news journalist reporter article newspaper broadcast breaking press",
	"entertainment":    "movie film show episode actor series netflix theater comedy cinema trailer celebrity actress",
	"psychology":       "anxiety therapist emotion stress trauma depression behavior feeling cognitive mental subconscious",
	"real":             "apartment rent landlord lease tenant realtor house bedroom mortgage property listing deposit furnished",
	"design":           "design logo color font layout sketch typography prototype palette mockup figma icon",
	"family":           "mom dad sister brother grandma grandpa cousin aunt uncle family kid daughter son mother father parent nephew niece",
	"economics":        "inflation economy unemployment gdp recession trade tariff supply demand currency export",
	"environment":      "climate pollution recycling carbon emission solar forest plastic renewable wildlife ocean compost sustainability",
})

func byKeyword(lists map[string]string) map[string][]string {
	topics := map[string][]string{}
	for _, category := range summary.Categories {
		for word := range strings.FieldsSeq(lists[category]) {
			topics[singular(word)] = append(topics[singular(word)], category)
		}
	}
	return topics
}
