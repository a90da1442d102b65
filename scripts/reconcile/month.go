package main

import (
	"context"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/store"
	"earshot.dev/shared/usage"
)

// month is what is stored of a person's month.
type month struct {
	uid, key      string
	at            time.Time // when it was begun to be read
	hours         map[string]usage.CountedHour
	days, months  map[string]usage.Totals
	conversations map[string]stored // by id: those that are in the counters and are still there, and those that should be
}

// stored is a conversation and the words that its pages hold.
type stored struct {
	conversation.Conversation
	transcript int
}

// longest is how much earlier than in the month a conversation may have begun that has a part in it.
const longest = 31 * 24 * time.Hour

// listed is how many conversations are asked for at a time.
const listed = 300

const (
	settling = 10 * time.Minute // within which events are taken: see the objective "deliveries" in infra/README.md
	between  = 10 * time.Second // two looks, in which what was being counted has been
)

// look compares a month, and once more after a pause if anything differs, to report what differs both times: all is read by one
// query after the other, and what is counted, finished or deleted meanwhile differs once. The month is as it was last read.
func look(ctx context.Context, s *store.Store, uid string, start time.Time, pause func(context.Context)) (*month, *report, error) {
	m, err := read(ctx, s, uid, start)
	if err != nil {
		return nil, nil, err
	}
	former := m.compare()
	if former.same() {
		return m, former, nil
	}
	pause(ctx)
	if m, err = read(ctx, s, uid, start); err != nil {
		return nil, nil, err
	}
	r := m.compare()
	r.confirm(former)
	return m, r, nil
}

// read reads the month that begins at a time. The counters come first: what is told meanwhile only adds to the
// conversations.
func read(ctx context.Context, s *store.Store, uid string, start time.Time) (*month, error) {
	m := &month{
		uid: uid, key: usage.Month(start), at: time.Now(), hours: map[string]usage.CountedHour{}, days: map[string]usage.Totals{},
		months: map[string]usage.Totals{}, conversations: map[string]stored{},
	}
	if err := m.readCounters(ctx, s); err != nil {
		return nil, err
	}
	f := conversation.Filter{From: start.Add(-longest), Through: start.AddDate(0, 1, 0)}
	w := conversation.Window{Limit: listed}
	for {
		list, err := s.List(ctx, uid, f, w)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if err := m.add(ctx, s, c); err != nil {
				return nil, err
			}
		}
		if len(list) < listed {
			break
		}
		w.After = list[listed-1].Mark()
	}
	for _, hour := range m.hours {
		for cid := range hour.ByConversation {
			if _, ok := m.conversations[cid]; ok {
				continue
			}
			c, err := s.Conversation(ctx, uid, cid)
			if fault.Is(err, fault.NotFound) {
				continue // it was deleted
			}
			if err != nil {
				return nil, err
			}
			if err := m.add(ctx, s, c); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

func (m *month) readCounters(ctx context.Context, s *store.Store) error {
	hours, err := s.Hours(ctx, m.uid, m.key+"-01T00", m.key+"-31T23")
	if err != nil {
		return err
	}
	for _, h := range hours {
		m.hours[h.Key] = h
	}
	days, err := s.Days(ctx, m.uid, m.key+"-01", m.key+"-31")
	if err != nil {
		return err
	}
	for _, d := range days {
		m.days[d.Key] = d.Totals
	}
	months, err := s.Months(ctx, m.uid, m.key, m.key)
	if err != nil {
		return err
	}
	for _, p := range months {
		m.months[p.Key] = p.Totals
	}
	return nil
}

// add takes a conversation in, with the words of its pages, if it has a part in the month.
func (m *month) add(ctx context.Context, s *store.Store, c conversation.Conversation) error {
	if !m.has(c) {
		return nil
	}
	segments, err := s.Segments(ctx, m.uid, c.ID)
	if err != nil {
		return err
	}
	r := stored{Conversation: c}
	for _, segment := range segments {
		r.transcript += segment.Words()
	}
	m.conversations[c.ID] = r
	return nil
}

// has reports whether a conversation has, or is counted to have, a part in the month.
func (m *month) has(c conversation.Conversation) bool {
	for hour := range c.Usage {
		if _, key, ok := usage.Periods(hour); ok && key == m.key {
			return true
		}
	}
	for _, hour := range m.hours {
		if _, ok := hour.ByConversation[c.ID]; ok {
			return true
		}
	}
	return false
}
