package api

import (
	"context"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/usage"
)

// totals are what was used, as Omi's apps read it. Insights and memories, which there are the facts that it draws from
// conversations, are things that there are none of here.
type totals struct {
	TranscriptionSeconds int64 `json:"transcription_seconds"`
	SpeechSeconds        int64 `json:"speech_seconds"`
	WordsTranscribed     int64 `json:"words_transcribed"`
	InsightsGained       int64 `json:"insights_gained"`
	MemoriesCreated      int64 `json:"memories_created"`
}

func newTotals(t usage.Totals) totals {
	return totals{TranscriptionSeconds: t.AudioMS / 1000, SpeechSeconds: t.SpeechMS / 1000, WordsTranscribed: t.Words}
}

// entry is what was used in a day or a month.
type entry struct {
	Date string `json:"date"` // 2026-11-23: the day, or the first of the month
	totals
}

// firstMonth is before the first month in which anything was used.
const firstMonth = "2020-01"

// usage is GET /v1/users/me/usage?period=. Periods are of the calendar, in UTC: today, the month by its days, the year
// and all time by their months. So there are at most 1, 31, 12, and 12 for each year, documents to read.
func (a *API) usage(ctx context.Context, r request) (answer, error) {
	at := now()
	day, month := usage.Day(at), usage.Month(at)
	period := r.URL.Query().Get("period")
	var periods []usage.Period
	var err error
	switch period {
	case "", "today":
		period = "today"
		periods, err = a.Reader.Days(ctx, r.uid, day, day)
	case "monthly":
		periods, err = a.Reader.Days(ctx, r.uid, month+"-01", month+"-31")
	case "yearly":
		periods, err = a.Reader.Months(ctx, r.uid, month[:4]+"-01", month[:4]+"-12")
	case "all_time":
		periods, err = a.Reader.Months(ctx, r.uid, firstMonth, month)
	default:
		err = invalid("period", "today, monthly, yearly or all_time")
	}
	if err != nil {
		return answer{}, err
	}
	var sum usage.Totals
	history := make([]entry, len(periods))
	for i, p := range periods {
		sum = sum.Add(p.Totals)
		history[i] = entry{p.Key, newTotals(p.Totals)}
		if len(p.Key) == len(month) {
			history[i].Date += "-01"
		}
	}
	return answer{body: map[string]any{period: newTotals(sum), "history": history}}, nil
}

// subscription is GET /v1/users/me/subscription: the plan, what it has a month, and what of it was used.
func (a *API) subscription(ctx context.Context, r request) (answer, error) {
	at := now()
	month := usage.Month(at)
	periods, err := a.Reader.Months(ctx, r.uid, month, month)
	if err != nil {
		return answer{}, err
	}
	var used usage.Totals
	for _, p := range periods {
		used = used.Add(p.Totals)
	}
	plan := account.PlanOf(r.profile)
	return answer{body: subscription{
		Plan: plan.Name, Limits: limited{transcriptionSeconds(plan)}, Used: newTotals(used),
		PeriodEnd: time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC),
	}}, nil
}

type subscription struct {
	Plan      string    `json:"plan"`
	Limits    limited   `json:"limits"` // a month
	Used      totals    `json:"used"`   // this month
	PeriodEnd time.Time `json:"current_period_end"`
}

type limited struct {
	TranscriptionSeconds *int64 `json:"transcription_seconds"` // null: no limit
}

func transcriptionSeconds(p account.Plan) *int64 {
	if p.Transcription == 0 {
		return nil
	}
	return new(int64(p.Transcription / time.Second))
}
