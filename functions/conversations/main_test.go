package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"earshot.dev/functions/conversations/api"
	"earshot.dev/shared/account"
	"earshot.dev/shared/cached"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/redistest"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

func TestMain(m *testing.M) {
	// OpenCensus, which the Firestore client brings, starts it when it is loaded.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// indexes are the composite indexes that the queries need, beside those of the sweep.
var indexes = []firestoretest.Index{
	{Collection: "conversations", Fields: []firestoretest.IndexField{{Path: "status"}, {Path: "created_at", Descending: true}}},
	{Collection: "conversations", Fields: []firestoretest.IndexField{{Path: "source"}, {Path: "created_at", Descending: true}}},
	{Collection: "conversations", Fields: []firestoretest.IndexField{{Path: "discarded"}, {Path: "created_at", Descending: true}}},
}

const project = "test"

// world is what instances stand on.
type world struct {
	firestore *firestoretest.Server
	redis     *redistest.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	firestore, err := firestoretest.NewServer(firestoretest.Options{Indexes: indexes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(firestore.Close)
	t.Setenv("FIRESTORE_EMULATOR_HOST", firestore.Addr())
	return &world{firestore, redistest.New(t)}
}

// instance is the service as another process would run it, and the store as another function has it.
type instance struct {
	t *testing.T
	http.Handler
	db *cached.Store
}

type nobody struct{}

func (nobody) Publish(context.Context, event.Event) error { return nil }

// signedIn is when everybody signed in.
var signedIn = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func (w *world) instance(t *testing.T) *instance {
	t.Helper()
	documents, err := store.Open(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	rdb, err := redisclient.Open(redisclient.Config{URL: "redis://" + w.redis.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	db := cached.New(documents, rdb)
	for _, uid := range []string{"anna", "ben"} {
		if err := documents.PutProfile(t.Context(), uid, account.Profile{Plan: "basic"}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := rdb.Close(); err != nil {
			t.Error(err)
		}
	})
	return &instance{t, api.New(api.Options{
		Reader: db.Read, Store: db, Publisher: nobody{}, Rate: rate.Inf, Burst: 1,
		User: func(r *http.Request) (string, time.Time, error) { return r.Header.Get("Authorization"), signedIn, nil },
	}), db}
}

// call makes a request of the user anna and gives status and body.
func (i *instance) call(method, target, body string) (int, string) {
	i.t.Helper()
	r := httptest.NewRequestWithContext(i.t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "anna")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// want makes a request that has to succeed.
func (i *instance) want(method, target, body string) string {
	i.t.Helper()
	status, answer := i.call(method, target, body)
	if status >= 300 {
		i.t.Fatalf("%s %s: got status %d, %s", method, target, status, answer)
	}
	return answer
}

// begin attaches a device of anna to a new conversation.
func (i *instance) begin(device string, at time.Time) conversation.Conversation {
	i.t.Helper()
	c, _, err := i.db.Attach(i.t.Context(), "anna", conversation.Attachment{
		Device: device, SessionID: uuid.NewString(), Source: "omi", Language: "en", SilenceTimeout: 2 * time.Minute,
		At: at.UTC().Truncate(time.Microsecond),
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return c
}

// hold stores a finished conversation of so many pages.
func (i *instance) hold(at time.Time, pages int) conversation.Conversation {
	i.t.Helper()
	c := i.begin(uuid.NewString(), at)
	for number := range pages {
		i.say(&c, number, transcript.PageSize)
	}
	c.End(at, conversation.EndSilence, event.ConversationEnded)
	c.TakeClaim("t", at, time.Minute)
	c.Complete(conversation.Structured{Title: "T", Category: "work"}, false, at, "")
	i.commit(&c)
	return c
}

// past stores so many finished conversations without words, each a minute older than the one before, and gives their ids:
// one and copies of it, as to hold each of a thousand takes long.
func (i *instance) past(newest time.Time, all int) (ids []string) {
	i.t.Helper()
	ctx := i.t.Context()
	client, err := firestore.NewClient(ctx, project)
	if err != nil {
		i.t.Fatal(err)
	}
	defer func() {
		if err := client.Close(); err != nil {
			i.t.Error(err)
		}
	}()
	first := i.hold(newest, 0)
	conversations := client.Collection("users").Doc("anna").Collection("conversations")
	stored, err := conversations.Doc(first.ID).Get(ctx)
	if err != nil {
		i.t.Fatal(err)
	}
	ids = append(ids, first.ID)
	batch, copied := client.Batch(), stored.Data() //nolint:staticcheck // deprecated, and what follows it is slower
	for n := 1; n < all; n++ {
		ids = append(ids, uuid.NewString())
		copied["id"], copied["created_at"] = ids[n], first.CreatedAt.Add(time.Duration(-n)*time.Minute)
		batch.Create(conversations.Doc(ids[n]), copied)
	}
	if _, err := batch.Commit(ctx); err != nil {
		i.t.Fatal(err)
	}
	return ids
}

// say stores the segments of a page, as a session does.
func (i *instance) say(c *conversation.Conversation, page, segments int) {
	i.t.Helper()
	p := transcript.Page{Number: page}
	for n := range segments {
		p.Segments = append(p.Segments, transcript.Segment{ID: fmt.Sprintf("%d-%d", page, n), Text: "word", Start: time.Duration(n) * time.Second})
	}
	c.Pages, c.Segments, c.Words = page+1, page*transcript.PageSize+segments, page*transcript.PageSize+segments
	c.MarkFlush(c.Session.ID)
	i.commit(c, p)
}

func (i *instance) commit(c *conversation.Conversation, pages ...transcript.Page) {
	i.t.Helper()
	if err := i.db.Commit(i.t.Context(), "anna", c, pages...); err != nil {
		i.t.Fatal(err)
	}
}

// reads are those of what do does, in documents as billed, and in calls. The profile isn't among them, which is read once
// in a while whatever is asked for (see TestProfileReads): each time it is a call for one document.
func (w *world) reads(do func()) (documents, calls int64) {
	w.firestore.ResetBill()
	do()
	for _, method := range []string{"BatchGetDocuments", "RunQuery", "RunAggregationQuery"} {
		calls += w.firestore.Calls(method)
	}
	profiles := w.profileReads()
	return w.firestore.Total().Reads - profiles, calls - profiles
}

// profileReads are those of profiles since the bill was reset.
func (w *world) profileReads() (n int64) {
	for item, used := range w.firestore.Bill() {
		if item.Collection == "users" {
			n += used.Reads
		}
	}
	return n
}

// What each request costs is known beforehand: in documents, and in calls, of which none grows with what is asked
// for; a count is a document for each thousand that it counts. Asked again, by another instance, it costs nothing.
func TestReads(t *testing.T) {
	w := newWorld(t)
	a, b := w.instance(t), w.instance(t)
	start := time.Now().Add(-24 * time.Hour)
	a.past(start.Add(150*time.Minute), 150)
	const longPages = 40 // 8 hours of talk
	long := a.hold(time.Now(), longPages)
	failed := a.hold(start, 1)
	failed.Fail("why", start)
	a.commit(&failed)
	live := a.begin("phone", time.Now())
	a.say(&live, 0, 3)
	a.say(&live, 1, 3)
	year := usage.Hours{}
	for day := range 365 {
		year[usage.Hour(time.Date(time.Now().Year(), 1, 1, 7, 0, 0, 0, time.UTC).AddDate(0, 0, day))] = usage.Totals{AudioMS: 1000, Words: 1}
	}
	if _, err := a.db.RecordUsage(t.Context(), "anna", "c", year); err != nil {
		t.Fatal(err)
	}
	days := int64(time.Date(time.Now().Year(), time.Now().Month()+1, 0, 0, 0, 0, 0, time.UTC).Day())
	const one = "/v1/conversations/"
	for _, tt := range []struct {
		request          string
		documents, calls int64
	}{
		{"GET /v1/conversations?limit=100", 100, 1},
		{"GET /v1/conversations?limit=100&statuses=", 100, 1},
		{"GET /v1/conversations?limit=10&offset=50", 60, 1}, // nobody has scrolled there
		{"GET /v1/conversations?limit=5&statuses=completed,failed&sources=omi,desktop&include_discarded=false&start_date=2020-01-01", 5, 1},
		{"GET /v1/conversations/count?statuses=", 1, 1},
		{"GET " + one + long.ID, 1 + longPages, 3},
		{"GET " + one + live.ID, 3, 3},
		{"GET " + one + failed.ID + "/finalization", 2, 2},
		{"GET /v1/users/me/usage?period=today", 1, 1},
		{"GET /v1/users/me/usage?period=monthly", days, 1},
		{"GET /v1/users/me/usage?period=yearly", 12, 1},
		{"GET /v1/users/me/usage?period=all_time", int64(time.Now().Month()), 1},
		{"GET /v1/users/me/subscription", 1, 1},
		{"GET /v1/users/developer/webhooks/status", 1, 1},
	} {
		method, target, _ := strings.Cut(tt.request, " ")
		documents, calls := w.reads(func() { a.want(method, target, "") })
		if documents != tt.documents || calls != tt.calls {
			t.Errorf("%s: got %d documents in %d calls, want %d in %d", tt.request, documents, calls, tt.documents, tt.calls)
		}
		if documents, calls := w.reads(func() { b.want(method, target, "") }); calls != 0 {
			t.Errorf("%s, again elsewhere: got %d documents in %d calls, want none", tt.request, documents, calls)
		}
	}
	for _, tt := range []struct {
		request, body    string
		documents, calls int64
	}{
		{"POST /v1/conversations", "", 2 + 2, 4},              // what they answer with counts too, where it is not at hand
		{"POST " + one + live.ID + "/finalize", "", 1 + 2, 3}, // it has ended, and is forgotten, since nobody knows who was told
		{"POST " + one + failed.ID + "/reprocess", "", 1 + 2, 3},
		{"PATCH " + one + long.ID + "/title?title=New", "", 1, 1},
		{"DELETE " + one + long.ID, "", 1 + 1, 1}, // that there are no photos costs one too; see TestDeleteReads
		{"POST /v1/users/developer/webhook/day_summary", `{"url":"https://example.com"}`, 1, 1},
		{"POST /v1/users/developer/webhook/day_summary/disable", "", 1, 1},
	} {
		method, target, _ := strings.Cut(tt.request, " ")
		documents, calls := w.reads(func() { a.want(method, target, tt.body) })
		if documents != tt.documents || calls != tt.calls {
			t.Errorf("%s: got %d documents in %d calls, want %d in %d", tt.request, documents, calls, tt.documents, tt.calls)
		}
	}
}

// Who scrolls reads each conversation once, by offset, though Firestore counts what an offset skips, and by cursor;
// whichever instance answers.
func TestScrolling(t *testing.T) {
	for _, tt := range []struct{ all, limit int }{{95, 10}, {1000, 100}} {
		t.Run(fmt.Sprintf("%d by %d", tt.all, tt.limit), func(t *testing.T) { scroll(t, tt.all, tt.limit) })
	}
}

func scroll(t *testing.T, all, limit int) {
	w := newWorld(t)
	a, b := w.instance(t), w.instance(t)
	want := a.past(time.Now(), all)
	type item struct{ ID string }
	read := func(answer string) []string {
		var items []item
		if err := json.Unmarshal([]byte(answer), &items); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, i := range items {
			ids = append(ids, i.ID)
		}
		return ids
	}
	var got []string
	documents, calls := w.reads(func() {
		for offset := 0; offset < all; offset += limit {
			here := []*instance{a, b}[offset/limit%2]
			got = append(got, read(here.want("GET", fmt.Sprintf("/v1/conversations?limit=%d&offset=%d", limit, offset), ""))...)
		}
	})
	if !slices.Equal(got, want) || documents != int64(all) || calls != int64((all+limit-1)/limit) {
		t.Errorf("by offset: got %d of %d, for %d documents in %d calls", len(got), all, documents, calls)
	}
	got = nil
	for target := fmt.Sprint("/v1/conversations?limit=", limit); target != ""; {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		r.Header.Set("Authorization", "anna")
		recorder := httptest.NewRecorder()
		a.ServeHTTP(recorder, r)
		got = append(got, read(recorder.Body.String())...)
		link, _, _ := strings.Cut(strings.TrimPrefix(recorder.Header().Get("Link"), "<"), ">")
		target = link
	}
	if !slices.Equal(got, want) {
		t.Errorf("by cursor: got %d of %d", len(got), all)
	}
}

// Somebody watches a live conversation, on two devices, more often than anything is said: every word is there at the
// next look, and no look costs a read, but for one each time that a page is full.
func TestWatching(t *testing.T) {
	w := newWorld(t)
	phone, desktop, listen := w.instance(t), w.instance(t), w.instance(t)
	c := listen.begin("phone", time.Now())
	listen.say(&c, 0, 1)
	target := "/v1/conversations/" + c.ID
	phone.want("GET", target, "")
	segments := func(i *instance) int {
		return bytes.Count([]byte(i.want("GET", target, "")), []byte(`"speaker_id"`))
	}
	documents, _ := w.reads(func() {
		for n := 2; n <= 60; n++ {
			listen.say(&c, 0, n)
			for _, i := range []*instance{phone, desktop, phone, desktop} {
				if got := segments(i); got != n {
					t.Fatalf("got %d segments, want %d", got, n)
				}
			}
		}
	})
	if documents != 0 {
		t.Errorf("240 looks cost %d reads, want none", documents)
	}
	const pages = 10
	documents, _ = w.reads(func() {
		for n := 1; n <= pages; n++ {
			listen.say(&c, n-1, transcript.PageSize)
			listen.say(&c, n, 1)
			for _, i := range []*instance{phone, desktop} {
				if got, want := segments(i), n*transcript.PageSize+1; got != want {
					t.Fatalf("got %d segments, want %d", got, want)
				}
			}
		}
	})
	if documents != pages {
		t.Errorf("%d pages that were filled cost %d reads, want one each", pages, documents)
	}
	c.End(time.Now(), conversation.EndSilence, event.ConversationEnded)
	listen.commit(&c)
	for _, i := range []*instance{phone, desktop} {
		if got := i.want("GET", target+"/finalization", ""); !strings.Contains(got, "processing") {
			t.Errorf("got %s, want it to have ended", got)
		}
	}
}
