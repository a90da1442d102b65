package account

import "time"

// Plan is what a user may use in a month.
type Plan struct {
	Name          string
	Transcription time.Duration // of audio; 0: no limit
}

// The plans. Basic is of whoever has none.
var (
	basic     = Plan{"basic", 1200 * time.Minute}
	unlimited = Plan{"unlimited", 0}
)

// PlanOf is the plan that the profile names; basic, if there is none of that name.
func PlanOf(p Profile) Plan {
	if p.Plan == unlimited.Name {
		return unlimited
	}
	return basic
}
