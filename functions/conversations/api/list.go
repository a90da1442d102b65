package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

const (
	defaultLimit = 100
	maxLimit     = 200
	maxOffset    = 10_000
	maxAlternate = 30 // combinations of statuses and sources: Firestore's limit of disjunctions
)

// defaultStatuses are Omi's, as its apps count on them.
var defaultStatuses = []string{"processing", "completed"}

// list is GET /v1/conversations: newest first, without segments. A full list says in a Link header how to go on
// (RFC 8288), by a cursor: what is new meanwhile doesn't shift it.
func (a *API) list(ctx context.Context, r request) (answer, error) {
	query := r.URL.Query()
	f, err := filter(query)
	if err != nil {
		return answer{}, err
	}
	w, err := window(query)
	if err != nil {
		return answer{}, err
	}
	if err := a.charge(ctx, r.uid, f, w); err != nil {
		return answer{}, err
	}
	list, err := a.Reader.List(ctx, r.uid, f, w)
	if err != nil {
		return answer{}, err
	}
	wire := make([]conversation.Wire, len(list))
	for i := range list {
		wire[i] = list[i].Wire(nil)
	}
	return answer{body: wire, header: next(r.URL, list, w)}, nil
}

// readsPerRequest is how many conversations that are read count as one request.
const readsPerRequest = 100

// charge counts what a list reads beyond what a request is counted for, and what an offset skips, which Firestore reads and
// bills. Who scrolls skips nothing: the page before is at hand. So it is for who jumps, and no more of that is had than burst
// and rate allow.
func (a *API) charge(ctx context.Context, uid string, f conversation.Filter, w conversation.Window) error {
	more := (w.Limit - 1) / readsPerRequest
	if skipped := w.Offset / readsPerRequest; skipped > 0 && !a.Reader.Anchored(ctx, uid, f, w) {
		more += skipped
	}
	if more = min(more, a.Burst-1); more <= 0 { // the request itself was counted
		return nil
	}
	return a.limits.admit(ctx, uid, more)
}

// count is GET /v1/conversations/count.
func (a *API) count(ctx context.Context, r request) (answer, error) {
	f, err := filter(r.URL.Query())
	if err != nil {
		return answer{}, err
	}
	n, err := a.Reader.Count(ctx, r.uid, f)
	return answer{body: struct {
		Count int `json:"count"`
	}{n}}, err
}

// next links to what comes after a full list.
func next(here *url.URL, list []conversation.Conversation, w conversation.Window) http.Header {
	if len(list) < w.Limit {
		return nil
	}
	query := here.Query()
	query.Del("offset")
	query.Set("cursor", cursor(list[len(list)-1].Mark()))
	return http.Header{"Link": {fmt.Sprintf(`<%s?%s>; rel="next"`, here.EscapedPath(), query.Encode())}}
}

// cursor is a mark as clients keep it.
func cursor(m conversation.Mark) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", m.CreatedAt.UnixMicro(), m.ID))
}

func readCursor(s string) (conversation.Mark, error) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	at, id, ok := strings.Cut(string(text), " ")
	micros, notANumber := strconv.ParseInt(at, 10, 64)
	created := time.UnixMicro(micros).UTC()
	if err != nil || !ok || notANumber != nil || !storable(created) || !conversation.ValidName(id) {
		return conversation.Mark{}, invalid("cursor", "one that a Link header gave")
	}
	return conversation.Mark{CreatedAt: created, ID: id}, nil
}

func invalid(name, want string) error {
	return fault.Newf(fault.Invalid, "read query", "%s has to be %s", name, want)
}

func window(query url.Values) (w conversation.Window, err error) {
	if w.Limit, err = number(query, "limit", defaultLimit, 1, maxLimit); err != nil {
		return w, err
	}
	if c := query.Get("cursor"); c != "" {
		w.After, err = readCursor(c)
		return w, err
	}
	w.Offset, err = number(query, "offset", 0, 0, maxOffset)
	return w, err
}

func number(query url.Values, name string, otherwise, least, most int) (int, error) {
	text := query.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, invalid(name, fmt.Sprintf("a number from %d to %d", least, most))
	}
	return n, nil
}

func filter(query url.Values) (f conversation.Filter, err error) {
	statuses := list(query, "statuses")
	if !query.Has("statuses") {
		statuses = defaultStatuses
	}
	for _, name := range statuses {
		known := conversation.FromWire(name)
		if known == nil {
			return f, invalid("statuses", "of in_progress, processing, completed and failed, with commas between")
		}
		f.Statuses = append(f.Statuses, known...)
	}
	f.Sources = list(query, "sources")
	for _, s := range f.Sources {
		if !conversation.ValidName(s) {
			return f, invalid("sources", "names of sources, with commas between")
		}
	}
	if max(len(f.Statuses), 1)*max(len(f.Sources), 1) > maxAlternate {
		return f, invalid("sources", "fewer, or statuses have to be")
	}
	switch include := query.Get("include_discarded"); include {
	case "", "true", "True", "1":
	case "false", "False", "0":
		f.KeptOnly = true
	default:
		return f, invalid("include_discarded", "true or false")
	}
	if f.From, err = date(query, "start_date"); err != nil {
		return f, err
	}
	f.Through, err = date(query, "end_date")
	return f, err
}

// list reads names with commas between, each once.
func list(query url.Values, name string) []string {
	var names []string
	for part := range strings.SplitSeq(query.Get(name), ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(names, part) {
			names = append(names, part)
		}
	}
	return names
}

// dateLayouts are those of RFC 3339, and of Python's isoformat, which leaves the zone out of what is UTC.
var dateLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", time.DateOnly}

func date(query url.Values, name string) (time.Time, error) {
	text := query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil && storable(t.UTC()) {
			return t.UTC(), nil
		}
	}
	return time.Time{}, invalid(name, "a time such as 2026-11-23T10:00:00Z")
}

// storable reports whether Firestore knows a time, which is in UTC: the years from 1 to 9999.
// https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp
func storable(t time.Time) bool { return t.Year() > 0 && t.Year() < 10_000 }
