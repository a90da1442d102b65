package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func finished(c *conversation.Conversation) {
	c.End(start, conversation.EndSilence, "conversation.ended.v1")
	c.TakeClaim("t", start, time.Minute)
	c.Complete(conversation.Structured{Title: "Found", Category: "work"}, false, start, "")
}

func decode[T any](t *testing.T, r *http.Response) T {
	t.Helper()
	var v T
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func wantStatus(t *testing.T, r *http.Response, want int) {
	t.Helper()
	if r.StatusCode != want {
		body, err := io.ReadAll(r.Body)
		t.Fatalf("got status %d, %s (%v), want %d", r.StatusCode, body, err, want)
	}
}

func wantProblem(t *testing.T, r *http.Response, status int) {
	t.Helper()
	wantStatus(t, r, status)
	p := decode[fault.Problem](t, r)
	if p.Status != status || p.Detail == "" || p.Title == "" || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %+v, %s", p, r.Header.Get("Content-Type"))
	}
}

// Every route is described, and everything described is a route.
func TestDescription(t *testing.T) {
	r := newRig(t)
	response := r.send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	wantStatus(t, response, http.StatusOK)
	served := decode[struct {
		Paths map[string]map[string]any
	}](t, response)
	var described []string
	for path, methods := range served.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	var routes []string
	for pattern := range r.routes() {
		routes = append(routes, pattern)
	}
	slices.Sort(described)
	slices.Sort(routes)
	if !slices.Equal(described, routes) {
		t.Errorf("described %q\nroutes %q", described, routes)
	}
}

// Nobody gets past any route without a token, or to what isn't theirs, whatever id they try.
func TestOnlyTheirOwn(t *testing.T) {
	r := newRig(t)
	r.begin("ben", "c1", start, finished)
	ids := []string{
		"c1", "c1%2Fpages%2F000000", "..%2F..%2Fben%2Fconversations%2Fc1", "%2E%2E", "ben%2Fc1", "__name__", strings.Repeat("x", 2000),
		"%00", "c1%20", "*", "%FF",
	}
	for pattern := range r.routes() {
		method, path, _ := strings.Cut(pattern, " ")
		for _, id := range ids {
			target := strings.NewReplacer("{id}", id, "{type}", id).Replace(path)
			if strings.Contains(path, "{") {
				code := r.call(method, target, "", "X-Device-Id-Hash", id).StatusCode
				untitled := strings.HasSuffix(path, "/title") && code == http.StatusBadRequest
				if code != http.StatusNotFound && !untitled {
					t.Errorf("%s %s: got status %d, want 404", method, target, code)
				}
			}
			anonymous := httptest.NewRequestWithContext(t.Context(), method, target, nil)
			response := r.send(anonymous)
			if code := response.StatusCode; code != http.StatusUnauthorized && code != http.StatusNotFound {
				t.Errorf("%s %s without a token: got status %d", method, target, code)
			}
		}
	}
	wantProblem(t, r.send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/conversations", nil)), http.StatusUnauthorized)
	if got := r.stored("ben", "c1"); got.Status != conversation.Completed || got.Revision != 1 {
		t.Errorf("somebody else's was changed: %+v", got)
	}
	if list := decode[[]any](t, r.call("GET", "/v1/conversations", "")); len(list) != 0 {
		t.Errorf("got %d of somebody else's", len(list))
	}
}

func TestNoRoute(t *testing.T) {
	r := newRig(t)
	for target, want := range map[string]int{
		"GET /":                            http.StatusNotFound,
		"GET /v1/conversations/c1/nothing": http.StatusNotFound,
		"GET /v1//conversations":           http.StatusNotFound,
		"PUT /v1/conversations":            http.StatusMethodNotAllowed,
		"GET /v1/conversations/c1/title":   http.StatusMethodNotAllowed,
	} {
		method, path, _ := strings.Cut(target, " ")
		response := r.call(method, path, "")
		wantProblem(t, response, want)
		if want == http.StatusMethodNotAllowed && response.Header.Get("Allow") == "" {
			t.Errorf("%s: nothing says what is allowed", target)
		}
	}
}

func TestTags(t *testing.T) {
	r := newRig(t)
	r.begin("anna", "c1", start, finished)
	for _, target := range []string{"/v1/conversations", "/v1/conversations/c1", "/v1/conversations/count", "/v1/users/me/subscription"} {
		first := r.call("GET", target, "")
		wantStatus(t, first, http.StatusOK)
		tag := first.Header.Get("ETag")
		for _, has := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			again := r.call("GET", target, "", "If-None-Match", has)
			body, err := io.ReadAll(again.Body)
			if again.StatusCode != http.StatusNotModified || len(body) > 0 || err != nil || again.Header.Get("ETag") != tag {
				t.Errorf("%s, who has %s: got status %d and %d bytes", target, has, again.StatusCode, len(body))
			}
		}
		wantStatus(t, r.call("GET", target, "", "If-None-Match", `"other"`), http.StatusOK)
	}
	tag := r.call("GET", "/v1/conversations/c1", "").Header.Get("ETag")
	wantStatus(t, r.call("PATCH", "/v1/conversations/c1/title?title=New", ""), http.StatusOK)
	changed := r.call("GET", "/v1/conversations/c1", "", "If-None-Match", tag)
	wantStatus(t, changed, http.StatusOK)
	if c := decode[conversation.Wire](t, changed); c.Structured.Title != "New" {
		t.Errorf("got %+v", c.Structured)
	}
}

