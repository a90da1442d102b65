package account

import "time"

// Plan is what a user may use in a month.
type Plan struct {
	Name          string
	Transcription time.Duration // of speech; 0: no limit
}

// basic is the plan of whoever has none, by the name that Omi's apps know, and with the allowance of theirs.
var basic = Plan{"basic", 1200 * time.Minute}

// PlanOf is the plan that the profile names. Only the basic one has a limit.
func PlanOf(p Profile) Plan {
	if p.Plan == "" || p.Plan == basic.Name {
		return basic
	}
	return Plan{Name: p.Plan}
}
