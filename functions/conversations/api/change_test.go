package api

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/usage"
)

var errLost = fault.New(fault.Unavailable, "commit", errors.New("the answer was lost"))

// weather is what a store does to the first writes.
var weather = map[string]func(write int, apply func() error) error{
	"fair": func(_ int, apply func() error) error { return apply() },
	"the answer is lost": func(write int, apply func() error) error {
		if err := apply(); err != nil || write > 0 {
			return err
		}
		return errLost
	},
	"nothing arrives": func(write int, apply func() error) error {
		if write < 2 {
			return errLost
		}
		return apply()
	},
	"refused by its own echo": func(write int, apply func() error) error {
		if err := apply(); err != nil || write > 0 {
			return err
		}
		return fault.Newf(fault.Conflict, "commit", "somebody wrote in between")
	},
	"a session writes in between": func(write int, apply func() error) error {
		if write < 3 {
			return fault.Newf(fault.Conflict, "commit", "somebody wrote in between")
		}
		return apply()
	},
}

// inWeather runs a test in each weather.
func inWeather(t *testing.T, test func(t *testing.T, r *rig)) {
	for name, do := range weather {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			writes := 0
			r.store.onWrite = func(apply func() error) error {
				writes++
				return do(writes-1, apply)
			}
			test(t, r)
		})
	}
}

// A live conversation ends once, however often it is said and whatever the store answers, and its end is told under
// one id.
func TestEnd(t *testing.T) {
	inWeather(t, func(t *testing.T, r *rig) {
		r.begin("anna", "c1", start, nil)
		for range 3 {
			response := r.call("POST", "/v1/conversations/c1/finalize", "")
			wantStatus(t, response, http.StatusOK)
			if got := decode[finalized](t, response).Conversation; got.ID != "c1" || got.Status != "processing" || len(got.Segments) != 1 {
				t.Errorf("got %+v", got)
			}
		}
		c := r.stored("anna", "c1")
		if c.Status != conversation.Ended || c.Revision != 1 || c.EndReason != conversation.EndRequested || c.Pending != nil {
			t.Errorf("stored: got %+v", c)
		}
		if len(r.board.ids) == 0 || strings.ReplaceAll(strings.Join(r.board.ids, ""), "c1:ended:1", "") != "" {
			t.Errorf("told: got %q, want c1:ended:1", r.board.ids)
		}
	})
}

// What can't be told stays marked, for the sweep; the person has their answer.
func TestEndIsNotTold(t *testing.T) {
	r := newRig(t)
	r.begin("anna", "c1", start, nil)
	r.board.err = fault.New(fault.Unavailable, "publish", errors.New("down"))
	wantStatus(t, r.call("POST", "/v1/conversations/c1/finalize", ""), http.StatusOK)
	if c := r.stored("anna", "c1"); c.Status != conversation.Ended || c.Pending == nil || c.Pending.Event != event.ConversationEnded {
		t.Errorf("stored: got %+v", c)
	}
	if !strings.Contains(r.log.String(), endNotAnnounced) {
		t.Errorf("logged: %s", r.log)
	}
}

