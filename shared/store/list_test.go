package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

func TestList(t *testing.T) {
	s, _ := open(t)
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	ids := map[string]string{}
	add := func(uid, name, source string, at time.Time, change func(*conversation.Conversation)) {
		a := attachment("s", at)
		a.Device, a.Source = name, source
		c, _, err := s.Attach(t.Context(), uid, a)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(&c)
			if err := s.Commit(t.Context(), uid, &c); err != nil {
				t.Fatal(err)
			}
		}
		ids[c.ID] = name
	}
	complete := func(discarded bool) func(*conversation.Conversation) {
		return func(c *conversation.Conversation) {
			c.End(start, conversation.EndSilence, "e")
			c.TakeClaim("t", start, time.Minute)
			c.Complete(conversation.Structured{}, discarded, start, "")
		}
	}
	add("u", "a", "omi", start, complete(false))
	add("u", "b", "desktop", start.Add(time.Hour), complete(true))
	add("u", "c", "omi", start.Add(2*time.Hour), complete(false))
	add("u", "d", "omi", start.Add(3*time.Hour), nil)
	add("v", "somebody else's", "omi", start, nil)
	all := conversation.Window{Limit: 10}
	done := []conversation.Status{conversation.Completed, conversation.Failed}
	var mark conversation.Mark
	for _, tt := range []struct {
		name   string
		filter conversation.Filter
		window conversation.Window
		want   string
	}{
		{"all", conversation.Filter{}, all, "dcba"},
		{"a status", conversation.Filter{Statuses: done[:1]}, all, "cba"},
		{"statuses", conversation.Filter{Statuses: done}, all, "cba"},
		{"live", conversation.Filter{Statuses: []conversation.Status{conversation.Live}}, all, "d"},
		{"kept", conversation.Filter{Statuses: done, KeptOnly: true}, all, "ca"},
		{"a source", conversation.Filter{Sources: []string{"omi"}}, all, "dca"},
		{"sources, kept", conversation.Filter{Sources: []string{"omi", "desktop"}, KeptOnly: true}, all, "dca"},
		{"since", conversation.Filter{From: start.Add(time.Hour)}, all, "dcb"},
		{"until", conversation.Filter{Through: start.Add(time.Hour)}, all, "ba"},
		{"first two", conversation.Filter{}, conversation.Window{Limit: 2}, "dc"},
		{"next two", conversation.Filter{}, conversation.Window{Limit: 2, Offset: 2}, "ba"},
		{"past the end", conversation.Filter{}, conversation.Window{Limit: 2, Offset: 4}, ""},
	} {
		list, err := s.List(t.Context(), "u", tt.filter, tt.window)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, c := range list {
			got += ids[c.ID]
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if tt.name == "first two" {
			mark = list[1].Mark()
		}
		if tt.window == all {
			if n, err := s.Count(t.Context(), "u", tt.filter); err != nil || n != len(tt.want) {
				t.Errorf("%s: counted %d (%v), want %d", tt.name, n, err, len(tt.want))
			}
		}
	}
	list, err := s.List(t.Context(), "u", conversation.Filter{}, conversation.Window{Limit: 10, After: mark})
	if err != nil || len(list) != 2 || ids[list[0].ID] != "b" {
		t.Errorf("after %s: got %+v (%v), want b and a", ids[mark.ID], list, err)
	}
}

// Of conversations that began at the same time none is left out or comes twice.
func TestListAtOneTime(t *testing.T) {
	s, _ := open(t)
	at := time.Now()
	for _, device := range []string{"a", "b", "c", "d", "e"} {
		a := attachment("s", at)
		a.Device = device
		attach(t, s, a)
	}
	var seen []string
	w := conversation.Window{Limit: 2}
	for {
		list, err := s.List(t.Context(), "u", conversation.Filter{}, w)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			seen = append(seen, c.ID)
			w.After = c.Mark()
		}
		if len(list) < w.Limit {
			break
		}
	}
	slices.Sort(seen)
	if got := len(slices.Compact(seen)); got != 5 || len(seen) != 5 {
		t.Errorf("saw %d conversations in %d, want 5", got, len(seen))
	}
}

