package extractive

import (
	"slices"
	"strconv"
	"time"
)

var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

var smallNumbers = []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

// dueDate is the end of the day that the words name, seen from when they were said, or nil if they name none.
func dueDate(words []string, said time.Time) *time.Time {
	for i, word := range words {
		next := i > 0 && words[i-1] == "next"
		after := ""
		if i+1 < len(words) {
			after = words[i+1]
		}
		switch {
		case word == "today" || word == "tonight":
			return endOfDay(said, 0)
		case word == "tomorrow":
			if i >= 2 && words[i-1] == "after" {
				return endOfDay(said, 2)
			}
			return endOfDay(said, 1)
		case word == "this" && (after == "afternoon" || after == "evening" || after == "morning"):
			return endOfDay(said, 0)
		case word == "next" && after == "week":
			return endOfDay(said, 7)
		case word == "week" && slices.Contains(words[max(0, i-3):i], "end"):
			return endOfDay(said, daysUntil(said, time.Friday))
		case word == "in":
			if days := span(words[i+1:]); days > 0 {
				return endOfDay(said, days)
			}
		case slices.Contains(weekdays, word):
			days := daysUntil(said, time.Weekday(slices.Index(weekdays, word)))
			if days == 0 || next && sameWeek(said, said.AddDate(0, 0, days)) {
				days += 7
			}
			return endOfDay(said, days)
		}
	}
	return nil
}

// daysUntil is 0 on the weekday itself.
func daysUntil(from time.Time, day time.Weekday) int { return (int(day) - int(from.Weekday()) + 7) % 7 }

func sameWeek(a, b time.Time) bool {
	yearA, weekA := a.ISOWeek()
	yearB, weekB := b.ISOWeek()
	return yearA == yearB && weekA == weekB
}

// span reads words like "two weeks" and gives days, 0 if they are none.
func span(words []string) int {
	if len(words) < 2 {
		return 0
	}
	n, err := strconv.Atoi(words[0])
	if err != nil {
		n = slices.Index(smallNumbers, words[0])
		if words[0] == "a" {
			n = 1
		}
	}
	if n < 1 || n > 365 {
		return 0
	}
	switch singular(words[1]) {
	case "day":
		return n
	case "week":
		return 7 * n
	case "month":
		return 30 * n
	default:
		return 0
	}
}

func endOfDay(said time.Time, days int) *time.Time {
	y, m, d := said.Date()
	end := time.Date(y, m, d+days, 23, 59, 0, 0, said.Location())
	return &end
}
