package conversation

import (
	"reflect"
	"testing"
	"time"
)

// The states of the lifecycle, as far as events tell them apart. All are looked at an hour after the start.
var states = []struct {
	name string
	make func() Conversation
}{
	{"live", func() Conversation {
		c := live()
		c.Heard(at.Add(-time.Minute))
		return c
	}},
	{"silent", live},
	{"ended", ended},
	{"forgotten", func() Conversation { // it was told that it ended, and nothing came of it
		c := ended()
		c.Pending, c.ExpiresAt = nil, at
		return c
	}},
	{"exhausted", func() Conversation {
		c := claimed(at.Add(-time.Hour))
		c.Attempts = MaxAttempts
		return c
	}},
	{"finalizing", func() Conversation { return claimed(at) }},
	{"abandoned", func() Conversation { return claimed(at.Add(-time.Hour)) }}, // the claim ran out
	{"released", func() Conversation { // an attempt met an outage
		c := claimed(at)
		c.Release("a", false, at)
		return c
	}},
	{"tried for hours", func() Conversation { // and it never was its fault
		c := claimed(at)
		c.Release("a", false, at)
		c.Claims, c.EndedAt = MaxClaims, at.Add(1-GiveUpAfter)
		return c
	}},
	{"tried for a day", func() Conversation {
		c := claimed(at)
		c.Release("a", false, at)
		c.Claims, c.EndedAt = MaxClaims, at.Add(-GiveUpAfter)
		return c
	}},
	{"hardly tried for a day", func() Conversation {
		c := claimed(at)
		c.Release("a", false, at)
		c.Claims, c.EndedAt = MaxClaims-1, at.Add(-GiveUpAfter)
		return c
	}},
	{"completed", func() Conversation {
		c := claimed(at)
		c.Complete(Structured{Title: "T"}, false, at, "finalized")
		return c
	}},
	{"failed", func() Conversation {
		c := claimed(at)
		c.Fail("why", at)
		return c
	}},
}

var at = start.Add(time.Hour)

func ended() Conversation {
	c := live()
	c.End(at, EndSilence, "ended")
	return c
}

// claimed is one whose claim of a minute was taken at a time.
func claimed(when time.Time) Conversation {
	c := ended()
	c.TakeClaim("a", when, time.Minute)
	return c
}

// told gives the outcome of what reports whether it did something.
func told(did bool, what, else_ string) string {
	if did {
		return what
	}
	return else_
}

var claimOutcomes = map[ClaimOutcome]string{
	Claimed: "claimed", ClaimHeld: "held by another", ClaimTooEarly: "too early", ClaimDone: "done before", ClaimExhausted: "exhausted",
}

var reprocessOutcomes = map[ReprocessOutcome]string{Reprocessing: "again", NotYetDone: "not yet done", StillLive: "still live"}

// The events, each with what its outcome is called.
var events = map[string]func(c *Conversation) string{
	"a session comes": func(c *Conversation) string {
		if !c.Resumable(at) {
			return "another begins"
		}
		Attachment{SessionID: "s2", SilenceTimeout: time.Minute, At: at}.Resume(c, Device{})
		return "resumed"
	},
	"end": func(c *Conversation) string { return told(c.End(at, EndRequested, "ended"), "ended", "ended before") },
	"sweep": func(c *Conversation) string {
		was := c.Status
		switch {
		case !c.Expired(at, "ended"):
			return "not due"
		case was == Live:
			return "ended"
		default:
			return "told again"
		}
	},
	"claim":     func(c *Conversation) string { return claimOutcomes[c.TakeClaim("b", at, time.Minute)] },
	"release":   func(c *Conversation) string { return told(c.Release("a", false, at), "given back", "refused") },
	"count it":  func(c *Conversation) string { return told(c.Release("a", true, at), "given back", "refused") },
	"take back": func(c *Conversation) string { return told(c.Release("late", false, at), "given back", "refused") },
	"complete": func(c *Conversation) string {
		return told(c.Complete(Structured{}, false, at, "finalized"), "completed", "refused")
	},
	"fail":      func(c *Conversation) string { return told(c.Fail("why", at), "failed", "refused") },
	"reprocess": func(c *Conversation) string { return reprocessOutcomes[c.Reprocess(at, "ended")] },
}

