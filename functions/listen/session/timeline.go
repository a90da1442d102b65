package session

import (
	"slices"
	"time"
)

// timeline maps offsets in the audio that was sent to the recogniser to where they were in the audio received, and
// to the time at which it was said. They differ by all that was left out in between: silence.
type timeline struct {
	marks []mark
}

// mark says that what the recogniser has from offset on was received from position on, and said from at on. Up to
// there speech had been heard for so long.
type mark struct {
	offset, position time.Duration
	at               time.Time
	speech           time.Duration
}

// add notes audio that is about to be sent. Marks come in order.
func (t *timeline) add(m mark) {
	if n := len(t.marks); n > 0 {
		last := &t.marks[n-1]
		gone := m.offset - last.offset
		if last.position+gone == m.position && last.at.Add(gone).Equal(m.at) {
			return // it goes on without a gap
		}
		if gone == 0 {
			*last = m
			return
		}
	}
	t.marks = append(t.marks, m)
}

// shift has all that was received from a position on said so much later. Up to sent there is audio.
func (t *timeline) shift(position, later, sent time.Duration) {
	i := len(t.marks)
	for ; i > 0 && t.marks[i-1].position >= position; i-- {
		sent = t.marks[i-1].offset
		t.marks[i-1].at = t.marks[i-1].at.Add(later)
	}
	if i == 0 {
		return
	}
	m := t.marks[i-1]
	if gone := position - m.position; m.offset+gone < sent { // it is in the middle of a stretch
		t.marks = slices.Insert(t.marks, i, mark{m.offset + gone, position, m.at.Add(gone + later), m.speech + gone})
	}
}

// at is the time at which the sample at offset was said. An offset on the border of two stretches belongs to
// the later one; for the end of a word use end.
func (t *timeline) at(offset time.Duration) time.Time {
	m, _ := t.last(func(m mark) bool { return m.offset <= offset })
	return m.at.Add(offset - m.offset)
}

// end is like at, but an offset on the border belongs to the earlier stretch: a word that lasts until the gap
// does not last until the gap's end.
func (t *timeline) end(offset time.Duration) time.Time {
	m, _ := t.last(func(m mark) bool { return m.offset < offset })
	return m.at.Add(offset - m.offset)
}

// last is the last mark that holds, or the first of all, and whether it is the newest.
func (t *timeline) last(holds func(mark) bool) (m mark, newest bool) {
	if len(t.marks) == 0 {
		return mark{}, true
	}
	i := len(t.marks) - 1
	for i > 0 && !holds(t.marks[i]) {
		i--
	}
	return t.marks[i], i == len(t.marks)-1
}

// forget drops the marks that only matter before offset.
func (t *timeline) forget(offset time.Duration) {
	first := 0
	for first+1 < len(t.marks) && t.marks[first+1].offset < offset {
		first++
	}
	t.marks = append(t.marks[:0], t.marks[first:]...)
}