// A device ends its own; who names none ends the newest that is live, of whatever device: that of the one that connected
// last may have ended long ago.
func TestEndLive(t *testing.T) {
	r := newRig(t)
	wantProblem(t, r.call("POST", "/v1/conversations", ""), http.StatusNotFound)
	r.begin("anna", "watch", start.Add(time.Minute), nil)
	r.begin("anna", "phone", start, nil)
	r.begin("anna", "desktop", start.Add(2*time.Minute), nil)
	r.begin("anna", "done", start.Add(3*time.Minute), finished)
	r.begin("ben", "theirs", start.Add(4*time.Minute), nil)
	for _, device := range []string{"phone", "watch", "desktop", "done"} {
		r.store.devices["anna/"+device] = conversation.Device{ConversationID: device}
	}
	for _, tt := range []struct{ device, want string }{
		{"phone", "phone"},
		{"phone", ""},
		{"done", ""},
		{"lamp", ""},
		{"", "desktop"},
		{"", "watch"},
		{"", ""},
		{"watch", ""},
	} {
		response := r.call("POST", "/v1/conversations", "", "X-Device-Id-Hash", tt.device)
		if tt.want == "" {
			wantProblem(t, response, http.StatusNotFound)
			continue
		}
		wantStatus(t, response, http.StatusOK)
		if got := decode[finalized](t, response).Conversation.ID; got != tt.want {
			t.Errorf("device %q: ended %s, want %s", tt.device, got, tt.want)
		}
	}
	r.store.devices["anna/phone"] = conversation.Device{ConversationID: "deleted"}
	wantProblem(t, r.call("POST", "/v1/conversations", "", "X-Device-Id-Hash", "phone"), http.StatusNotFound)
}

func TestFinalization(t *testing.T) {
	r := newRig(t)
	failed := func(c *conversation.Conversation) {
		c.End(start, conversation.EndSilence, "")
		c.TakeClaim("t", start, time.Minute)
		c.Fail("why", start)
	}
	for cid, change := range map[string]func(*conversation.Conversation){
		"live": nil, "done": finished, "failed": failed,
		"again": func(c *conversation.Conversation) {
			failed(c)
			c.Reprocess(start, "")
		},
	} {
		r.begin("anna", cid, start, change)
	}
	for cid, want := range map[string]string{
		"live": "{in_progress false false 0 <nil>}", "done": "{completed true false 1 <nil>}",
		"failed": "{failed true true 1 why}", "again": "{processing false false 0 <nil>}",
	} {
		got := decode[struct {
			Status              string
			Terminal, Retryable bool
			Attempts            int `json:"attempt_count"`
			Failure             any // nil: there is none
		}](t, r.call("GET", "/v1/conversations/"+cid+"/finalization", ""))
		if fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, want %s", cid, got, want)
		}
	}
	wantProblem(t, r.call("GET", "/v1/conversations/none/finalization", ""), http.StatusNotFound)
}

func TestRename(t *testing.T) {
	inWeather(t, func(t *testing.T, r *rig) {
		r.begin("anna", "c1", start, finished)
		for range 2 {
			wantStatus(t, r.call("PATCH", "/v1/conversations/c1/title?title=+My%20title+", ""), http.StatusOK)
		}
		if s := r.stored("anna", "c1").Structured; s.Title != "My title" || s.Category != "work" {
			t.Errorf("got %+v", s)
		}
	})
	r := newRig(t)
	for _, title := range []string{"", "%20", "%ff", strings.Repeat("x", 501)} {
		wantProblem(t, r.call("PATCH", "/v1/conversations/c1/title?title="+title, ""), http.StatusBadRequest)
	}
}

func TestDelete(t *testing.T) {
	inWeather(t, func(t *testing.T, r *rig) {
		r.begin("anna", "c1", start, finished)
		wantStatus(t, r.call("DELETE", "/v1/conversations/c1", ""), http.StatusNoContent)
		wantProblem(t, r.call("DELETE", "/v1/conversations/c1", ""), http.StatusNotFound)
		wantProblem(t, r.call("GET", "/v1/conversations/c1", ""), http.StatusNotFound)
	})
}

