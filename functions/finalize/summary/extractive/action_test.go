package extractive

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"earshot.dev/shared/transcript"
)

func TestActionItems(t *testing.T) {
	for _, tt := range []struct {
		said string
		want []string
	}{
		{"I'll email Anna the slides tomorrow.", []string{"Email Anna the slides tomorrow | Tue 24 23:59"}},
		{"I’ll email Anna the slides today.", []string{"Email Anna the slides today | Mon 23 23:59"}},
		{"We need to renew the passport in two weeks.", []string{"Renew the passport in two weeks | Mon 07 23:59"}},
		{"Remember to water the plants.", []string{"Water the plants"}},
		{"Please don't forget to pay the rent by the end of the week.", []string{
			"Pay the rent by the end of the week | Fri 27 23:59",
		}},
		{"Can you please send me the address by Monday?", []string{"Send me the address by Monday | Mon 30 23:59"}},
		{"Could you review it next Wednesday?", []string{"Review it next Wednesday | Wed 02 23:59"}},
		{"Let's schedule a call, and I'll also ask Tom, okay?", []string{"Schedule a call", "Ask Tom"}},
		{"i have to buy milk and eggs and we should book the flights", []string{"Buy milk and eggs", "Book the flights"}},
		{"I'll send the report, the slides, and the budget.", []string{"Send the report, the slides, and the budget"}},
		{"I'm going to fix the door because it squeaks.", []string{"Fix the door"}},
		{"Make sure you check the oil before the trip.", []string{"Check the oil before the trip"}},
		{"I'll call the bank. Yes, I'll call the bank!", []string{"Call the bank"}},

		// What sounds like it and isn't.
		{"I'll be honest, we'll see.", nil},
		{"Can you hear me? Can you believe it?", nil},
		{"Would you like some tea?", nil},
		{"If I need to call the bank, I know the number by heart.", nil},
		{"What do we need to buy?", nil},
		{"Do I have to sign here or over there?", nil},
		{"I didn't have to pay anything last time we went.", nil},
		{"I'll tell you what, let's go.", nil},
		{"We'll meet you there. Let's call it a day.", nil},
		{"She said I should write a book about it some day.", nil},
		{"I will never send that letter to him again.", nil},
		{"I'll check.", nil},
		{"He called, and she will pick it up, I think, at the shop.", nil},
	} {
		got := items(summarize(t, "en", []transcript.Segment{{Text: tt.said}}))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q:\n%s", tt.said, diff)
		}
	}
}

// A day is counted from when it was named, not from when the conversation began.
func TestDueAcrossMidnight(t *testing.T) {
	segment := transcript.Segment{Text: "I'll send the invoice tomorrow.", Start: 15 * 60 * 60 * 1e9}
	got := items(summarize(t, "en", []transcript.Segment{segment}))
	if diff := cmp.Diff([]string{"Send the invoice tomorrow | Wed 25 23:59"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestManyItems(t *testing.T) {
	if got := len(summarize(t, "en", longDialogue(600)).ActionItems); got != maxItems {
		t.Errorf("got %d, want %d", got, maxItems)
	}
}
