package account

import "time"

// The plans. Any other than the free one has no limit.
const (
	PlanFree      = "basic" // as Omi's clients know it
	PlanUnlimited = "unlimited"
)

// freeAllowance is the speech that the free plan has recognised in a month, as Omi's does.
const freeAllowance = 1200 * time.Minute

// Allowance is how much speech the user may have recognised in a month; limited is false where that is any amount.
func (p Profile) Allowance() (speech time.Duration, limited bool) {
	if p.Plan == "" || p.Plan == PlanFree {
		return freeAllowance, true
	}
	return 0, false
}
