package conversation

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func live() Conversation {
	return Attachment{Device: "d", SessionID: "s1", SilenceTimeout: 2 * time.Minute, At: start}.Begin("c", Device{})
}

func TestLifecycle(t *testing.T) {
	c := live()
	if got := c.TakeClaim("t", start, time.Minute); got != ClaimTooEarly {
		t.Errorf("claim of a live one: got %v, want ClaimTooEarly", got)
	}
	if !c.End(start, EndRequested, "ended") || c.Status != Ended || c.Revision != 1 || c.Pending == nil {
		t.Fatalf("end: got %+v", c)
	}
	if c.End(start, EndSilence, "ended") || c.Revision != 1 || c.EndReason != EndRequested {
		t.Errorf("it ended twice: %+v", c)
	}
	if got := c.TakeClaim("a", start, time.Minute); got != Claimed || c.Status != Finalizing {
		t.Fatalf("claim: got %v, status %s", got, c.Status)
	}
	if got := c.TakeClaim("b", start.Add(59*time.Second), time.Minute); got != ClaimHeld || c.Claim.Token != "a" {
		t.Errorf("claim of a claimed one: got %v, held by %s", got, c.Claim.Token)
	}
	if got := c.TakeClaim("b", start.Add(time.Minute), time.Minute); got != Claimed || c.Claim.Token != "b" {
		t.Errorf("claim of one whose claim ran out: got %v", got)
	}
	c.Complete(Structured{Title: "T"}, false, start, "finalized")
	if c.Status != Completed || c.Claim != nil || !c.ExpiresAt.IsZero() || c.Pending.Event != "finalized" {
		t.Errorf("completed: got %+v", c)
	}
	if got := c.TakeClaim("c", start.Add(time.Hour), time.Minute); got != ClaimDone || c.Attempts != 2 {
		t.Errorf("claim of a completed one: got %v", got)
	}
}

func TestClaimsRunOut(t *testing.T) {
	c := live()
	c.End(start, EndSilence, "ended")
	now := start
	for i := range MaxAttempts {
		if got := c.TakeClaim("t", now, time.Minute); got != Claimed {
			t.Fatalf("attempt %d: got %v", i, got)
		}
		now = now.Add(time.Minute)
	}
	if got := c.TakeClaim("t", now, time.Minute); got != ClaimExhausted {
		t.Errorf("got %v, want ClaimExhausted", got)
	}
	c.Fail("why", now)
	if c.Status != Failed || c.Failure != "why" || c.Pending != nil || !c.ExpiresAt.IsZero() {
		t.Errorf("failed: got %+v", c)
	}
}

// Attempts that met an outage don't count, and all of them are numbered.
func TestOutage(t *testing.T) {
	c := ended()
	for i := range 3 * MaxAttempts {
		if got := c.TakeClaim("t", at, time.Minute); got != Claimed || c.Attempts != 1 || c.Claims != i+1 {
			t.Fatalf("claim %d: got %v, attempt %d, claim %d, want the first attempt", i+1, got, c.Attempts, c.Claims)
		}
		read := c
		if !c.Release("t", false, at) || c.Release("t", false, at) {
			t.Fatal("a claim is given back once")
		}
		if read.Claim.Token != "t" {
			t.Fatal("a version that was read was changed")
		}
	}
	for i := range 2 {
		c.TakeClaim("t", at, time.Minute)
		c.Release("t", true, at)
		if c.Attempts != i+1 {
			t.Errorf("%d attempts count, want %d", c.Attempts, i+1)
		}
	}
}

func TestExpired(t *testing.T) {
	c := live()
	if c.Expired(start.Add(2*time.Minute), "ended") {
		t.Error("the sweep ended a conversation before its time")
	}
	c.Heard(start.Add(2 * time.Minute)) // a word, while the sweep was on its way
	if c.Expired(start.Add(3*time.Minute+30*time.Second), "ended") {
		t.Error("the sweep ended a conversation in which somebody spoke")
	}
	late := start.Add(time.Hour)
	if !c.Expired(late, "ended") || c.Status != Ended || c.EndReason != EndAbandoned {
		t.Fatalf("not ended: %+v", c)
	}
	c.Pending = nil // announced, and then nothing happened
	if c.Expired(late.Add(finalizeWithin-1), "ended") {
		t.Error("announced again too early")
	}
	if !c.Expired(late.Add(finalizeWithin), "ended") || c.Pending == nil || c.Revision != 1 {
		t.Errorf("not announced again: %+v", c)
	}
	c.TakeClaim("t", late, time.Minute)
	if c.Expired(late.Add(time.Minute), "ended") {
		t.Error("a claim was disturbed before its grace was over")
	}
	if !c.Expired(late.Add(3*time.Minute), "ended") || c.Status != Finalizing {
		t.Errorf("a lost claim was not announced again: %+v", c)
	}
}