// A failing store is said to fail, is logged, and says nothing of itself to the client.
func TestStoreFails(t *testing.T) {
	r := newRig(t)
	r.store.down = fault.New(fault.Unavailable, "read", fmt.Errorf("connection to 10.0.0.7 refused"))
	for pattern := range r.routes() {
		method, path, _ := strings.Cut(pattern, " ")
		target := strings.NewReplacer("{id}", "c1", "{type}", "memory_created").Replace(path)
		body := ""
		if pattern == "POST /v1/users/developer/webhook/{type}" {
			body = `{"url":"https://example.com"}`
		}
		response := r.call(method, target+"?title=t", body)
		wantStatus(t, response, http.StatusServiceUnavailable)
		if text, err := io.ReadAll(response.Body); err != nil || strings.Contains(string(text), "10.0.0.7") {
			t.Errorf("%s: got %s", pattern, text)
		}
	}
	if got, want := strings.Count(r.log.String(), requestFailed), len(r.routes()); got != want {
		t.Errorf("logged %d times, want %d", got, want)
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(2, 5, nil)
		for i := range 5 {
			if err := l.admit(t.Context(), "anna", 1); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		if err := l.admit(t.Context(), "anna", 1); !fault.Is(err, fault.Overloaded) {
			t.Errorf("the sixth: got %v, want overloaded", err)
		}
		if err := l.admit(t.Context(), "ben", 1); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		<-time.After(500 * time.Millisecond)
		if err := l.admit(t.Context(), "anna", 1); err != nil {
			t.Errorf("half a second later: %v", err)
		}
		for i := range 3 * purgeAt {
			if i%purgeAt == 0 {
				<-time.After(time.Minute)
			}
			if err := l.admit(t.Context(), fmt.Sprint(i), 1); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(l.users); got > purgeAt {
			t.Errorf("%d users are remembered, want %d at most", got, purgeAt)
		}
	})
	r := newRig(t)
	r.limits = newLimits(1, 1, nil)
	wantStatus(t, r.call("GET", "/v1/conversations", ""), http.StatusOK)
	refused := r.call("GET", "/v1/conversations", "")
	wantProblem(t, refused, http.StatusTooManyRequests)
	if refused.Header.Get("Retry-After") == "" {
		t.Error("nothing says when to come again")
	}
}

func TestQueries(t *testing.T) {
	r := newRig(t)
	mark := cursor((&conversation.Conversation{ID: "c1", CreatedAt: start}).Mark())
	for query, want := range map[string]string{
		"":                            "[ended finalizing completed] [] false 100 0",
		"limit=7&offset=14":           "[ended finalizing completed] [] false 7 14",
		"statuses=":                   "[] [] false 100 0",
		"statuses=failed,in_progress": "[failed live] [] false 100 0",
		"sources=omi,desktop,omi&include_discarded=false": "[ended finalizing completed] [omi desktop] true 100 0",
		"cursor=" + mark: "[ended finalizing completed] [] false 100 0 2026-11-23T10:00:00Z c1",
	} {
		wantStatus(t, r.call("GET", "/v1/conversations?"+query, ""), http.StatusOK)
		f, w := r.store.filters[len(r.store.filters)-1], r.store.asked[len(r.store.asked)-1]
		got := fmt.Sprint(f.Statuses, f.Sources, f.KeptOnly, w.Limit, w.Offset)
		if w.After != (conversation.Mark{}) {
			got = fmt.Sprint(got, " ", w.After.CreatedAt.Format(time.RFC3339), " ", w.After.ID)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	forged := func(year int) string {
		return "cursor=" + cursor(conversation.Mark{CreatedAt: time.Date(year, 7, 1, 0, 0, 0, 0, time.UTC), ID: "c1"})
	}
	for _, query := range []string{
		"limit=0", "limit=201", "limit=x", "offset=-1", "offset=10001", "statuses=gone", "include_discarded=perhaps",
		"start_date=yesterday", "end_date=99999-01-01", "cursor=!", "cursor=Zm9v", "sources=a%2Fb",
		"sources=a,b,c,d,e,f,g,h,i,j,k", "period=weekly", forged(0), forged(10_000),
		"start_date=0001-01-01T00:00:00%2B10:00", "end_date=9999-12-31T23:00:00-10:00",
	} {
		target := "/v1/conversations?" + query
		if strings.HasPrefix(query, "period") {
			target = "/v1/users/me/usage?" + query
		}
		wantProblem(t, r.call("GET", target, ""), http.StatusBadRequest)
	}
	for _, text := range []string{"2026-11-23T10:00:00Z", "2026-11-23T11:00:00%2B01:00", "2026-11-23T10:00:00.000000"} {
		wantStatus(t, r.call("GET", "/v1/conversations?start_date="+text, ""), http.StatusOK)
		if f := r.store.filters[len(r.store.filters)-1]; !f.From.Equal(start) {
			t.Errorf("%s: got %v, want %v", text, f.From, start)
		}
	}
}

var nextLink = regexp.MustCompile(`^<(.*)>; rel="next"$`)

// A full list says how to go on, with the same filters.
func TestLink(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.begin("anna", fmt.Sprint("c", i), start.Add(time.Duration(i)*time.Minute), finished)
	}
	full := r.call("GET", "/v1/conversations?limit=2&statuses=completed&offset=0", "")
	link := nextLink.FindStringSubmatch(full.Header.Get("Link"))
	if link == nil {
		t.Fatalf("got Link %q", full.Header.Get("Link"))
	}
	u, err := url.Parse(link[1])
	if err != nil || u.Path != "/v1/conversations" || u.Query().Get("statuses") != "completed" || u.Query().Has("offset") {
		t.Errorf("got %s (%v)", link[1], err)
	}
	wantStatus(t, r.call("GET", link[1], ""), http.StatusOK)
	if got := r.store.asked[len(r.store.asked)-1].After; got.ID != "c1" || !got.CreatedAt.Equal(start.Add(time.Minute)) {
		t.Errorf("goes on after %+v, want c1", got)
	}
	if rest := r.call("GET", "/v1/conversations?limit=4", ""); rest.Header.Get("Link") != "" {
		t.Error("a list that isn't full goes on")
	}
}

func FuzzQuery(f *testing.F) {
	for _, query := range []string{
		"limit=1&offset=2", "statuses=completed,failed&sources=omi", "cursor=MTYwMDAwMCBjMQ", "start_date=2026-11-23T10:00:00Z",
		"include_discarded=false&end_date=2026-11-23", "%zz", "cursor=" + strings.Repeat("A", 5000),
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		w, err := window(query)
		if err == nil && (w.Limit < 1 || w.Limit > maxLimit || w.Offset < 0 || w.Offset > maxOffset) {
			t.Errorf("%q: got %+v", text, w)
		}
		if err == nil && w.After != (conversation.Mark{}) {
			if again, err := readCursor(cursor(w.After)); err != nil || again.ID != w.After.ID || !again.CreatedAt.Equal(w.After.CreatedAt) {
				t.Errorf("%q: got %+v, and again %+v (%v)", text, w.After, again, err)
			}
		}
		flt, err := filter(query)
		if err == nil && max(len(flt.Statuses), 1)*max(len(flt.Sources), 1) > maxAlternate {
			t.Errorf("%q: got %+v", text, flt)
		}
	})
}
