package usage

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Reports that repeat, are lost (but for the last) and overtake each other add up to the last one.
func TestCounterTakesReportsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reports []Totals
		var last Totals
		for range rapid.IntRange(1, 20).Draw(t, "reports") {
			last = last.Add(Totals{
				int64(rapid.IntRange(0, 60000).Draw(t, "audio")),
				int64(rapid.IntRange(0, 60000).Draw(t, "speech")),
				int64(rapid.IntRange(0, 100).Draw(t, "words")),
			})
			reports = append(reports, last)
		}
		heard := rapid.SliceOf(rapid.SampledFrom(reports)).Draw(t, "heard")
		heard = append(heard, last)
		heard = rapid.Permutation(heard).Draw(t, "order")
		counter, day := Counter{}, Totals{}
		for _, r := range heard {
			day = day.Add(counter.Report("c", r))
		}
		if day != last || counter["c"] != last {
			t.Fatalf("day %+v, hour %+v, want %+v", day, counter["c"], last)
		}
	})
}

func TestPeriods(t *testing.T) {
	at := time.Date(2026, 11, 30, 23, 59, 0, 0, time.FixedZone("", -3600))
	day, month, ok := Periods(Hour(at))
	if Hour(at) != "2026-12-01T00" || day != "2026-12-01" || month != "2026-12" || !ok || Month(at) != month {
		t.Errorf("got %s %s %s %v: keys are UTC", Hour(at), day, month, ok)
	}
	for _, bad := range []string{"", "2026-12", "2026-13-01T00", "2026-12-01T24", "2026-12-01T5", "../../x"} {
		if _, _, ok := Periods(bad); ok {
			t.Errorf("%q was taken for an hour", bad)
		}
	}
}

func TestHoursAddLeavesTheOriginal(t *testing.T) {
	h := Hours{"2026-11-23T10": {Words: 1}}
	sum := h.Add(Hours{"2026-11-23T10": {Words: 2}, "2026-11-23T11": {Words: 4}})
	if h["2026-11-23T10"].Words != 1 || sum["2026-11-23T10"].Words != 3 || sum["2026-11-23T11"].Words != 4 {
		t.Errorf("h %v, sum %v", h, sum)
	}
}
