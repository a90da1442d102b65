package extractive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"earshot.dev/functions/finalize/summary"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// began is a Monday.
var began = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// dialogue makes segments of lines, five seconds each, by two speakers in turn.
func dialogue(lines string) []transcript.Segment {
	var segments []transcript.Segment
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			n := len(segments)
			start := time.Duration(n) * 5 * time.Second
			segments = append(segments, transcript.Segment{
				ID: fmt.Sprint(n), Text: line, Speaker: n % 2, Start: start, End: start + 5*time.Second,
			})
		}
	}
	return segments
}

var loaded = sync.OnceValues(New)

func newSummarizer(t testing.TB) *Summarizer {
	t.Helper()
	s, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func summarize(t testing.TB, language string, segments []transcript.Segment) conversation.Structured {
	t.Helper()
	s, discard, err := newSummarizer(t).Summarize(t.Context(), segments, language, began)
	if err != nil || discard {
		t.Fatalf("got discard %v, %v", discard, err)
	}
	if s.Summarizer != Name || s.Emoji != summary.Emoji(s.Category) || !slices.Contains(summary.Categories, s.Category) {
		t.Errorf("got %+v", s)
	}
	for _, text := range []string{s.Title, s.Overview} {
		if !utf8.ValidString(text) {
			t.Errorf("%q is not valid UTF-8", text)
		}
	}
	if n := utf8.RuneCountInString(s.Title); n > maxTitle {
		t.Errorf("title of %d runes: %q", n, s.Title)
	}
	return s
}

// items are the action items in one line each, with the date where they have one.
func items(s conversation.Structured) []string {
	var all []string
	for _, item := range s.ActionItems {
		due := ""
		if item.DueAt != nil {
			due = item.DueAt.Format(" | Mon 02 15:04")
		}
		all = append(all, item.Description+due)
	}
	return all
}

const meeting = `
	Good morning, how was your weekend?
	Pretty good, thanks. Shall we talk about the product launch?
	Yes. The launch date is still the fifteenth, but the marketing budget isn't approved yet.
	Dr. Miller said the marketing budget needs another review before the board meets.
	Okay, I'll send her the revised marketing budget by Friday.
	Great. What about the landing page? The design team finished the first version.
	The landing page loads slowly on phones, so we need to fix the images before the launch date.
	Can you book the demo room for Thursday? The customers want to see the product.
	Sure. And don't forget to invite the sales team, because they missed the last demo.
	Right. I think we should be fine. If I need to change anything, I'll tell you.
	Perfect. I'll be honest, I was worried about the budget.
	Me too. Let's see how it goes. Bye!`

func TestMeeting(t *testing.T) {
	got := summarize(t, "en-US", dialogue(meeting))
	if want := "Marketing Budget and Launch Date"; got.Title != want {
		t.Errorf("title: got %q, want %q", got.Title, want)
	}
	if got.Category != "work" {
		t.Errorf("category: got %q, want work", got.Category)
	}
	want := []string{
		"Send her the revised marketing budget by Friday | Fri 27 23:59",
		"Fix the images before the launch date",
		"Book the demo room for Thursday | Thu 26 23:59",
		"Invite the sales team",
	}
	if diff := cmp.Diff(want, items(got)); diff != "" {
		t.Errorf("action items:\n%s", diff)
	}
	checkOverview(t, got.Overview, meeting)
	if !strings.Contains(got.Overview, "marketing budget") {
		t.Errorf("the overview misses what it was about: %s", got.Overview)
	}
}

// checkOverview checks that an overview of a punctuated conversation quotes it, in order.
func checkOverview(t *testing.T, overview, lines string) {
	t.Helper()
	said := strings.ToLower(strings.Join(strings.Fields(lines), " "))
	at := 0
	for quote := range strings.SplitAfterSeq(overview, ". ") {
		found := strings.Index(said[at:], strings.ToLower(strings.Trim(quote, " .")))
		if found < 0 {
			t.Errorf("%q was not said, or not after what stands before it, in:\n%s", quote, overview)
			return
		}
		at += found
	}
	if overview == "" || utf8.RuneCountInString(overview) > maxOverview+100 {
		t.Errorf("overview of %d runes: %q", utf8.RuneCountInString(overview), overview)
	}
}

// What a small recogniser gives: no punctuation, no capitals, a pause now and then.
const unpunctuated = `
	hey so i talked to the doctor about the knee pain yesterday
	oh okay and what did the doctor say about it
	um she thinks the knee needs physical therapy twice a week for about two months and after that we will see whether the
	pain is gone otherwise there might be a surgery but she doesn't think so
	that sounds alright i guess does the insurance pay for physical therapy
	i don't know yet i need to call the insurance tomorrow and ask about the physical therapy
	yeah and could you pick up the prescription from the pharmacy tonight i will cook dinner
	sure i can do that the doctor also said less running and more swimming
	you were never much of a swimmer`

func TestUnpunctuated(t *testing.T) {
	got := summarize(t, "en", dialogue(unpunctuated))
	if got.Title != "Physical Therapy and Knee" && got.Title != "Physical Therapy and Doctor" {
		t.Errorf("title: got %q", got.Title)
	}
	if got.Category != "health" {
		t.Errorf("category: got %q, want health", got.Category)
	}
	want := []string{
		"Call the insurance tomorrow and ask about the physical therapy | Tue 24 23:59",
		"Pick up the prescription from the pharmacy tonight | Mon 23 23:59",
		"Cook dinner",
	}
	if diff := cmp.Diff(want, items(got)); diff != "" {
		t.Errorf("action items:\n%s", diff)
	}
	for quote := range strings.SplitAfterSeq(got.Overview, ". ") {
		if first, _ := utf8.DecodeRuneInString(quote); first < 'A' || first > 'Z' {
			t.Errorf("%q doesn't begin like a sentence", quote)
		}
	}
	if strings.Contains(got.Overview, " i ") || !strings.HasSuffix(got.Overview, ".") {
		t.Errorf("overview: %s", got.Overview)
	}
}

func TestLittle(t *testing.T) {
	for _, tt := range []struct {
		language, text, title, overview string
	}{
		{"en", "", "", ""},
		{"en", "  ", "", ""},
		{"en", "...", "", ""},
		{"en", "hello", "Hello", "Hello."},
		{"en", "um yeah", "Um yeah", "Um yeah."},
		{"en", "Is it raining?", "Is it raining?", "Is it raining?"},
		{"de", "über", "Über", "Über."},
		{"en", "\xff\xfe broken bytes", "Broken bytes", "Broken bytes."},
		{"multi", "👍", "", ""},
	} {
		got := summarize(t, tt.language, []transcript.Segment{{Text: tt.text}})
		if got.Title != tt.title || got.Overview != tt.overview || got.Category != "other" || got.ActionItems != nil {
			t.Errorf("%q: got %+v, want %q, %q", tt.text, got, tt.title, tt.overview)
		}
	}
	if got := summarize(t, "en", nil); got.Title != "" || got.Emoji == "" {
		t.Errorf("no segments: got %+v", got)
	}
}

func TestOtherLanguages(t *testing.T) {
	for _, tt := range []struct{ language, text string }{
		{"de", `Wir müssen über die Wohnung sprechen.
			Die Wohnung in der Gartenstraße ist zu teuer, aber die Küche ist schön.
			Der Vermieter hat gesagt, die Wohnung ist ab März frei.
			Dann schauen wir uns die Wohnung am Freitag an.`},
		{"ru", `Привет, ты купил билеты на поезд?
			Да, билеты на поезд куплены, мы едем в пятницу вечером.
			Отлично, тогда надо забронировать гостиницу.
			Гостиница рядом с вокзалом, поезд приходит в девять.`},
		{"ja", `今日は新しい予算について話しましょう。予算はまだ承認されていません。
			部長は来週予算を確認すると言いました。
			それでは金曜日までに資料を送ります。`},
		{"th", `วันนี้เราจะคุยเรื่องงบประมาณของโครงการใหม่
			งบประมาณยังไม่ได้รับการอนุมัติ`},
		{"ar", `هل حجزت الفندق في باريس؟
			نعم حجزت الفندق قرب المحطة لثلاث ليال.`},
		{"en", `Привет, ты купил билеты на поезд?
			Да, билеты на поезд куплены, мы едем в пятницу вечером.`}, // not what the client said
	} {
		got := summarize(t, tt.language, dialogue(tt.text))
		if got.Title == "" || got.Overview == "" || got.Category != "other" || got.ActionItems != nil {
			t.Errorf("%s: got %+v", tt.language, got)
		}
		if !strings.Contains(strings.ToLower(tt.text), strings.ToLower(strings.TrimRight(got.Title, "?؟…"))) {
			t.Errorf("%s: the title is not from the text: %q", tt.language, got.Title)
		}
	}
}

// A text without spaces or punctuation is cut where no mark belongs to the character before.
func TestUnspacedIsCut(t *testing.T) {
	long := strings.Repeat("งบประมาณที่ยังไม่ได้รับการอนุมัติ", 20)
	pieces := cut(long)
	if len(pieces) < 5 || strings.Join(pieces, "") != long {
		t.Errorf("%d pieces, joined %v", len(pieces), strings.Join(pieces, "") == long)
	}
}

func TestRepetitionIsQuotedOnce(t *testing.T) {
	got := summarize(t, "en", dialogue(strings.Repeat("The parcel arrives at the office on Monday morning.\n", 12)+
		"Somebody has to be there to open the big gate for the driver.\n"))
	if n := strings.Count(got.Overview, "parcel"); n != 1 {
		t.Errorf("quoted %d times: %s", n, got.Overview)
	}
}

func TestDeterministic(t *testing.T) {
	segments := longDialogue(1000) // more than one window
	want := summarize(t, "en", segments)
	if diff := cmp.Diff(want, summarize(t, "en", segments)); diff != "" {
		t.Fatal(diff)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := newSummarizer(t).Summarize(ctx, longDialogue(1000), "en", began)
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}

// longDialogue has the number of segments, each with a sentence or two, of about as many words as speech has.
func longDialogue(segments int) []transcript.Segment {
	subjects := strings.Fields("budget launch customer server garden doctor ticket kitchen teacher contract engine photo")
	verbs := strings.Fields("needs changed broke improved delayed surprised cost helped")
	var text strings.Builder
	for i := range segments {
		a, b := subjects[i*7%len(subjects)], subjects[(i*5+i/11)%len(subjects)]
		fmt.Fprintf(&text, "So the %s %s the %s number %d in the end, and nobody asked why it took until week %d. ",
			a, verbs[i*3%len(verbs)], b, i%97, i%52)
		if i%9 == 0 {
			fmt.Fprintf(&text, "I'll send the %s report to %s by Friday.", a, b)
		}
		text.WriteString("\n")
	}
	return dialogue(text.String())
}

// Eight hours at 150 words a minute are 72,000 words.
func BenchmarkEightHours(b *testing.B) {
	segments := longDialogue(3600)
	words := 0
	for _, s := range segments {
		words += s.Words()
	}
	s := newSummarizer(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Summarize(b.Context(), segments, "en", began); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(words), "words")
}

func FuzzSummarize(f *testing.F) {
	f.Add(meeting, "en")
	f.Add(unpunctuated, "multi")
	f.Add("今日は。\n明日までに", "ja")
	f.Add("i'll \xff\xfe send\u0301 it by\n.\n''", "")
	f.Add("I'LL CALL İSTANBUL in 99999999999999999999 days", "en")
	s := newSummarizer(f)
	f.Fuzz(func(t *testing.T, text, language string) {
		got, _, err := s.Summarize(t.Context(), dialogue(text), language, began)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(got.Title+got.Overview) || utf8.RuneCountInString(got.Title) > maxTitle {
			t.Errorf("%q: title %q, overview %q", text, got.Title, got.Overview)
		}
	})
}
