package transcript

import (
	"slices"
	"time"
)

// PageSize is the number of segments a page holds. At 2 KB a segment a page stays well under the 1 MiB that a
// Firestore document may have.
const PageSize = 128

// Page is a stored group of segments. All pages but the last are full and never change again.
type Page struct {
	Number   int
	Segments []Segment
}

// Change is what an addition did, for clients that replace segments by id.
type Change struct {
	Changed []Segment // new ones and ones that grew, in order of time
	Deleted []string  // ids of segments that another one absorbed
}

// Transcript assembles final words into segments and pages. It keeps only the open page and the pages closed
// since the last Saved, so that its size doesn't grow with the conversation. It is not safe for concurrent use.
type Transcript struct {
	open   Page
	closed []Page
}

// Resume continues a transcript from its last stored page; the zero Page begins one.
func Resume(last Page) *Transcript {
	return &Transcript{open: Page{last.Number, slices.Clone(last.Segments)}}
}

// Add takes segments in at their place in time and merges them with their neighbours.
func (t *Transcript) Add(segments ...Segment) Change {
	touched := make(map[string]bool, len(segments))
	var change Change
	for _, s := range segments {
		if s.Text == "" {
			continue
		}
		kept, absorbed := t.add(s)
		touched[kept] = true
		if absorbed != "" {
			delete(touched, absorbed)
			change.Deleted = append(change.Deleted, absorbed)
		}
	}
	for _, page := range append(slices.Clip(t.closed), t.open) {
		for _, s := range page.Segments {
			if touched[s.ID] {
				change.Changed = append(change.Changed, s)
			}
		}
	}
	return change
}

// add gives the id of the segment that now holds the words of s, and of the one that it absorbed, if any.
func (t *Transcript) add(s Segment) (kept, absorbed string) {
	at := t.position(s.Start)
	if at > 0 && t.open.Segments[at-1].merges(s) {
		at--
		t.open.Segments[at] = t.open.Segments[at].merge(s)
	} else {
		if len(t.open.Segments) == PageSize {
			// What comes late and belongs into a full page opens the next one: closed pages don't change.
			t.closed = append(t.closed, t.open)
			t.open = Page{Number: t.open.Number + 1}
			at = 0
		}
		t.open.Segments = slices.Insert(t.open.Segments, at, s)
	}
	if at+1 < len(t.open.Segments) && t.open.Segments[at].merges(t.open.Segments[at+1]) {
		absorbed = t.open.Segments[at+1].ID
		t.open.Segments[at] = t.open.Segments[at].merge(t.open.Segments[at+1])
		t.open.Segments = slices.Delete(t.open.Segments, at+1, at+2)
	}
	return t.open.Segments[at].ID, absorbed
}

// Name says who spoke some segments, and gives those that are still at hand, changed. Segments of pages that are closed
// don't change any more, stored or not: the others are for the caller to remember.
func (t *Transcript) Name(ids []string, personID string, isUser bool) (change Change, others []string) {
	for _, id := range ids {
		is := func(s Segment) bool { return s.ID == id }
		if i := slices.IndexFunc(t.open.Segments, is); i >= 0 {
			t.open.Segments[i] = t.open.Segments[i].SpokenBy(personID, isUser)
			change.Changed = append(change.Changed, t.open.Segments[i])
			continue
		}
		others = append(others, id)
		for _, segments := range t.closedSegments() {
			if i := slices.IndexFunc(segments, is); i >= 0 {
				change.Changed = append(change.Changed, segments[i].SpokenBy(personID, isUser))
			}
		}
	}
	return change, others
}

// Has reports whether a segment is at hand: in the open page, or in one that was closed since the last Saved.
func (t *Transcript) Has(id string) bool {
	return slices.ContainsFunc(append(t.closedSegments(), t.open.Segments), func(segments []Segment) bool {
		return slices.ContainsFunc(segments, func(s Segment) bool { return s.ID == id })
	})
}

func (t *Transcript) closedSegments() [][]Segment {
	var all [][]Segment
	for _, p := range t.closed {
		all = append(all, p.Segments)
	}
	return all
}

// position is the index in the open page at which a segment that starts at start belongs.
func (t *Transcript) position(start time.Duration) int {
	at := len(t.open.Segments)
	for at > 0 && t.open.Segments[at-1].Start > start {
		at--
	}
	return at
}

// Unsaved gives a copy of the pages to store: those closed since the last Saved, and the open one.
func (t *Transcript) Unsaved() []Page {
	pages := slices.Clone(t.closed)
	return append(pages, Page{t.open.Number, slices.Clone(t.open.Segments)})
}

// Saved forgets the closed pages below number, which are stored.
func (t *Transcript) Saved(number int) {
	t.closed = slices.DeleteFunc(t.closed, func(p Page) bool { return p.Number < number })
}

// Len is the number of segments, as far as the pages are full: every page but the open one is.
func (t *Transcript) Len() int { return t.open.Number*PageSize + len(t.open.Segments) }
