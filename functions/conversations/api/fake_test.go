package api

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"golang.org/x/time/rate"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// memory is a store with the semantics that matter: a version has one successor. It is its own reader.
type memory struct {
	mu       sync.Mutex
	clock    time.Time
	all      map[string]conversation.Conversation               // by {uid}/{cid}
	devices  map[string]conversation.Device                     // by {uid}/{device}
	hooks    map[string]map[account.WebhookType]account.Webhook // by uid
	photos   []conversation.Photo                               // of each conversation that counts them
	profiles map[string]account.Profile
	days     []usage.Period
	segments []transcript.Segment
	looked   int    // how often photos were asked for
	onPhotos func() // called where they are
	asked    []conversation.Window
	filters  []conversation.Filter
	// onWrite stands in for a commit or a deletion; it may call apply, which makes it.
	onWrite func(apply func() error) error
	down    error
}

var errMissing = fault.Newf(fault.NotFound, "read", "no such document")

func find[T any](m *memory, all map[string]T, key string) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := all[key]
	if m.down != nil {
		return v, m.down
	}
	if !ok {
		return v, errMissing
	}
	return v, nil
}

// reader and writer are the two sides of a memory.
type (
	reader struct{ *memory }
	writer struct{ *memory }
)

func (r reader) Head(_ context.Context, uid, cid string) (conversation.Conversation, error) {
	return find(r.memory, r.all, uid+"/"+cid)
}

func (r reader) Conversation(_ context.Context, uid, cid string) (conversation.Conversation, []transcript.Segment, error) {
	c, err := find(r.memory, r.all, uid+"/"+cid)
	return c, r.segments, err
}

func (r reader) List(_ context.Context, uid string, f conversation.Filter, w conversation.Window) ([]conversation.Conversation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked, r.filters = append(r.asked, w), append(r.filters, f)
	var list []conversation.Conversation
	for key, c := range r.all {
		if strings.HasPrefix(key, uid+"/") {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b conversation.Conversation) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
	})
	return list[:min(len(list), w.Limit)], r.down
}

func (r reader) Count(ctx context.Context, uid string, f conversation.Filter) (int, error) {
	list, err := r.List(ctx, uid, f, conversation.Window{Limit: 1000})
	return len(list), err
}

func (r reader) Days(_ context.Context, _, first, last string) ([]usage.Period, error) {
	return r.periods(first, last)
}

func (r reader) Months(_ context.Context, _, first, last string) ([]usage.Period, error) {
	return r.periods(first, last)
}

func (m *memory) periods(first, last string) ([]usage.Period, error) {
	var found []usage.Period
	for _, p := range m.days {
		if len(p.Key) == len(first) && p.Key >= first && p.Key <= last {
			found = append(found, p)
		}
	}
	return found, m.down
}

func (r reader) Anchored(context.Context, string, conversation.Filter, conversation.Window) bool {
	return false
}

// Photos waits for a load no longer than its caller, as a cache does; the load goes on.
func (r reader) Photos(ctx context.Context, _ string, c *conversation.Conversation) ([]conversation.Photo, error) {
	r.mu.Lock()
	r.looked++
	r.mu.Unlock()
	if r.onPhotos != nil {
		loaded := make(chan struct{})
		go func() {
			defer close(loaded)
			r.onPhotos()
		}()
		select {
		case <-loaded:
		case <-ctx.Done():
			return nil, fault.New(fault.Unavailable, "load photos", ctx.Err())
		}
	}
	return r.photos[:min(c.Photos, maxPhotos)], r.down
}

func (r reader) Admit(_ context.Context, uid string, signedIn time.Time) (account.Profile, error) {
	profile, err := find(r.memory, r.profiles, uid)
	switch {
	case fault.Is(err, fault.NotFound):
		return profile, fault.Newf(fault.Unauthenticated, "read profile", "unknown user")
	case err == nil && profile.Revoked(signedIn):
		err = fault.Newf(fault.Revoked, "read profile", "the token was revoked")
	}
	return profile, err
}

func (r reader) Webhooks(_ context.Context, uid string) (map[account.WebhookType]account.Webhook, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.hooks[uid]), r.down
}

func (w writer) Conversation(_ context.Context, uid, cid string) (conversation.Conversation, error) {
	return find(w.memory, w.all, uid+"/"+cid)
}

func (w writer) Commit(_ context.Context, uid string, c *conversation.Conversation, _ ...transcript.Page) error {
	return w.write(func() error {
		if !w.all[uid+"/"+c.ID].UpdateTime.Equal(c.UpdateTime) || c.UpdateTime.IsZero() {
			return fault.Newf(fault.Conflict, "commit", "somebody wrote in between")
		}
		w.put(uid, c)
		return nil
	})
}

func (w writer) Delete(_ context.Context, uid string, c *conversation.Conversation) error {
	return w.write(func() error {
		if !w.all[uid+"/"+c.ID].UpdateTime.Equal(c.UpdateTime) {
			return fault.Newf(fault.Conflict, "delete", "somebody wrote in between")
		}
		delete(w.all, uid+"/"+c.ID)
		return nil
	})
}

func (writer) Forget(context.Context, string, string) {} // the reader has nothing of its own

func (m *memory) write(apply func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.onWrite != nil {
		return m.onWrite(apply)
	}
	return apply()
}