// What a conversation used is told with the totals of the version that is deleted, whatever its session told before; where
// it can't be told nothing is deleted.
func TestDeletedUsageIsTold(t *testing.T) {
	inWeather(t, func(t *testing.T, r *rig) {
		used := usage.Hours{"2026-11-23T10": {AudioMS: 840_000, SpeechMS: 600_000, Words: 1500}}
		r.begin("anna", "c1", start, func(c *conversation.Conversation) { c.Usage = used })
		r.board.err = fault.New(fault.Internal, "publish", errors.New("down"))
		wantProblem(t, r.call("DELETE", "/v1/conversations/c1", ""), http.StatusServiceUnavailable)
		version := r.stored("anna", "c1").UpdateTime
		if version.IsZero() {
			t.Fatal("it was deleted, and nobody was told what it used")
		}
		r.board.err = nil
		wantStatus(t, r.call("DELETE", "/v1/conversations/c1", ""), http.StatusNoContent)
		if len(r.board.events) == 0 {
			t.Fatal("nobody was told what it used")
		}
		for _, e := range r.board.events {
			told, err := event.Decode[event.Usage](e)
			if e.Type != event.UsageRecorded || err != nil || told.UID != "anna" || told.ConversationID != "c1" || !reflect.DeepEqual(told.Hours, used) {
				t.Errorf("told %s %+v (%v), want %v", e.Type, told, err, used)
			}
			if want := fmt.Sprintf("c1:usage:%d", version.UnixMicro()); e.ID != want {
				t.Errorf("told as %s, want %s", e.ID, want)
			}
		}
	})
}

// Whoever never gets a turn is told to come again.
func TestContested(t *testing.T) {
	r := newRig(t)
	r.begin("anna", "c1", start, nil)
	r.store.onWrite = func(func() error) error { return fault.Newf(fault.Conflict, "commit", "somebody wrote in between") }
	for _, call := range []string{"POST /v1/conversations/c1/finalize", "DELETE /v1/conversations/c1", "PATCH /v1/conversations/c1/title?title=t"} {
		method, target, _ := strings.Cut(call, " ")
		response := r.call(method, target, "")
		wantProblem(t, response, http.StatusServiceUnavailable)
		if response.Header.Get("Retry-After") == "" {
			t.Error("nothing says when to come again")
		}
	}
}

