package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Ben gets nothing of anna's out of the real store, and changes nothing, whatever he takes for an id: what may be a
// path to other documents finds none.
func TestOnlyTheirOwn(t *testing.T) {
	w := newWorld(t)
	i := w.instance(t)
	c := i.hold(time.Now(), 2)
	i.want("GET", "/v1/conversations/"+c.ID, "") // it is in the cache now
	before := i.want("GET", "/v1/conversations?statuses=", "")
	ids := []string{
		c.ID, c.ID + "%2Fpages%2F000000", "..%2F..%2Fanna%2Fconversations%2F" + c.ID, "anna%2F" + c.ID, "x%2Fpages%2F000000",
		"%2E%2E", ".", "__name__", "%00", c.ID + "%20", "*", "%FF", strings.Repeat("x", 2000),
	}
	ask := func(method, target, device string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
		r.Header.Set("Authorization", "ben")
		r.Header.Set("X-Device-Id-Hash", device)
		recorder := httptest.NewRecorder()
		i.ServeHTTP(recorder, r)
		return recorder.Code
	}
	for _, id := range ids {
		one := "/v1/conversations/" + id
		for _, request := range []string{
			"GET " + one, "DELETE " + one, "PATCH " + one + "/title?title=Mine", "POST " + one + "/finalize",
			"GET " + one + "/finalization", "POST " + one + "/reprocess", "GET /v1/users/developer/webhook/" + id,
		} {
			method, target, _ := strings.Cut(request, " ")
			if got := ask(method, target, id); got != http.StatusNotFound {
				t.Errorf("%s: got status %d, want 404", request, got)
			}
		}
	}
	for _, device := range []string{c.Device, "a/b/c", "../anna", "__name__"} {
		if got := ask("POST", "/v1/conversations", device); got != http.StatusNotFound {
			t.Errorf("end what the device %q has: got status %d, want 404", device, got)
		}
	}
	if after := i.want("GET", "/v1/conversations?statuses=", ""); after != before {
		t.Errorf("anna had %s, and has %s", before, after)
	}
}