// put stores a new version. The caller holds the lock.
func (m *memory) put(uid string, c *conversation.Conversation) {
	m.clock = m.clock.Add(time.Microsecond)
	c.UpdateTime = m.clock
	m.all[uid+"/"+c.ID] = *c
}

func (w writer) Device(_ context.Context, uid, device string) (conversation.Device, error) {
	return find(w.memory, w.devices, uid+"/"+device)
}

func (w writer) NewestLive(_ context.Context, uid string) (cid string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var newest conversation.Conversation
	for key, c := range w.all {
		if strings.HasPrefix(key, uid+"/") && c.Status == conversation.Live && c.CreatedAt.After(newest.CreatedAt) {
			newest = c
		}
	}
	return newest.ID, w.down
}

func (w writer) ChangeWebhook(_ context.Context, uid string, t account.WebhookType, edit func(*account.Webhook)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	hook := w.hooks[uid][t]
	edit(&hook)
	if w.hooks[uid] == nil {
		w.hooks[uid] = map[account.WebhookType]account.Webhook{}
	}
	w.hooks[uid][t] = hook
	return w.down
}

// board keeps what was published, and its ids.
type board struct {
	ids    []string
	events []event.Event
	err    error
}

func (b *board) Publish(_ context.Context, e event.Event) error {
	if b.err == nil {
		b.ids = append(b.ids, e.ID)
		b.events = append(b.events, e)
	}
	return b.err
}

// rig is an API among fakes. What is asked of it and answered is held against the description.
type rig struct {
	*API
	t         *testing.T
	store     *memory
	board     *board
	log       *bytes.Buffer
	described routers.Router
}

func newRig(t *testing.T) *rig {
	t.Helper()
	m := &memory{
		clock: time.Unix(1, 0), all: map[string]conversation.Conversation{}, devices: map[string]conversation.Device{},
		hooks: map[string]map[account.WebhookType]account.Webhook{}, profiles: map[string]account.Profile{"anna": {}, "ben": {}},
		segments: []transcript.Segment{{ID: "s1", Text: "Hello there.", End: 1500 * time.Millisecond}},
	}
	r := &rig{t: t, store: m, board: &board{}, log: &bytes.Buffer{}, described: descriptionOf(t)}
	r.API = New(Options{
		Reader: reader{m}, Store: writer{m}, Publisher: r.board, Rate: rate.Inf, Burst: 1,
		User: func(r *http.Request) (string, time.Time, error) {
			uid, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				return "", time.Time{}, fault.Newf(fault.Unauthenticated, "read token", "want a token")
			}
			return uid, start, nil
		},
	})
	return r
}

// descriptionOf is the description by its routes. It is itself what it says it is.
func descriptionOf(t *testing.T) routers.Router {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatalf("not OpenAPI 3.1: %v", err)
	}
	router, err := legacy.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// begin stores a live conversation of the user, begun at the time, after the change.
func (r *rig) begin(uid, cid string, at time.Time, change func(c *conversation.Conversation)) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	c := conversation.Attachment{Device: "phone", Source: "omi", Language: "en", SessionID: "s", SilenceTimeout: time.Minute, At: at}.Begin(cid, conversation.Device{})
	if change != nil {
		change(&c)
	}
	r.store.put(uid, &c)
}

func (r *rig) stored(uid, cid string) conversation.Conversation {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.all[uid+"/"+cid]
}

// call makes a request as the user anna and gives the answer, which has to be as described.
func (r *rig) call(method, target, body string, headers ...string) *http.Response {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.t.Context(), method, target, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer anna")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return r.send(request)
}

func (r *rig) send(request *http.Request) *http.Response {
	r.t.Helper()
	asked, err := io.ReadAll(request.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Body = io.NopCloser(bytes.NewReader(asked))
	ctx := logging.NewContext(request.Context(), slog.New(slog.NewTextHandler(r.log, nil)))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request.WithContext(ctx))
	response := w.Result()
	request.Body = io.NopCloser(bytes.NewReader(asked))
	if request.URL.Path != "/openapi.json" {
		r.hold(request, response)
	}
	return response
}

// hold checks an answer against the description, if the description knows of the path and method, and the request where
// that was done what it asks for.
func (r *rig) hold(request *http.Request, response *http.Response) {
	r.t.Helper()
	if _, pattern := r.mux.Handler(request); pattern == "" || path.Clean(request.URL.Path) != request.URL.Path {
		return // nothing is described; the problem is looked at by who asks for it
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	route, values, err := r.described.FindRoute(request)
	if err != nil {
		r.t.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	asked := &openapi3filter.RequestValidationInput{
		Request: request, Route: route, PathParams: values,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if response.StatusCode < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(r.t.Context(), asked); err != nil {
			r.t.Errorf("%s %s: was answered with %d, and is not as described: %v", request.Method, request.URL, response.StatusCode, err)
		}
	}
	answered := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: response.StatusCode, Header: response.Header, Body: io.NopCloser(bytes.NewReader(body)), Options: asked.Options,
	}
	if err := openapi3filter.ValidateResponse(r.t.Context(), answered); err != nil {
		r.t.Errorf("%s %s: %d %s is not as described: %v", request.Method, request.URL, response.StatusCode, body, err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
}