func TestDevices(t *testing.T) {
	s, _ := open(t)
	newest := func(want string) {
		t.Helper()
		if got, err := s.NewestLive(t.Context(), "u"); err != nil || got != want {
			t.Errorf("the newest that is live: got %q, %v; want %q", got, err, want)
		}
	}
	newest("")
	var live []conversation.Conversation
	for i, device := range []string{"phone", "watch", "phone"} {
		a := attachment("s", time.Now().Add(time.Duration(i)*time.Second))
		a.Device = device
		c := attach(t, s, a)
		if i < 2 {
			live = append(live, c)
		}
		newest(live[len(live)-1].ID) // the third attached to the first again
		if got, err := s.Device(t.Context(), "u", device); err != nil || got.ConversationID != c.ID {
			t.Errorf("%s: got %+v (%v)", device, got, err)
		}
	}
	for n, l := range slices.Backward(live) {
		c, err := s.Conversation(t.Context(), "u", l.ID)
		if err != nil || !c.End(time.Now(), conversation.EndRequested, event.ConversationEnded) {
			t.Fatalf("end: %v", err)
		}
		if err := s.Commit(t.Context(), "u", &c); err != nil {
			t.Fatal(err)
		}
		newest([]string{"", live[0].ID}[n])
	}
	if _, err := s.Device(t.Context(), "u", "desktop"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestPageSegments(t *testing.T) {
	s, _ := open(t)
	c := attach(t, s, attachment("s", time.Now()))
	c.Pages = 3
	var pages []transcript.Page
	for number, text := range []string{"one", "two", "three"} {
		pages = append(pages, transcript.Page{Number: number, Segments: []transcript.Segment{{ID: text, Text: text}}})
	}
	if err := s.Commit(t.Context(), "u", &c, pages...); err != nil {
		t.Fatal(err)
	}
	for from, want := range []string{"[one two]", "[two]"} {
		got, err := s.PageSegments(t.Context(), "u", c.ID, from, 2)
		var texts []string
		for _, segment := range got {
			texts = append(texts, segment.Text)
		}
		if fmt.Sprint(texts) != want || err != nil {
			t.Errorf("from %d on: got %v (%v), want %s", from, texts, err, want)
		}
	}
	if _, err := s.PageSegments(t.Context(), "u", c.ID, 1, 4); !fault.Is(err, fault.NotFound) {
		t.Errorf("more than there are: got %v, want not found", err)
	}
}

func TestPeriods(t *testing.T) {
	s, _ := open(t)
	hours := usage.Hours{}
	for _, hour := range []string{"2025-12-31T23", "2026-01-01T00", "2026-01-31T12", "2026-02-01T00", "2026-12-31T23"} {
		hours[hour] = usage.Totals{Words: 1}
	}
	if _, err := s.RecordUsage(t.Context(), "u", "c", hours); err != nil {
		t.Fatal(err)
	}
	keys := func(periods []usage.Period, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, p := range periods {
			if p.Words == 0 {
				t.Errorf("%s: nothing was used", p.Key)
			}
			keys = append(keys, p.Key)
		}
		return keys
	}
	if got := keys(s.Days(t.Context(), "u", "2026-01-01", "2026-01-31")); !slices.Equal(got, []string{"2026-01-01", "2026-01-31"}) {
		t.Errorf("days of January: got %q", got)
	}
	if got := keys(s.Months(t.Context(), "u", "2026-01", "2026-12")); !slices.Equal(got, []string{"2026-01", "2026-02", "2026-12"}) {
		t.Errorf("months of 2026: got %q", got)
	}
	if got := keys(s.Days(t.Context(), "u", "2027-01-01", "2027-01-31")); len(got) != 0 {
		t.Errorf("nothing was used: got %q", got)
	}
}
