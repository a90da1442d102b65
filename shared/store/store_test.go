package store

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

const emulator = "FIRESTORE_EMULATOR_HOST"

// open gives a store over an empty database: of the emulator, where there is one, else of a server in this
// process, which is given too.
func open(t *testing.T) (*Store, *firestoretest.Server) {
	t.Helper()
	var server *firestoretest.Server
	if os.Getenv(emulator) == "" {
		var err error
		if server, err = firestoretest.NewServer(firestoretest.Options{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		t.Setenv(emulator, server.Addr())
	}
	s, err := Open(t.Context(), "test-"+uuid.NewString()[:8])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, server
}

// Where there is an emulator, these tests are of that one.
func TestEmulator(t *testing.T) {
	server, err := firestoretest.NewServer(firestoretest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	t.Setenv(emulator, server.Addr())
	s, another := open(t)
	attach(t, s, attachment("s1", time.Now()))
	if another != nil || server.Calls("Commit") == 0 {
		t.Errorf("%d commits came to the server that %s names", server.Calls("Commit"), emulator)
	}
}

// attachment is of a time that Firestore can keep to the last digit.
func attachment(session string, at time.Time) conversation.Attachment {
	return conversation.Attachment{
		Device: "d", SessionID: session, Source: "omi", Language: "en",
		SilenceTimeout: 2 * time.Minute, At: at.UTC().Truncate(time.Microsecond),
	}
}

func attach(t *testing.T, s *Store, a conversation.Attachment) conversation.Conversation {
	t.Helper()
	c, _, err := s.Attach(t.Context(), "u", a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConversationRoundTrip(t *testing.T) {
	s, _ := open(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	c := attach(t, s, attachment("s1", now))
	c.Former = []conversation.Session{{ID: "s0", Generation: 1, Flush: 9}}
	c.Usage = usage.Hours{"2026-11-23T10": {AudioMS: 1, SpeechMS: 2, Words: 3}}
	c.Segments, c.Words, c.Pages, c.Acked = 1, 2, 2, conversation.Acked{Sequence: 77, At: now}
	c.Session.Numbered, c.Session.Closed = true, true
	c.TakeClaim("nobody", now, time.Minute)
	c.End(now, conversation.EndSilence, "ended")
	c.TakeClaim("token", now, time.Minute)
	due := now.Add(time.Hour)
	c.Structured = &conversation.Structured{Title: "T", ActionItems: []conversation.ActionItem{{Description: "d", DueAt: &due}}}
	c.Pending = &conversation.Pending{Event: "e", Since: now}
	c.Failure, c.Discarded = "why", true
	page := transcript.Page{Number: 1, Segments: []transcript.Segment{{
		ID: "a", Text: "Hello there.", Speaker: 1, IsUser: true, PersonID: "p", Provider: "x",
		Start: time.Second, End: 2 * time.Second,
	}}}
	if err := s.Commit(t.Context(), "u", &c, transcript.Page{Number: 0}, page); err != nil {
		t.Fatal(err)
	}
	got, last, err := s.Tail(t.Context(), "u", c.ID)
	if err != nil {
		t.Fatal(err)
	}
	got.DeviceTime = c.DeviceTime // which is not the conversation's
	if diff := cmp.Diff(c, got); diff != "" {
		t.Errorf("conversation (-written +read):\n%s", diff)
	}
	if diff := cmp.Diff(page, last); diff != "" {
		t.Errorf("last page (-written +read):\n%s", diff)
	}

	// What is taken away is gone from the document, not null in it: an index must not hold it.
	c.Complete(conversation.Structured{Title: "T"}, false, now, "")
	c.Usage = nil
	if err := s.Commit(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.conversation("u", c.ID).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"claim", "expires_at", "pending", "usage"} {
		if _, there := snapshot.Data()[field]; there {
			t.Errorf("%s is still in the document", field)
		}
	}
}

// Each version has one successor.
func TestCommitIsFenced(t *testing.T) {
	s, _ := open(t)
	first := attach(t, s, attachment("s1", time.Now()))
	second := first
	first.Words, second.Words = 1, 2
	if err := s.Commit(t.Context(), "u", &first, transcript.Page{Segments: []transcript.Segment{{ID: "a", Text: "mine"}}}); err != nil {
		t.Fatal(err)
	}
	err := s.Commit(t.Context(), "u", &second, transcript.Page{Segments: []transcript.Segment{{ID: "a", Text: "theirs"}}})
	if !fault.Is(err, fault.Conflict) {
		t.Fatalf("the second successor of one version: got %v, want a conflict", err)
	}
	segments, err := s.Segments(t.Context(), "u", first.ID)
	if err != nil || len(segments) != 1 || segments[0].Text != "mine" {
		t.Errorf("the refused commit left %+v (%v)", segments, err)
	}
	if err := s.Delete(t.Context(), "u", &second); !fault.Is(err, fault.Conflict) {
		t.Errorf("a delete of an old version: got %v, want a conflict", err)
	}
	first.Pages = 1
	if err := s.Commit(t.Context(), "u", &first); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "u", &first); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), "u", &first); !fault.Is(err, fault.Conflict) {
		t.Errorf("a commit of what was deleted: got %v, want a conflict", err)
	}
	if segments, err := s.Segments(t.Context(), "u", first.ID); err != nil || len(segments) != 0 {
		t.Errorf("%d segments outlived their conversation (%v)", len(segments), err)
	}
	if _, err := s.Conversation(t.Context(), "u", first.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("read of what was deleted: got %v, want not found", err)
	}
}

// A delivery knows the title, which is of what was said.
func TestDeleteTakesDeliveries(t *testing.T) {
	s, _ := open(t)
	c := attach(t, s, attachment("s1", time.Now()))
	c.Revision = 2
	if err := s.Commit(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{ // whether it is of the conversation
		"memory_created:" + c.ID + ":finalized:1": true, "memory_created:" + c.ID + ":finalized:2": true,
		"memory_created:another:finalized:1": false,
	}
	for id := range ids {
		if err := s.PutDelivery(t.Context(), "u", &account.Delivery{ID: id, Title: "T"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "u", &c); err != nil {
		t.Fatal(err)
	}
	for id, gone := range ids {
		if d, err := s.Delivery(t.Context(), "u", id); fault.Is(err, fault.NotFound) != gone {
			t.Errorf("%s: got %+v, %v, want it gone: %v", id, d, err, gone)
		}
	}
}

func TestAttach(t *testing.T) {
	s, _ := open(t)
	now := time.Now()
	first := attach(t, s, attachment("s1", now))
	if first.Status != conversation.Live || first.Session != (conversation.Session{ID: "s1", Generation: 1}) {
		t.Fatalf("a new conversation: got %+v", first)
	}
	again := attach(t, s, attachment("s1", now.Add(time.Second)))
	if again.ID != first.ID || len(again.Former) != 0 {
		t.Errorf("attached again: got %+v, want the same conversation and no former session", again)
	}
	second := attach(t, s, attachment("s2", now.Add(time.Minute)))
	if second.ID != first.ID || second.Session.ID != "s2" || second.Session.Generation != 3 || second.Former[0].ID != "s1" {
		t.Errorf("resumed: got %+v", second)
	}
	silent := attach(t, s, attachment("s3", now.Add(time.Hour)))
	if silent.ID == first.ID || silent.Session.Generation != 4 {
		t.Errorf("after an hour of silence: got %+v, want a new conversation", silent)
	}
	if old, err := s.Conversation(t.Context(), "u", first.ID); err != nil || old.Status != conversation.Live {
		t.Errorf("the silent one is for the sweep to end: got %s (%v)", old.Status, err)
	}
	other := attachment("s4", now.Add(time.Hour))
	other.Device = "e"
	if got := attach(t, s, other); got.ID == silent.ID {
		t.Error("two devices share a conversation")
	}
}

// Sockets that come at once get one conversation, and the last of them is its writer, in whatever order they get there.
func TestAttachAtOnce(t *testing.T) {
	s, _ := open(t)
	const sockets = 8
	ids := make([]string, sockets)
	now := time.Now()
	var group errgroup.Group
	for i := range sockets {
		group.Go(func() error {
			c, _, err := s.Attach(t.Context(), "u", attachment(fmt.Sprint("s", i), now.Add(time.Duration(i)*time.Millisecond)))
			ids[i] = c.ID
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	c, err := s.Conversation(t.Context(), "u", ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 || c.Session.ID != fmt.Sprint("s", sockets-1) {
		t.Errorf("conversations %q, written by %s; want one, and the last", ids, c.Session.ID)
	}
}

// Reports repeat, come out of order, and at once; the sum is what was used.
func TestUsageAddsUp(t *testing.T) {
	s, _ := open(t)
	hour := "2026-11-30T23"
	added := make(chan usage.Totals, 20)
	var group errgroup.Group
	group.SetLimit(4)
	for n := range 10 {
		for _, cid := range []string{"c-1", "c-2"} {
			group.Go(func() error {
				totals := usage.Totals{AudioMS: int64(n+1) * 1000, SpeechMS: int64(n+1) * 500, Words: int64(n + 1)}
				more, err := s.RecordUsage(t.Context(), "u", cid, usage.Hours{hour: totals, "2026-12-01T00": totals})
				added <- more
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	want := usage.Totals{AudioMS: 20000, SpeechMS: 10000, Words: 20}
	var more usage.Totals
	for range cap(added) {
		more = more.Add(<-added)
	}
	if twice := want.Add(want); more != twice {
		t.Errorf("the calls gave %+v as new in all, want %+v: both months'", more, twice)
	}
	for _, month := range []string{"2026-11", "2026-12"} {
		got, err := s.Months(t.Context(), "u", month, month)
		if err != nil || len(got) != 1 || got[0].Totals != want {
			t.Errorf("%s: got %+v (%v), want one of %+v", month, got, err, want)
		}
	}
	day, err := read[counterDoc](t.Context(), s.period("u", "d2026-11-30"))
	if err != nil || day.Totals != want {
		t.Errorf("day: got %+v (%v), want %+v", day, err, want)
	}
	_, err = s.RecordUsage(t.Context(), "u", "c", usage.Hours{"not an hour": {Words: 1}})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a bad hour: got %v, want invalid", err)
	}
}

func TestSettings(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	if _, err := s.Profile(ctx, "u"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown user: got %v", err)
	}
	profile := account.Profile{Language: "de", Vocabulary: []string{"Earshot"}, TimeZone: "Europe/Zurich", Plan: "basic"}
	webhook := account.Webhook{URL: "https://example.com", Secret: "whsec_x", Enabled: true}
	delivery := account.Delivery{
		ID: "c:finalized:1", Webhook: account.MemoryCreated, Attempts: 2, Status: 503,
		UpdatedAt: time.Unix(7, 0).UTC(), ExpiresAt: time.Unix(8, 0).UTC(),
	}
	for _, put := range []error{
		s.PutProfile(ctx, "u", profile), s.PutDelivery(ctx, "u", &delivery),
		s.ChangeWebhook(ctx, "u", account.MemoryCreated, func(w *account.Webhook) { *w = webhook }),
	} {
		if put != nil {
			t.Fatal(put)
		}
	}
	check(t, profile)(s.Profile(ctx, "u"))
	check(t, map[account.WebhookType]account.Webhook{account.MemoryCreated: webhook})(s.Webhooks(ctx, "u"))
	check(t, map[account.WebhookType]account.Webhook{})(s.Webhooks(ctx, "else"))
	check(t, delivery)(s.Delivery(ctx, "u", delivery.ID))
}

// Two devices change the same webhook at once, and both have read it before either writes: none of their changes is
// lost, and the secret that one was shown is the one that stays.
func TestWebhookChangedAtOnce(t *testing.T) {
	s, server := open(t)
	if server == nil {
		t.Skip("an emulator that locks lets the second read only after the first has written")
	}
	var entered, changing sync.WaitGroup
	entered.Add(2)
	var secrets [2]string
	change := func(n int, edit func(*account.Webhook)) {
		var once sync.Once
		changing.Go(func() {
			err := s.ChangeWebhook(t.Context(), "u", account.RealtimeTranscript, func(hook *account.Webhook) {
				once.Do(func() { entered.Done(); entered.Wait() })
				if hook.Secret == "" {
					hook.Secret = fmt.Sprint("secret of ", n)
				}
				secrets[n] = hook.Secret
				edit(hook)
			})
			if err != nil {
				t.Errorf("change %d: %v", n, err)
			}
		})
	}
	change(0, func(hook *account.Webhook) { hook.URL = "https://example.com" })
	change(1, func(hook *account.Webhook) { hook.Enabled = true })
	changing.Wait()
	want := account.Webhook{URL: "https://example.com", Secret: secrets[0], Enabled: true}
	check(t, map[account.WebhookType]account.Webhook{account.RealtimeTranscript: want})(s.Webhooks(t.Context(), "u"))
	if secrets[0] != secrets[1] {
		t.Errorf("secrets: got %q, want one", secrets)
	}
}

func check[T any](t *testing.T, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v, (-want +got):\n%s", err, diff)
		}
	}
}

// Errors say what to do: an unreachable database passes, and says so.
func TestUnreachable(t *testing.T) {
	s, server := open(t)
	if server == nil {
		t.Skip("the emulator can't be taken away")
	}
	c := attach(t, s, attachment("s1", time.Now()))
	server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := s.Commit(ctx, "u", &c)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "commit conversation") {
		t.Errorf("got %v (%v), want unavailable", err, fault.KindOf(err))
	}
}
