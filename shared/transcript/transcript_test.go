package transcript

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func seg(id, text string, speaker int, start, end float64) Segment {
	return Segment{ID: id, Text: text, Speaker: speaker, Start: duration(start), End: duration(end)}
}

func TestMerge(t *testing.T) {
	long := strings.Repeat("word ", 25) + "end." // 129 characters and a sentence end
	for _, tt := range []struct {
		name        string
		first, next Segment
		want        bool
	}{
		{"one voice, small gap", seg("a", "Hello", 0, 0, 1), seg("b", "there", 0, 2, 3), true},
		{"gap of 3 s", seg("a", "Hello", 0, 0, 1), seg("b", "there", 0, 4, 5), false},
		{"another speaker", seg("a", "Hello", 0, 0, 1), seg("b", "there", 1, 1, 2), false},
		{"short sentence goes on", seg("a", "Hello.", 0, 0, 1), seg("b", "There", 0, 1, 2), true},
		{"long sentence has ended", seg("a", long, 0, 0, 1), seg("b", "There", 0, 1, 2), false},
		{"long one without an end", seg("a", long[:len(long)-1], 0, 0, 1), seg("b", "There", 0, 1, 2), true},
		{"a quoted end is an end", seg("a", long+`"`, 0, 0, 1), seg("b", "There", 0, 1, 2), false},
		{"one that never ends", seg("a", strings.Repeat("x", maxTextBytes), 0, 0, 1), seg("b", "y", 0, 1, 2), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tr Transcript
			tr.Add(tt.first)
			change := tr.Add(tt.next)
			merged := len(tr.open.Segments) == 1
			if merged != tt.want {
				t.Fatalf("merged: got %v, want %v", merged, tt.want)
			}
			if merged && (change.Changed[0].ID != "a" || change.Changed[0].End != tt.next.End) {
				t.Errorf("got %+v, want the first to grow to the end of the next", change)
			}
		})
	}
}

// Words of another channel that come late stand at their place, and what that joins is announced.
func TestLateWordsJoinNeighbours(t *testing.T) {
	var tr Transcript
	tr.Add(seg("a", "one", 0, 0, 1), seg("c", "three", 0, 5, 6))
	change := tr.Add(seg("b", "two", 0, 2.5, 3.5))
	want := Change{Changed: []Segment{seg("a", "one two three", 0, 0, 6)}, Deleted: []string{"c"}}
	if diff := cmp.Diff(want, change); diff != "" {
		t.Error(diff)
	}
}

// Whatever comes in, in whatever order and with whatever saves in between: every word is in the pages once, only
// the last page differs from what was saved before, and the transcript stays small.
func TestPagesHoldEveryWordOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored := map[int]Page{}
		tr := Resume(Page{})
		n := rapid.IntRange(1, 600).Draw(t, "segments")
		var at float64
		for i := range n {
			at += rapid.Float64Range(0, 5).Draw(t, "gap")
			start := max(0, at-rapid.Float64Range(0, 4).Draw(t, "late"))
			tr.Add(seg(fmt.Sprint("s", i), fmt.Sprintf("w%d.", i), rapid.IntRange(0, 2).Draw(t, "speaker"), start, start+1))
			if rapid.IntRange(0, 9).Draw(t, "save") == 0 {
				save(t, tr, stored)
			}
			if rapid.IntRange(0, 99).Draw(t, "reconnect") == 0 {
				save(t, tr, stored)
				tr = Resume(stored[len(stored)-1])
			}
		}
		save(t, tr, stored)
		seen := map[string]int{}
		total := 0
		for number := range len(stored) {
			page := stored[number]
			total += len(page.Segments)
			if number < len(stored)-1 && len(page.Segments) != PageSize {
				t.Fatalf("page %d of %d holds %d segments", number, len(stored), len(page.Segments))
			}
			for _, s := range page.Segments {
				for w := range strings.FieldsSeq(s.Text) {
					seen[w]++
				}
			}
		}
		for i := range n {
			if got := seen[fmt.Sprintf("w%d.", i)]; got != 1 {
				t.Fatalf("word %d is there %d times", i, got)
			}
		}
		if total != tr.Len() {
			t.Fatalf("Len: got %d, want %d", tr.Len(), total)
		}
	})
}

func save(t *rapid.T, tr *Transcript, stored map[int]Page) {
	last := len(stored) - 1
	for _, p := range tr.Unsaved() {
		if p.Number < last {
			t.Fatalf("page %d is written again after page %d was stored", p.Number, last)
		}
		stored[p.Number] = p
	}
	tr.Saved(tr.open.Number)
	if len(tr.closed) != 0 {
		t.Fatalf("%d closed pages are kept after a save", len(tr.closed))
	}
}

func TestSegmentOnTheWire(t *testing.T) {
	s := Segment{ID: "id", Text: "Hello there.", IsUser: true, Start: 1500 * time.Millisecond, End: 2 * time.Second}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"id","text":"Hello there.","speaker":"SPEAKER_00","speaker_id":0,"is_user":true,"person_id":null,` +
		`"start":1.5,"end":2,"translations":[],"speech_profile_processed":true,"stt_provider":null}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	var back Segment
	if err := json.Unmarshal(data, &back); err != nil || back != s {
		t.Errorf("round trip: got %+v (%v), want %+v", back, err, s)
	}
}

func FuzzSegment(f *testing.F) {
	f.Add([]byte(`{"id":"a","text":"t","start":1.25,"end":2e9,"person_id":"p"}`))
	f.Add([]byte(`{"start":-1}`))
	f.Add([]byte(`{"start":-1e300,"end":1e300}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Segment
		if err := json.Unmarshal(data, &s); err != nil {
			return
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("%s was read and can't be written: %v", data, err)
		}
		if day := 24 * time.Hour; max(s.Start, s.End) > 12_000*day || min(s.Start, s.End) < -12_000*day {
			t.Errorf("%s: from %v to %v", data, s.Start, s.End)
		}
	})
}

// A page that is closed may be on its way to the store: it is not written to, and who spoke there is remembered beside it.
func TestNameInAClosedPage(t *testing.T) {
	tr := Resume(Page{})
	for i := range PageSize + 1 {
		tr.Add(Segment{ID: fmt.Sprint(i), Text: "Hi.", Start: time.Duration(i) * time.Minute, End: time.Duration(i)*time.Minute + time.Second})
	}
	sending := tr.Unsaved()
	change, others := tr.Name([]string{"0", fmt.Sprint(PageSize)}, "ada", false)
	if len(change.Changed) != 2 || len(others) != 1 || others[0] != "0" {
		t.Errorf("changed %v, others %v; want both changed, and the first remembered", change.Changed, others)
	}
	for _, page := range append(sending, tr.Unsaved()...) {
		if s := page.Segments[0]; page.Number == 0 && s.PersonID != "" {
			t.Errorf("the closed page says %q", s.PersonID)
		}
	}
}
