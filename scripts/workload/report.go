package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"earshot.dev/shared/cache"
)

// report is what was measured.
type report struct {
	options options
	runs    [2]outcome // without the cache, and with it
	hot     stage      // what Omi read
	renewed int64      // reads of profiles that talks with the cache would have had in real time, at most
}

// hits are what a kind of answer came from.
type hits struct {
	name                 string
	local, redis, misses int64
}

func hitsOf(all []cache.Stats) []hits {
	byName := make(map[string]hits)
	for _, s := range all {
		h := byName[s.Name]
		byName[s.Name] = hits{s.Name, h.local + s.LocalHits, h.redis + s.RedisHits, h.misses + s.Misses}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b hits) int { return cmp.Compare(a.name, b.name) })
}

// rate is how many of the lookups needed no load, in percent.
func (h hits) rate() float64 {
	all := h.local + h.redis + h.misses
	return 100 * float64(all-h.misses) / float64(max(all, 1))
}

// fewer is how many percent less than before are left.
func fewer(before, left int64) float64 {
	return 100 * float64(before-left) / float64(max(before, 1))
}

// print writes the report for people.
func (r report) print(out io.Writer) error {
	o := r.options
	stages := table{{"stage", "cache", "requests", "reads", "p50", "p99"}}
	for _, name := range []string{"visits", "talks"} {
		for run, with := range []string{"no", "yes"} {
			s := r.runs[run].visits
			if name == "talks" {
				s = r.runs[run].talks
			}
			stages.add(name, with, len(s.latency), s.total(), short(s.percentile(50)), short(s.percentile(99)))
		}
	}
	reads := table{{"reads of", "without", "with", "fewer"}}
	for _, collection := range r.collections() {
		before, left := r.reads(0, collection), r.reads(1, collection)
		reads.add(collection, before, left, percent(fewer(before, left)))
	}
	reads.add("users, by age", 0, r.renewed, "")
	for i, name := range []string{"visits", "talks", "all"} {
		before, left := r.stages(0)[i], r.stages(1)[i]
		reads.add(name, before, left, percent(fewer(before, left)))
	}
	talks := r.stages(1)[1]
	hot := table{{"reads of the talks", "Omi's two", "here", "fewer"}}
	hot.add("", r.hot.total(), talks, percent(fewer(r.hot.total(), talks)))
	kept := table{{"kept", "in process", "in Redis", "loads", "hit rate"}}
	for _, h := range r.runs[1].hits {
		kept.add(h.name, h.local, h.redis, h.misses, percent(h.rate()))
	}
	_, err := fmt.Fprintf(out, "Seed %d: %d people with %d conversations each, %d visits each; %d of them talk for %s; %d instances.\n",
		o.Seed, o.Users, o.Conversations, o.Visits, (o.Users+1)/2, o.Talk, o.Instances)
	for _, t := range []table{stages, reads, hot, kept} {
		err = errors.Join(err, t.print(out))
	}
	return err
}

// table is rows of cells.
type table [][]any

func (t *table) add(cells ...any) { *t = append(*t, cells) }

func (t table) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w) // a tabwriter keeps its first error for Flush
	for _, cells := range t {
		for _, c := range cells {
			_, _ = fmt.Fprintf(w, "%v\t", c) // the same
		}
		_, _ = fmt.Fprintln(w) // the same
	}
	return w.Flush()
}

// stages are the reads of the visits, of the talks, and of both, those of profiles that are read again among them.
func (r report) stages(run int) [3]int64 {
	visits, talks := r.runs[run].visits.total(), r.runs[run].talks.total()
	if run == 1 {
		talks += r.renewed
	}
	return [3]int64{visits, talks, visits + talks}
}

func (r report) reads(run int, collection string) int64 {
	return r.runs[run].visits.reads[collection] + r.runs[run].talks.reads[collection]
}

func (r report) collections() []string {
	all := make(map[string]bool)
	for _, run := range r.runs {
		for _, s := range []stage{run.visits, run.talks} {
			for collection := range s.reads {
				all[collection] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func percent(p float64) string { return fmt.Sprintf("%.1f %%", p) }

func short(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
