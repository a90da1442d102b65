package conversation

import (
	"slices"
	"testing"
	"time"
)

// finished is a conversation that was finalized.
func finished() Conversation {
	c := live()
	c.End(start, EndSilence, "ended")
	c.TakeClaim("t", start, time.Minute)
	c.Complete(Structured{Title: "Found"}, false, start, "")
	return c
}

func TestReprocess(t *testing.T) {
	now := start.Add(time.Hour)
	failed := finished()
	failed.Status, failed.Failure, failed.Attempts, failed.Claims = Failed, "why", MaxAttempts, MaxClaims
	ended := live()
	ended.End(start, EndSilence, "ended")
	claimed := ended
	claimed.TakeClaim("t", start, time.Minute)
	for _, tt := range []struct {
		name string
		c    Conversation
		want ReprocessOutcome
	}{
		{"live", live(), StillLive},
		{"ended", ended, NotYetDone},
		{"finalizing", claimed, NotYetDone},
		{"completed", finished(), Reprocessing},
		{"failed", failed, Reprocessing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, c := tt.c, tt.c
			if got := c.Reprocess(now, "ended"); got != tt.want {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			if tt.want != Reprocessing {
				if c.Status != before.Status || c.Revision != before.Revision || c.Pending != before.Pending {
					t.Errorf("it changed: %+v", c)
				}
				return
			}
			if c.Status != Ended || c.Revision != 2 || c.Failure != "" || c.Pending == nil || c.Pending.Event != "ended" || c.ExpiresAt.IsZero() {
				t.Errorf("got %+v", c)
			}
			if got := c.TakeClaim("t2", now, time.Minute); got != Claimed || c.Attempts != 1 {
				t.Errorf("claim: got %v, %d attempts, want the first of new ones", got, c.Attempts)
			}
		})
	}
}

// A title of the person's own outlives finalizing, and finalizing again.
func TestRename(t *testing.T) {
	c := live()
	c.Rename("Mine")
	c.End(start, EndSilence, "ended")
	for range 2 {
		c.TakeClaim("t", start, time.Minute)
		c.Complete(Structured{Title: "Found", Overview: "New"}, false, start, "")
		if c.Structured.Title != "Mine" || c.Structured.Overview != "New" {
			t.Errorf("got %+v, want the person's title and the summary", c.Structured)
		}
		c.Reprocess(start, "ended")
	}
	read := finished()
	old := read.Structured
	read.Rename("Mine")
	if old.Title != "Found" || read.Structured.Title != "Mine" {
		t.Errorf("a version that was read was changed: %+v", old)
	}
}

func TestFromWire(t *testing.T) {
	for name, want := range map[string][]Status{
		"in_progress": {Live}, "processing": {Ended, Finalizing}, "completed": {Completed}, "failed": {Failed}, "live": nil, "": nil,
	} {
		if got := FromWire(name); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
