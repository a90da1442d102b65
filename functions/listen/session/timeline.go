package session

import "time"

// timeline maps offsets in the audio that was sent to the recogniser to the time at which it was said. The two
// differ by all that was left out in between: silence.
type timeline struct {
	marks []mark
}

// mark says that what the recogniser has from offset on was said from at on.
type mark struct {
	offset time.Duration
	at     time.Time
}

// add notes that audio is about to be sent which begins at offset and was said at at. Marks come in order.
func (t *timeline) add(offset time.Duration, at time.Time) {
	if n := len(t.marks); n > 0 {
		last := t.marks[n-1]
		if last.at.Add(offset - last.offset).Equal(at) {
			return // it goes on without a gap
		}
		if last.offset == offset {
			t.marks[n-1].at = at
			return
		}
	}
	t.marks = append(t.marks, mark{offset, at})
}

// at is the time at which the sample at offset was said. An offset on the border of two stretches belongs to
// the later one; for the end of a word use end.
func (t *timeline) at(offset time.Duration) time.Time {
	m := t.find(func(m mark) bool { return m.offset <= offset })
	return m.at.Add(offset - m.offset)
}

// end is like at, but an offset on the border belongs to the earlier stretch: a word that lasts until the gap
// does not last until the gap's end.
func (t *timeline) end(offset time.Duration) time.Time {
	m := t.find(func(m mark) bool { return m.offset < offset })
	return m.at.Add(offset - m.offset)
}

// find is the last mark that holds, or the first of all.
func (t *timeline) find(holds func(mark) bool) mark {
	if len(t.marks) == 0 {
		return mark{}
	}
	for i := len(t.marks) - 1; i > 0; i-- {
		if holds(t.marks[i]) {
			return t.marks[i]
		}
	}
	return t.marks[0]
}

// forget drops the marks that only matter before offset.
func (t *timeline) forget(offset time.Duration) {
	first := 0
	for first+1 < len(t.marks) && t.marks[first+1].offset < offset {
		first++
	}
	t.marks = append(t.marks[:0], t.marks[first:]...)
}