func TestWebhooks(t *testing.T) {
	r := newRig(t)
	const target = "/v1/users/developer/webhook/memory_created"
	get := func() account.Webhook { return decode[account.Webhook](t, r.call("GET", target, "")) }
	if got := get(); got != (account.Webhook{}) {
		t.Errorf("got %+v, want none", got)
	}
	wantNoAddress := func() {
		t.Helper()
		before := get()
		wantProblem(t, r.call("POST", target+"/enable", ""), http.StatusBadRequest)
		if got := get(); got.Enabled || got != before {
			t.Errorf("enabled without an address: got %+v, want %+v", got, before)
		}
		wantStatus(t, r.call("POST", target+"/disable", ""), http.StatusOK)
	}
	wantNoAddress()
	wantStatus(t, r.call("POST", target, `{"url":"https://example.com/a?b=c"}`), http.StatusOK)
	first := get()
	if first.URL != "https://example.com/a?b=c" || !first.Enabled || !strings.HasPrefix(first.Secret, "whsec_") {
		t.Errorf("got %+v", first)
	}
	enabled := func() bool {
		return decode[map[string]bool](t, r.call("GET", "/v1/users/developer/webhooks/status", ""))["memory_created"]
	}
	for path, want := range map[string]bool{"/disable": false, "/enable": true} {
		wantStatus(t, r.call("POST", target+path, ""), http.StatusOK)
		if got := get(); got.Enabled != want || got.URL != first.URL || enabled() != want {
			t.Errorf("%s: got %+v, %t", path, got, enabled())
		}
	}
	wantStatus(t, r.call("POST", target, `{"url":"https://example.com/new"}`), http.StatusOK)
	if got := get(); got.Secret != first.Secret || got.URL != "https://example.com/new" {
		t.Errorf("got %+v, want the new address and the old secret", got)
	}
	for _, none := range []string{"", ","} {
		wantStatus(t, r.call("POST", target, `{"url":"`+none+`"}`), http.StatusOK)
		if got := get(); got.Enabled || got.URL != "" || got.Secret != first.Secret {
			t.Errorf("%q: got %+v", none, got)
		}
		wantNoAddress()
	}
	for body, want := range map[string]int{
		`{"url":"ftp://example.com"}`: http.StatusBadRequest, `{"url":"example.com"}`: http.StatusBadRequest,
		`{"url":"https://u:p@example.com"}`: http.StatusBadRequest, `{"url":7}`: http.StatusBadRequest,
		`{}`: http.StatusBadRequest, `{`: http.StatusBadRequest,
		`{"url":"https://example.com/` + strings.Repeat("x", maxURL) + `"}`:  http.StatusBadRequest,
		`{"url":"https://example.com/` + strings.Repeat("x", maxBody) + `"}`: http.StatusRequestEntityTooLarge,
	} {
		wantProblem(t, r.call("POST", target, body), want)
	}
	wantProblem(t, r.call("POST", target, `{"url":""}`, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	wantProblem(t, r.call("GET", "/v1/users/developer/webhook/else", ""), http.StatusNotFound)
	const audio = "/v1/users/developer/webhook/audio_bytes"
	wantStatus(t, r.call("POST", audio, `{"url":"https://example.com,10"}`), http.StatusOK) // as Omi's apps set it
	if got := decode[account.Webhook](t, r.call("GET", audio, "")); !got.Enabled || got.URL != "https://example.com,10" {
		t.Errorf("got %+v, want it as it was set, enabled", got)
	}
	wantProblem(t, r.call("POST", audio, `{"url":"example.com,10"}`), http.StatusBadRequest)
}

func TestUsage(t *testing.T) {
	r := newRig(t)
	at := now()
	day, month := usage.Day(at), usage.Month(at)
	minute := usage.Totals{AudioMS: 60_500, SpeechMS: 30_999, Words: 100}
	r.store.days = []usage.Period{
		{Key: day, Totals: minute}, {Key: month, Totals: minute}, {Key: "2021-05", Totals: minute},
	}
	for period, want := range map[string]string{
		"today":    fmt.Sprintf("[{%s {60 30 100 0 0}}]", day),
		"monthly":  fmt.Sprintf("[{%s {60 30 100 0 0}}]", day),
		"yearly":   fmt.Sprintf("[{%s-01 {60 30 100 0 0}}]", month),
		"all_time": fmt.Sprintf("[{%s-01 {60 30 100 0 0}} {2021-05-01 {60 30 100 0 0}}]", month),
	} {
		response := r.call("GET", "/v1/users/me/usage?period="+period, "")
		wantStatus(t, response, http.StatusOK)
		body := decode[struct {
			Today, Monthly, Yearly totals
			AllTime                totals `json:"all_time"`
			History                []entry
		}](t, response)
		sum := map[string]totals{"today": body.Today, "monthly": body.Monthly, "yearly": body.Yearly, "all_time": body.AllTime}[period]
		if got := fmt.Sprint(body.History); got != want || sum.WordsTranscribed != int64(100*len(body.History)) {
			t.Errorf("%s: got %s, in all %+v, want %s", period, got, sum, want)
		}
	}
	if body := decode[map[string]any](t, r.call("GET", "/v1/users/me/usage", "")); body["today"] == nil {
		t.Errorf("without a period: got %v, want today", body)
	}
}

func TestSubscription(t *testing.T) {
	r := newRig(t)
	r.store.days = []usage.Period{{Key: usage.Month(now()), Totals: usage.Totals{AudioMS: 120_000}}}
	for plan, want := range map[string]string{"": "basic 72000", "basic": "basic 72000", "unlimited": "unlimited none"} {
		r.store.profiles["anna"] = account.Profile{Plan: plan}
		got := decode[subscription](t, r.call("GET", "/v1/users/me/subscription", ""))
		limit := "none"
		if got.Limits.TranscriptionSeconds != nil {
			limit = fmt.Sprint(*got.Limits.TranscriptionSeconds)
		}
		if got.Plan+" "+limit != want || got.Used.TranscriptionSeconds != 120 || got.PeriodEnd.Before(time.Now()) {
			t.Errorf("%q: got %+v, limit %s, want %s", plan, got, limit, want)
		}
	}
}
