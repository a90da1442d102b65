package session

import (
	"testing"
	"time"
)

func TestTimeline(t *testing.T) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var line timeline
	add := func(offset time.Duration, at time.Time) {
		line.add(mark{offset: offset, position: at.Sub(start), at: at})
	}
	add(0, start)
	add(time.Second, start.Add(time.Second))      // without a gap
	add(2*time.Second, start.Add(30*time.Second)) // after 28 s of silence
	add(3*time.Second, start.Add(31*time.Second)) // without a gap
	add(4*time.Second, start.Add(time.Minute))    // after 28 s of silence
	if len(line.marks) != 3 {
		t.Errorf("got %d marks, want 3: what goes on without a gap needs none", len(line.marks))
	}
	check := func(name string, got time.Time, want time.Duration) {
		t.Helper()
		if got.Sub(start) != want {
			t.Errorf("%s: got %v, want %v", name, got.Sub(start), want)
		}
	}
	check("inside", line.at(1500*time.Millisecond), 1500*time.Millisecond)
	check("a word's start on the border", line.at(2*time.Second), 30*time.Second)
	check("a word's end on the border", line.end(2*time.Second), 2*time.Second)
	check("past the last mark", line.at(5*time.Second), 61*time.Second)
	line.shift(61*time.Second, 9*time.Second, 6*time.Second) // in the middle of the last stretch
	check("before what is shifted", line.end(5*time.Second), 61*time.Second)
	check("what is shifted", line.at(5*time.Second), 70*time.Second)
	line.shift(60*time.Second, time.Second, 6*time.Second) // a whole stretch, and what follows
	check("from its beginning", line.at(4*time.Second), 61*time.Second)
	check("to the end", line.at(6*time.Second), 72*time.Second)
	line.shift(90*time.Second, time.Second, 6*time.Second) // of which nothing was sent
	check("no more", line.at(6*time.Second), 72*time.Second)
	line.marks = line.marks[:3]
	line.forget(2500 * time.Millisecond)
	check("after forgetting", line.at(3*time.Second), 31*time.Second)
	if len(line.marks) != 2 {
		t.Errorf("got %d marks, want 2 once the first stretch is final", len(line.marks))
	}
}