// The index on expires_at is written at most once in half a timeout, and never lies before the end of the silence.
func TestExpiresAtMovesSeldom(t *testing.T) {
	c := live()
	moves, last := 0, c.ExpiresAt
	for s := range 3600 {
		now := start.Add(time.Duration(s) * time.Second)
		c.Heard(now)
		if c.ExpiresAt != last {
			moves, last = moves+1, c.ExpiresAt
		}
		if c.ExpiresAt.Before(now.Add(c.SilenceTimeout)) {
			t.Fatalf("after %d s: expires %v, before the silence is over", s, c.ExpiresAt)
		}
	}
	if moves > 60 {
		t.Errorf("moved %d times in an hour, want at most 60 with a timeout of 2 min", moves)
	}
}

// The sweep looks at a conversation as the session that has it now would have it, also where one before would have waited
// for longer.
func TestExpiresAtOfResumed(t *testing.T) {
	for _, timeout := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Hour} {
		c := Attachment{SessionID: "s1", SilenceTimeout: 2 * time.Hour, At: start}.Begin("c", Device{})
		c.Heard(start.Add(30 * time.Second))
		Attachment{SessionID: "s2", SilenceTimeout: timeout, At: start.Add(40 * time.Second)}.Resume(&c, Device{})
		first, last := c.FinishedAt.Add(timeout), c.FinishedAt.Add(timeout*3/2)
		if c.ExpiresAt.Before(first) || c.ExpiresAt.After(last) {
			t.Errorf("resumed with %v: expires %v, want from %v to %v", timeout, c.ExpiresAt, first, last)
		}
		if !c.Expired(last, "ended") || c.Status != Ended {
			t.Errorf("resumed with %v: %s at %v, want it ended", timeout, c.Status, last)
		}
	}
}

func TestFlushedRemembersFormerSessions(t *testing.T) {
	c := live()
	c.Session.Flush = 7
	for i := range formerSessions {
		Attachment{SessionID: strings.Repeat("x", i+1), SilenceTimeout: time.Minute}.Resume(&c, Device{Generation: c.Session.Generation})
		if got := c.Flushed("s1"); got != 7 {
			t.Fatalf("after %d takeovers: got flush %d, want 7", i+1, got)
		}
	}
	Attachment{SessionID: "y", SilenceTimeout: time.Minute}.Resume(&c, Device{Generation: c.Session.Generation})
	if len(c.Former) != formerSessions || c.Session.Generation != int64(formerSessions)+2 {
		t.Errorf("former %d, generation %d", len(c.Former), c.Session.Generation)
	}
}

func TestWireHasNoNullLists(t *testing.T) {
	c := live()
	data, err := json.Marshal(c.Wire(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"status":"in_progress"`, `"transcript_segments":[]`, `"action_items":[]`, `"events":[]`, `"photos":[]`,
		`"apps_results":[]`, `"geolocation":null`, `"category":"other"`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is missing in %s", want, data)
		}
	}
	if strings.Contains(string(data), "ummarizer") {
		t.Errorf("a field of ours in %s", data)
	}
}

func TestSuggest(t *testing.T) {
	var c Conversation
	for i := range maxSuggested {
		c.Suggest(strconv.Itoa(i))
	}
	before := c
	c.Suggest("x", "y")
	n := len(c.Suggested)
	if n != maxSuggested || c.Suggested[0] != "2" || c.Suggested[n-1] != "y" {
		t.Errorf("%d ids from %q to %q are known, want the last %d", n, c.Suggested[0], c.Suggested[n-1], maxSuggested)
	}
	if last := before.Suggested[maxSuggested-1]; last != strconv.Itoa(maxSuggested-1) {
		t.Errorf("the version before ends in %q now", last)
	}
}

// Of two that know the audio through the same number, each may know more of another channel.
func TestAckedLatest(t *testing.T) {
	at := time.Unix(100, 0)
	acked := func(sequence uint32, beyond ...time.Duration) Acked { return Acked{sequence, at, beyond} }
	for _, tt := range []struct{ a, b, want Acked }{
		{acked(1), acked(2), acked(2)},
		{acked(2, 7), acked(1, 9), acked(2, 7)},
		{acked(2, 0, 9), acked(2, 5, 3), acked(2, 5, 9)},
		{acked(2), acked(2, 5, 3), acked(2, 5, 3)},
		{acked(2, 5, 3), acked(2, 1), acked(2, 5, 3)},
	} {
		before := slices.Clone(tt.a.Beyond)
		if got := tt.a.Latest(tt.b); !reflect.DeepEqual(got, tt.want) || !slices.Equal(before, tt.a.Beyond) {
			t.Errorf("of %v and %v: got %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

// What is kept of a version that was just written shows the same as what is read from the store, which keeps microseconds.
func TestHeardAsStored(t *testing.T) {
	at := time.Date(2026, 11, 23, 11, 0, 0, 123_456_789, time.FixedZone("CET", 3600))
	var c Conversation
	c.Heard(at)
	if got, want := c.FinishedAt, time.Date(2026, 11, 23, 10, 0, 0, 123_456_000, time.UTC); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
