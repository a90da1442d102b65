package terminal

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"earshot.dev/scripts/stream/client"
	"earshot.dev/shared/transcript"
)

func segments(id string, start time.Duration, text string) client.Message {
	return client.Message{Type: client.Segments, Segments: []transcript.Segment{{ID: id, Start: start, Text: text}}}
}

var speech = []client.Message{
	{Type: client.Interim, Text: "hell"},
	{Type: client.Interim, Text: "hello wor"},
	segments("a", time.Second, "Hello world."),
	{Type: client.Interim, Text: "how ah you doing to day my", Start: 2},
	segments("a", time.Second, "Hello world. How are you doing today?"),
	{Type: client.ServiceStatus, Status: "ready"},
	{Type: client.Interim, Text: "fin", Start: 65},
	segments("b", 65*time.Second, "Fine."),
}

func TestPlainSpeechWritesNewWordsOnce(t *testing.T) {
	var got strings.Builder
	s := Plain(&got).Speech()
	for _, m := range speech {
		s.Take(m)
	}
	want := "  0:01  Hello world.\n" +
		"        How are you doing today?\n" +
		"  1:05  Fine.\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
	if got, want := s.Transcript.Text(), "Hello world. How are you doing today? Fine."; got != want {
		t.Errorf("the transcript is %q, want %q", got, want)
	}
}

func TestTerminalShowsTheLatestWordsInPlace(t *testing.T) {
	var written strings.Builder
	s := (&Terminal{w: &written, width: func() int { return 32 }}).Speech()
	want := [][]string{
		{"  0:00  hell"},
		{"  0:00  hello wor"},
		{"  0:01  Hello world."},
		{"  0:01  Hello world. how ah you", "        doing to day my"},
		{"  0:01  Hello world. How are you", "        doing today?"},
		{"  0:01  Hello world. How are you", "        doing today?"},
		{"  0:01  Hello world. How are you", "        doing today? fin"},
		{"  0:01  Hello world. How are you", "        doing today?", "  1:05  Fine."},
	}
	for i, m := range speech {
		s.Take(m)
		if got := screen(t, written.String()); !slices.Equal(got, want[i]) {
			t.Fatalf("after message %d the screen is\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(want[i], "\n"))
		}
	}
	if !strings.Contains(written.String(), "\x1b[2mfin\x1b[0m") && !strings.Contains(written.String(), "\x1b[2m fin\x1b[0m") {
		t.Errorf("%q doesn't dim what may change", written.String())
	}
}

func TestWhatIsSettledStays(t *testing.T) {
	var written strings.Builder
	s := (&Terminal{w: &written, width: func() int { return 80 }}).Speech()
	s.Take(segments("a", 0, "one"))
	s.t.Printf("a line between\n")
	s.Settle()
	s.Take(segments("a", 0, "one two"))
	want := []string{"  0:00  one", "a line between", "  0:00  one two"}
	if got := screen(t, written.String()); !slices.Equal(got, want) {
		t.Errorf("the screen is %q, want %q", got, want)
	}
}

// control matches the sequences that are written.
var control = regexp.MustCompile(`\x1b\[(\d*)([AJm])`)

// screen is what a terminal shows of what was written to it: whole lines, and the cursor at the beginning of one.
func screen(t *testing.T, written string) []string {
	t.Helper()
	var lines []string
	row := 0
	for line := range strings.Lines(written) {
		text := control.ReplaceAllStringFunc(line, func(sequence string) string {
			switch m := control.FindStringSubmatch(sequence); m[2] {
			case "A":
				up, err := strconv.Atoi(m[1])
				if err != nil || up > row {
					t.Fatalf("%q leads out of the screen", sequence)
				}
				row -= up
			case "J":
				lines = lines[:row]
			}
			return ""
		})
		lines = append(lines[:row], strings.TrimRight(text, " \n"))
		row++
	}
	return lines
}

func TestWrap(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"  one  ", []string{"one"}},
		{"twenty columns, these", []string{"twenty columns,", "these"}},
		{"twenty columns, this", []string{"twenty columns, this"}},
		{"awordthatislongerthanaline of text", []string{"awordthatislongerthanaline", "of text"}},
		{"äöüäöüäöü äöüäöüäöü é", []string{"äöüäöüäöü äöüäöüäöü", "é"}},
	}
	for _, test := range tests {
		if got := wrap(test.text, 20); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

func TestFieldsAreAligned(t *testing.T) {
	var got strings.Builder
	Plain(&got).Field("overview", strings.Repeat("word ", 20))
	want := "  overview    " + strings.TrimSpace(strings.Repeat("word ", 13)) + "\n" +
		"              " + strings.TrimSpace(strings.Repeat("word ", 7)) + "\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}
