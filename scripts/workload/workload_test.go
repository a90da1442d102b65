package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot.dev/shared/cached"
)

func TestMain(m *testing.M) {
	// OpenCensus, which the Firestore client brings, starts it when it is loaded.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// Two people with some past, of whom one talks while two devices watch: with the cache the answers are the same as
// without, which measure checks, and the reads are those that are promised.
func TestFewReads(t *testing.T) {
	r, err := measure(t.Context(), options{Seed: 7, Users: 2, Conversations: 12, Visits: 1, Talk: 4 * time.Minute, Instances: 2})
	if err != nil {
		t.Fatal(err)
	}
	before, left := r.stages(0), r.stages(1)
	if got := fewer(before[2], left[2]); got < 90 {
		t.Errorf("%d reads without the cache, %d with it: %.1f %% fewer, want 90 %%", before[2], left[2], got)
	}
	if got := fewer(r.hot.total(), left[1]); got < 99 {
		t.Errorf("%d reads of Omi's, %d here: %.2f %% fewer, want 99 %%", r.hot.total(), left[1], got)
	}
	if want := int64(2); r.renewed != want { // in 4 minutes
		t.Errorf("%d reads of profiles by their age, want %d: %s of talk, one each %s", r.renewed, want, 4*time.Minute, cached.ProfileEvery)
	}
	if played := r.runs[1].talks.total(); left[1] != played+r.renewed {
		t.Errorf("%d reads in talks, want the %d that were made and %d of profiles by their age", left[1], played, r.renewed)
	}
	if left[0] == 0 || left[1] == 0 || before[0] <= left[0] {
		t.Errorf("visits: %d reads and %d; talks: %d and %d: this can't be all", before[0], left[0], before[1], left[1])
	}
	var text strings.Builder
	if err := r.print(&text); err != nil || !strings.Contains(text.String(), "conversations") {
		t.Errorf("printed %q (%v)", text.String(), err)
	}
}

// People who open the app, scroll and read, with more past than fits on a page and nobody talking. Of their visits alone 90 %
// can't be had: each begins with nothing kept, is some ten looks long, and after each rename the lists are read again. The
// 90 % are of visits and talks together; here it is 69 %, and mustn't be under 60. That tokens still hold, a read of the profile for each request without the cache, counts for nothing.
func TestFewReadsOfVisits(t *testing.T) {
	const past = 2*window + 10
	r, err := measure(t.Context(), options{Seed: 7, Users: 3, Conversations: past, Visits: 2, Instances: 2})
	if err != nil {
		t.Fatal(err)
	}
	scrolled := false
	for user := range 3 {
		for _, s := range slices.Concat(plan(7, user, r.options)...) {
			scrolled = scrolled || s.target == "" || strings.Contains(s.target, "offset")
		}
	}
	if !scrolled {
		t.Error("nobody scrolls: this shows nothing of it")
	}
	visits := func(run int) int64 { return r.runs[run].visits.total() - r.runs[run].visits.reads["users"] }
	before, left := visits(0), visits(1)
	got := fewer(before, left)
	t.Logf("%v without the cache, %v with it: %.1f %% fewer", r.runs[0].visits.reads, r.runs[1].visits.reads, got)
	if got < 60 {
		t.Errorf("%d reads without the cache, %d with it: %.1f %% fewer, want 60 %%", before, left, got)
	}
}

// What Omi did is a read for each look and one for each hour that is summed.
func TestHotReads(t *testing.T) {
	o := options{Seed: 1, Users: 1, Conversations: 1, Talk: time.Minute + lookEach, Instances: 1}
	r, err := measure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.hot.reads["conversations"], int64(101); got != want {
		t.Errorf("got %d looks in %s, want %d", got, o.Talk, want)
	}
	if got, want := r.hot.reads["usage"], int64(2*hours); got != want {
		t.Errorf("got %d hours read in %s, want %d", got, o.Talk, want)
	}
}

// The same seed gives the same requests, another others.
func TestReplay(t *testing.T) {
	o := options{Conversations: 50, Visits: 3}
	all := func(seed uint64) []step { return slices.Concat(plan(seed, 3, o)...) }
	if a, b := all(1), all(1); !slices.Equal(a, b) || len(a) == 0 {
		t.Errorf("got %d requests and then %d others", len(a), len(b))
	}
	if slices.Equal(all(1), all(2)) {
		t.Error("two seeds give the same requests")
	}
	kinds := map[string]bool{}
	var many []step
	for seed := range uint64(20) { // an app scrolls in one way
		many = append(many, all(seed)...)
	}
	for _, s := range many {
		kinds[s.method] = true
		kinds["link"] = kinds["link"] || s.target == ""
		kinds["offset"] = kinds["offset"] || strings.Contains(s.target, "offset")
		kinds["second device"] = kinds["second device"] || s.device == 1
	}
	for _, kind := range []string{"GET", "PATCH", "DELETE", "link", "offset", "second device"} {
		if !kinds[kind] {
			t.Errorf("nobody does %s", kind)
		}
	}
}
