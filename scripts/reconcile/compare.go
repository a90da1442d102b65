package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"earshot.dev/shared/usage"
)

// difference is where a counter, or a conversation's part in an hour, is not what the conversations say.
type difference struct {
	where             string // a period, or a period and a conversation
	cid               string // the conversation
	counted, computed usage.Totals
}

// like reports whether two differ in the same place by as much: both sides may grow meanwhile.
func (d difference) like(o difference) bool {
	return d.where == o.where && d.counted.Sub(d.computed) == o.counted.Sub(o.computed)
}

// report is what came of comparing.
type report struct {
	month, uid  string
	differences []difference // hours' parts by conversation, hours, days, the month
	transcripts []string     // conversations whose pages hold another number of words than was counted with them
	open        usage.Totals // not told yet, of conversations that aren't finished, or just were
	deleted     usage.Counter
	total       usage.Totals // of the month, computed
	kept        int          // conversations that are there
}

func (r *report) same() bool { return len(r.differences) == 0 && len(r.transcripts) == 0 }

// confirm leaves of what differs that which differed in a former report too.
func (r *report) confirm(former *report) {
	r.differences = slices.DeleteFunc(r.differences, func(d difference) bool { return !slices.ContainsFunc(former.differences, d.like) })
	r.transcripts = slices.DeleteFunc(r.transcripts, func(text string) bool { return !slices.Contains(former.transcripts, text) })
}

// untold are the conversations of which less is counted than they used.
func (r *report) untold() []string {
	cids := map[string]bool{}
	for _, d := range r.differences {
		if d.cid != "" && d.counted.Max(d.computed) != d.counted {
			cids[d.cid] = true
		}
	}
	return slices.Sorted(maps.Keys(cids))
}

// compare recomputes the counters from the conversations. What a conversation that was deleted used is what was
// counted: it stays.
func (m *month) compare() *report {
	r := &report{month: m.key, uid: m.uid, deleted: usage.Counter{}, kept: len(m.conversations)}
	days := map[string]usage.Totals{}
	for _, hour := range m.hourKeys() {
		computed := m.compareHour(r, hour)
		if counted := m.hours[hour].Totals; counted != computed {
			r.differences = append(r.differences, difference{where: hour, counted: counted, computed: computed})
		}
		day, _, _ := usage.Periods(hour)
		days[day] = days[day].Add(computed)
		r.total = r.total.Add(computed)
	}
	r.comparePeriods(m.days, days)
	r.comparePeriods(m.months, map[string]usage.Totals{m.key: r.total})
	for _, cid := range slices.Sorted(maps.Keys(m.conversations)) {
		c := m.conversations[cid]
		words := int64(0)
		for _, t := range c.Usage {
			words += t.Words
		}
		if c.Status.Terminal() && (int64(c.transcript) != words || c.transcript != c.Words) {
			r.transcripts = append(r.transcripts,
				fmt.Sprintf("%s: %d words in its pages, %d counted with it, %d in its usage", cid, c.transcript, c.Words, words))
		}
	}
	return r
}

// hourKeys are the hours of the month in which anything was counted or should be.
func (m *month) hourKeys() []string {
	keys := map[string]bool{}
	for hour := range m.hours {
		keys[hour] = true
	}
	for _, c := range m.conversations {
		for hour := range c.Usage {
			if _, key, ok := usage.Periods(hour); ok && key == m.key {
				keys[hour] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// compareHour compares the part of each conversation in an hour, and gives what the hour's counter should say.
func (m *month) compareHour(r *report, hour string) (computed usage.Totals) {
	counted := m.hours[hour].ByConversation
	for cid, t := range counted {
		if _, ok := m.conversations[cid]; !ok {
			r.deleted[cid] = r.deleted[cid].Add(t)
			computed = computed.Add(t)
		}
	}
	for _, cid := range slices.Sorted(maps.Keys(m.conversations)) {
		c := m.conversations[cid]
		has, used := counted[cid], c.Usage[hour]
		short := has.Max(used) == used && has != used
		switch {
		case !short && has == used:
		case short && !m.settled(c):
			r.open = r.open.Add(used.Sub(has))
			used = has
		default:
			r.differences = append(r.differences, difference{hour + " " + cid, cid, has, used})
		}
		computed = computed.Add(used)
	}
	return computed
}

// settled reports whether all that a conversation used should have been counted when the month was read. It is told as soon
// as the conversation is claimed, however long after its end: so the time that counts is that of its last change.
func (m *month) settled(c stored) bool {
	return c.Status.Terminal() && m.at.Sub(c.UpdateTime) >= settling
}

func (r *report) comparePeriods(counted, computed map[string]usage.Totals) {
	keys := maps.Clone(counted)
	maps.Copy(keys, computed)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if counted[key] != computed[key] {
			r.differences = append(r.differences, difference{where: key, counted: counted[key], computed: computed[key]})
		}
	}
}

// print writes the report. Ids are shown, and nothing that was said.
func (r *report) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format, args...) } // Flush has the error
	if len(r.differences) > 0 {
		line("\tcounted\t\t\tcomputed\t\t\t\n\taudio ms\tspeech ms\twords\taudio ms\tspeech ms\twords\t\n")
	}
	for _, d := range r.differences {
		line("%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", d.where, d.counted.AudioMS, d.counted.SpeechMS, d.counted.Words,
			d.computed.AudioMS, d.computed.SpeechMS, d.computed.Words)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, text := range r.transcripts {
		line("%s\n", text)
	}
	var gone usage.Totals
	for _, t := range r.deleted {
		gone = gone.Add(t)
	}
	line("%s in %s: %d conversations that are there, and %d that were deleted, used %s\n", r.uid, r.month, r.kept, len(r.deleted), text(r.total))
	if len(r.deleted) > 0 {
		line("of that, the deleted ones, as they were counted: %s\n", text(gone))
	}
	if r.open != (usage.Totals{}) {
		line("not told yet, of conversations that aren't finished or just were: %s\n", text(r.open))
	}
	if r.same() {
		line("the counters say the same\n")
	} else {
		line("%d differences\n", len(r.differences)+len(r.transcripts))
	}
	return table.Flush()
}

func text(t usage.Totals) string {
	return fmt.Sprintf("%d ms of audio, %d ms of speech, %d words", t.AudioMS, t.SpeechMS, t.Words)
}
