package cached

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/redistest"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

func TestMain(m *testing.M) {
	// OpenCensus, which the Firestore client brings, starts it when it is loaded.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

const uid, cid = "anna", "c1"

var at = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// rig is two instances over the same documents: one that writes, and one where people read.
type rig struct {
	t              *testing.T
	firestore      *firestoretest.Server
	redis          *redistest.Server
	writer, reader *Store
	conversation   conversation.Conversation // as the writer has it
}

func newRig(t *testing.T) *rig {
	t.Helper()
	firestore, err := firestoretest.NewServer(firestoretest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(firestore.Close)
	t.Setenv("FIRESTORE_EMULATOR_HOST", firestore.Addr())
	redis := redistest.New(t)
	return &rig{t: t, firestore: firestore, redis: redis, writer: open(t, redis), reader: open(t, redis)}
}

func open(t *testing.T, redis *redistest.Server) *Store {
	t.Helper()
	documents, err := store.Open(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	rdb := goredis.NewClient(&goredis.Options{Addr: redis.Addr(), ContextTimeoutEnabled: true})
	s := New(documents, rdb)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := rdb.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (r *rig) attach(session string, when time.Time) error {
	c, _, err := r.writer.Attach(r.t.Context(), uid, conversation.Attachment{
		Device: "phone", SessionID: session, ClientID: cid, Source: "omi", SilenceTimeout: 2 * time.Minute, At: when,
	})
	if err == nil {
		r.conversation = c
	}
	return err
}

func (r *rig) commit(pages ...transcript.Page) error {
	r.conversation.MarkFlush(r.conversation.Session.ID)
	return r.writer.Commit(r.t.Context(), uid, &r.conversation, pages...)
}

// say stores so many segments on the last pages, of the speaker whom each text names.
func (r *rig) say(who string, segments int) error {
	pages := make([]transcript.Page, 1+(segments-1)/transcript.PageSize)
	for n := range segments {
		p := &pages[n/transcript.PageSize]
		p.Number = n / transcript.PageSize
		p.Segments = append(p.Segments, transcript.Segment{ID: fmt.Sprint(n), Text: who, End: time.Second})
	}
	r.conversation.Pages, r.conversation.Segments = len(pages), segments
	return r.commit(pages...)
}

// shown is all that a Reader shows of anna, as clients see it, from a Reader or from the documents.
func shown(ctx context.Context, read source) (string, error) {
	var all []any
	var errs []error
	add := func(v any, err error) {
		if err != nil && !fault.Is(err, fault.NotFound) {
			errs = append(errs, err)
		}
		if err != nil {
			v = "none"
		}
		all = append(all, v)
	}
	c, segments, err := read.Conversation(ctx, uid, cid)
	add(c.Wire(segments), err)
	c, err = read.Head(ctx, uid, cid)
	add([]any{c.Wire(nil), c.Attempts, c.Failure, c.Segments}, err)
	list, err := read.List(ctx, uid, conversation.Filter{}, conversation.Window{Limit: 10})
	var wire []conversation.Wire
	for _, c := range list {
		if c.Status == conversation.Live {
			c.FinishedAt = time.Time{} // it is as of when a session joined (see Reader.List)
		}
		wire = append(wire, c.Wire(nil))
	}
	add(wire, err)
	add(read.Count(ctx, uid, conversation.Filter{Statuses: []conversation.Status{conversation.Live}}))
	add(read.Days(ctx, uid, "2026-11-01", "2026-11-31"))
	add(read.Months(ctx, uid, "2026-01", "2026-12"))
	add(read.Webhooks(ctx, uid))
	if len(errs) > 0 {
		return "", errs[0]
	}
	text, err := json.Marshal(all)
	return string(text), err
}

type source interface {
	Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, []transcript.Segment, error)
	Head(ctx context.Context, uid, cid string) (conversation.Conversation, error)
	List(ctx context.Context, uid string, f conversation.Filter, w conversation.Window) ([]conversation.Conversation, error)
	Count(ctx context.Context, uid string, f conversation.Filter) (int, error)
	Days(ctx context.Context, uid, first, last string) ([]usage.Period, error)
	Months(ctx context.Context, uid, first, last string) ([]usage.Period, error)
	Webhooks(ctx context.Context, uid string) (map[account.WebhookType]account.Webhook, error)
}

// documents are read without a cache.
type documents struct{ *store.Store }

func (d documents) Head(ctx context.Context, uid, cid string) (conversation.Conversation, error) {
	return d.Store.Conversation(ctx, uid, cid)
}

func (d documents) Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, []transcript.Segment, error) {
	c, err := d.Store.Conversation(ctx, uid, cid)
	if err != nil {
		return c, nil, err
	}
	segments, err := d.Segments(ctx, uid, cid)
	return c, segments, err
}

// write is a method of the store, and what a person may do by it, in the order of a life.
type write struct {
	method, what string
	do           func(r *rig) error
}

var writes = []write{
	{"Attach", "begin", func(r *rig) error { return r.attach("s1", at) }},
	{"Commit", "first words, said before it was opened", func(r *rig) error {
		r.conversation.StartedAt, r.conversation.Relisted = r.conversation.StartedAt.Add(-20*time.Second), true
		return r.say("anna", 3)
	}},
	{"Commit", "over two pages at once", func(r *rig) error { return r.say("anna", 2*transcript.PageSize+5) }},
	{"Commit", "more words", func(r *rig) error { return r.say("anna", 2*transcript.PageSize+9) }},
	{"Commit", "a name for who spoke on the first page", func(r *rig) error {
		r.conversation.Named = map[string]conversation.Person{"1": {ID: "ben"}}
		return r.commit()
	}},
	{"CommitPhoto", "a photo", func(r *rig) error {
		return r.writer.CommitPhoto(r.t.Context(), uid, &r.conversation, conversation.Photo{ID: "p", Data: []byte("jpeg")})
	}},
	{"Acknowledge", "silence", func(r *rig) error {
		_, err := r.writer.Acknowledge(r.t.Context(), uid, conversation.Silence{
			Device: "phone", SessionID: "s1", Acked: conversation.Acked{Sequence: 7, At: at},
		})
		return err
	}},
	{"Contend", "two devices", func(r *rig) error { return r.writer.Contend(r.t.Context(), uid, "phone", at) }},
	{"Attach", "another session", func(r *rig) error { return r.attach("s2", at) }},
	{"RecordUsage", "usage", func(r *rig) error {
		_, err := r.writer.RecordUsage(r.t.Context(), uid, cid, usage.Hours{"2026-11-23T10": {AudioMS: 1000, Words: 9}})
		return err
	}},
	{"Commit", "a title while it is live", func(r *rig) error {
		r.conversation.Rename("Mine")
		return r.commit()
	}},
	{"Commit", "the end", func(r *rig) error {
		r.conversation.End(at, conversation.EndSilence, "conversation.ended.v1")
		return r.commit()
	}},
	{"Commit", "a claim", func(r *rig) error {
		r.conversation.TakeClaim("t", at, time.Minute)
		return r.commit()
	}},
	{"Commit", "the summary", func(r *rig) error {
		r.conversation.Complete(conversation.Structured{Title: "T", Category: "work"}, false, at, "")
		return r.commit()
	}},
	{"Commit", "a title after it", func(r *rig) error {
		r.conversation.Rename("Mine again")
		return r.commit()
	}},
	{"PutProfile", "settings", func(r *rig) error {
		return r.writer.PutProfile(r.t.Context(), uid, account.Profile{Plan: "basic"})
	}},
	{"ChangeWebhook", "a webhook", func(r *rig) error {
		return r.writer.ChangeWebhook(r.t.Context(), uid, account.MemoryCreated, func(hook *account.Webhook) {
			hook.URL, hook.Enabled = "https://example.com", true
		})
	}},
	{"PutDelivery", "a delivery", func(r *rig) error {
		return r.writer.PutDelivery(r.t.Context(), uid, &account.Delivery{ID: "d"})
	}},
	{"Delete", "deletion", func(r *rig) error { return r.writer.Delete(r.t.Context(), uid, &r.conversation) }},
	{"Attach", "the same id from the client again", func(r *rig) error { return r.attach("s3", at.Add(time.Hour)) }},
	{"Commit", "other words, as many as before", func(r *rig) error { return r.say("carl", 2*transcript.PageSize+9) }},
}

// After each write people see what is stored, in another instance too, whatever they had looked at before; also where
// the answer to the write was lost and the writer was told that it failed.
func TestWritesAreSeen(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(map[bool]string{false: "answered", true: "answer lost"}[lost], func(t *testing.T) {
			r := newRig(t)
			for _, w := range writes {
				r.look("before " + w.what)
				if lost {
					r.losing(w)
				} else if err := w.do(r); err != nil {
					t.Fatalf("%s: %v", w.what, err)
				}
				r.look(w.what)
			}
		})
	}
}

// losing makes a write of which no answer arrives, and goes on from what is stored.
func (r *rig) losing(w write) {
	r.t.Helper()
	restore := r.firestore.Inject(firestoretest.Fault{Method: "Commit", Times: -1, After: true, Code: codes.DeadlineExceeded})
	err := w.do(r)
	restore()
	if err == nil {
		r.t.Fatalf("%s: the loss of its answer was not told", w.what)
	}
	stored, err := r.writer.Conversation(r.t.Context(), uid, cid)
	if err != nil && !fault.Is(err, fault.NotFound) {
		r.t.Fatal(err)
	}
	r.conversation = stored
}

// look compares what both instances show with what is stored.
func (r *rig) look(when string) {
	r.t.Helper()
	want, err := shown(r.t.Context(), documents{r.writer.Store})
	if err != nil {
		r.t.Fatal(err)
	}
	for name, s := range map[string]*Store{"writer": r.writer, "reader": r.reader} {
		got, err := shown(r.t.Context(), s.Read)
		if err != nil || got != want {
			r.t.Errorf("%s, at the %s: %v", when, name, err)
			r.t.Logf("got  %s", excerpt(got, want))
			r.t.Logf("want %s", excerpt(want, got))
		}
	}
	// Settings may be stale elsewhere for as long as profileLocalTTL.
	stored, missing := r.writer.Profile(r.t.Context(), uid)
	got, err := r.writer.Read.Profile(r.t.Context(), uid)
	if !reflect.DeepEqual(got, stored) || fault.KindOf(err) != fault.KindOf(missing) {
		r.t.Errorf("%s: got profile %+v (%v), want %+v (%v)", when, got, err, stored, missing)
	}
}

// excerpt is text from shortly before where it differs from other.
func excerpt(text, other string) string {
	n := 0
	for n < min(len(text), len(other)) && text[n] == other[n] {
		n++
	}
	return text[max(0, n-60):min(len(text), n+100)]
}

// reads are the methods of the store that change nothing.
var reads = []string{
	"Close", "Conversation", "Count", "Days", "Delivery", "Device", "Due", "Finished", "Hours",
	"List", "Months", "Newest", "NewestLive", "PageSegments", "Photos", "Profile", "Segments", "Tail", "Webhooks",
}

// Whatever the store learns to write is one of the writes above.
func TestEveryWrite(t *testing.T) {
	for method := range reflect.TypeFor[*store.Store]().Methods() {
		written := slices.ContainsFunc(writes, func(w write) bool { return w.method == method.Name })
		if read := slices.Contains(reads, method.Name); read == written {
			t.Errorf("%s: it has to be either among the reads or among the writes of this test", method.Name)
		}
	}
}
