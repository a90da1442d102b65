// Package usage counts what a conversation used. Counts are cumulative per conversation and hour and only grow,
// so that reports of them may repeat, be lost and overtake each other, and the sum still comes out right.
package usage

import (
	"maps"
	"time"
)

// Totals are cumulative counts. AudioMS is what was received, SpeechMS the part of it in which somebody spoke,
// both in milliseconds. Audio that comes between two conversations is the next one's; after the last of a session there is
// none, and it isn't counted: there is nobody to bill for what holds no words.
type Totals struct {
	AudioMS  int64 `json:"audio_ms" firestore:"audio_ms"`
	SpeechMS int64 `json:"speech_ms" firestore:"speech_ms"`
	Words    int64 `json:"words" firestore:"words"`
}

// Add is the sum of two counts.
func (t Totals) Add(o Totals) Totals {
	return Totals{t.AudioMS + o.AudioMS, t.SpeechMS + o.SpeechMS, t.Words + o.Words}
}

// Sub is what t has over o.
func (t Totals) Sub(o Totals) Totals {
	return Totals{t.AudioMS - o.AudioMS, t.SpeechMS - o.SpeechMS, t.Words - o.Words}
}

// Max is the later of two reports of the same counter, whichever came first.
func (t Totals) Max(o Totals) Totals {
	return Totals{max(t.AudioMS, o.AudioMS), max(t.SpeechMS, o.SpeechMS), max(t.Words, o.Words)}
}

// Hours are a conversation's totals by hour key.
type Hours map[string]Totals

// Add is a copy of h with the counts of o on top.
func (h Hours) Add(o Hours) Hours {
	sum := maps.Clone(h)
	if sum == nil {
		sum = make(Hours, len(o))
	}
	for hour, t := range o {
		sum[hour] = sum[hour].Add(t)
	}
	return sum
}

// The layouts of period keys, in UTC. Each is the beginning of the one before it.
const (
	hourLayout  = "2006-01-02T15"
	dayLayout   = "2006-01-02"
	monthLayout = "2006-01"
)

// Period is what was used in an hour, a day or a month.
type Period struct {
	Key string // 2026-11-23T10, 2026-11-23, or 2026-11
	Totals
}

// CountedHour is what was used in an hour, and the part in it of each conversation.
type CountedHour struct {
	Period
	ByConversation Counter
}

// Hour is the key of the hour in which t lies, such as 2026-11-23T10.
func Hour(t time.Time) string { return t.UTC().Format(hourLayout) }

// Day is the key of the day in which t lies, such as 2026-11-23.
func Day(t time.Time) string { return t.UTC().Format(dayLayout) }

// Month is the key of the month in which t lies, such as 2026-11.
func Month(t time.Time) string { return t.UTC().Format(monthLayout) }

// Periods gives the keys of the day and the month that an hour's key belongs to. It reports false for a key
// that Hour can't have made.
func Periods(hour string) (day, month string, ok bool) {
	t, err := time.Parse(hourLayout, hour)
	if err != nil || Hour(t) != hour { // Parse is lenient, and two keys of one hour would be counted twice
		return "", "", false
	}
	return hour[:len(dayLayout)], hour[:len(monthLayout)], true
}

// Counter is one hour of a user: the latest totals of each conversation that had a part in it.
type Counter map[string]Totals

// Report takes in what is said of a conversation and gives what that adds to the hour, the day and the month.
// It adds nothing when the report is old or came before.
func (c Counter) Report(conversation string, t Totals) (added Totals) {
	known := c[conversation]
	latest := known.Max(t)
	c[conversation] = latest
	return latest.Sub(known)
}