// outcomes are the outcome of each event in each state, and the status that it leaves; "": as it was.
var outcomes = map[string]map[string][2]string{
	"live": {
		"a session comes": {"resumed"}, "end": {"ended", "ended"}, "sweep": {"not due"}, "claim": {"too early"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"refused"}, "fail": {"refused"}, "reprocess": {"still live"},
	},
	"silent": {
		"a session comes": {"another begins"}, "end": {"ended", "ended"}, "sweep": {"ended", "ended"}, "claim": {"too early"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"refused"}, "fail": {"refused"}, "reprocess": {"still live"},
	},
	"ended": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"claimed", "finalizing"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"refused"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"forgotten": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"told again", "ended"}, "claim": {"claimed", "finalizing"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"refused"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"exhausted": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"told again", "finalizing"}, "claim": {"exhausted"},
		"release": {"given back", "finalizing"}, "count it": {"given back", "finalizing"}, "take back": {"refused"},
		"complete": {"completed", "completed"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"finalizing": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"held by another"},
		"release": {"given back", "finalizing"}, "count it": {"given back", "finalizing"}, "take back": {"refused"},
		"complete": {"completed", "completed"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"abandoned": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"told again", "finalizing"}, "claim": {"claimed", "finalizing"},
		"release": {"given back", "finalizing"}, "count it": {"given back", "finalizing"}, "take back": {"refused"},
		"complete": {"completed", "completed"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"released": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"claimed", "finalizing"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"completed", "completed"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"tried for hours": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"claimed", "finalizing"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"completed", "completed"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"tried for a day": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"exhausted"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"completed", "completed"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"hardly tried for a day": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"claimed", "finalizing"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"completed", "completed"}, "fail": {"failed", "failed"}, "reprocess": {"not yet done"},
	},
	"completed": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"done before"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"refused"}, "fail": {"refused"}, "reprocess": {"again", "ended"},
	},
	"failed": {
		"a session comes": {"another begins"}, "end": {"ended before"}, "sweep": {"not due"}, "claim": {"done before"},
		"release": {"refused"}, "count it": {"refused"}, "take back": {"refused"},
		"complete": {"refused"}, "fail": {"refused"}, "reprocess": {"again", "ended"},
	},
}

// Every event in every state has a named outcome. Where it is that nothing comes of it, nothing has changed.
func TestEveryEventInEveryState(t *testing.T) {
	for _, state := range states {
		for name, happen := range events {
			t.Run(state.name+"/"+name, func(t *testing.T) {
				want, ok := outcomes[state.name][name]
				if !ok {
					t.Fatal("no outcome is named")
				}
				before, c := state.make(), state.make()
				if got := happen(&c); got != want[0] {
					t.Errorf("outcome %q, want %q", got, want[0])
				}
				if want[1] == "" && want[0] != "resumed" && !reflect.DeepEqual(c, before) {
					t.Errorf("%s changed it from %+v to %+v", want[0], before, c)
				}
				if want[1] != "" && string(c.Status) != want[1] {
					t.Errorf("status %s, want %s", c.Status, want[1])
				}
				checkInvariants(t, before, c)
			})
		}
	}
}

// checkInvariants holds a conversation to what is true in each status, whatever happened.
func checkInvariants(t *testing.T, before, c Conversation) {
	t.Helper()
	if c.Status.Terminal() != c.ExpiresAt.IsZero() {
		t.Errorf("%s: the sweep looks at %v", c.Status, c.ExpiresAt)
	}
	if (c.Status == Finalizing) != (c.Claim != nil) {
		t.Errorf("%s: claim %v", c.Status, c.Claim)
	}
	if (c.Status == Failed) != (c.Failure != "") {
		t.Errorf("%s: failure %q", c.Status, c.Failure)
	}
	if c.Claims < before.Claims && c.Revision == before.Revision {
		t.Errorf("%d claims after %d: a late worker would take another's for its own", c.Claims, before.Claims)
	}
	newEnd := c.Status == Ended && before.Status != Ended
	if newEnd != (c.Revision == before.Revision+1) || !newEnd && c.Revision != before.Revision {
		t.Errorf("from %s to %s: revision %d after %d", before.Status, c.Status, c.Revision, before.Revision)
	}
	if (newEnd || c.Status == Completed && before.Status != Completed) && c.Pending == nil {
		t.Errorf("from %s to %s, and nobody is told", before.Status, c.Status)
	}
	if c.Status == Live && before.Status != Live {
		t.Error("it was opened again")
	}
}
