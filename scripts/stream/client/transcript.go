package client

import (
	"slices"
	"strings"

	"earshot.dev/shared/transcript"
)

// Transcript is what a client shows: segments in the order in which they first came. The zero value is empty.
type Transcript struct {
	Segments []transcript.Segment
}

// Apply takes in a message; those without segments change nothing. It reports whether it had any.
func (t *Transcript) Apply(m Message) bool {
	switch m.Type {
	case Segments:
		for _, s := range m.Segments {
			if i := t.index(s.ID); i >= 0 {
				t.Segments[i] = s
			} else {
				t.Segments = append(t.Segments, s)
			}
		}
		return true
	case SegmentsDeleted:
		t.Segments = slices.DeleteFunc(t.Segments, func(s transcript.Segment) bool {
			return slices.Contains(m.SegmentIDs, s.ID)
		})
		return true
	default:
		return false
	}
}

func (t *Transcript) index(id string) int {
	return slices.IndexFunc(t.Segments, func(s transcript.Segment) bool { return s.ID == id })
}

// Text is all that was said, with a space between segments.
func (t *Transcript) Text() string {
	texts := make([]string, len(t.Segments))
	for i, s := range t.Segments {
		texts[i] = s.Text
	}
	return strings.Join(texts, " ")
}
