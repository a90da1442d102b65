package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
)

func TestDelivered(t *testing.T) {
	r := newRig(t)
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	got := r.receiver.got[0]
	if want := "/hook?key=" + token + "&uid=u+1"; got.Method != http.MethodPost || got.RequestURI != want {
		t.Errorf("got %s %s, want POST %s", got.Method, got.RequestURI, want)
	}
	if got.Header.Get("Traceparent") != traceparent || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers: got %v", got.Header)
	}
	verifier, err := standardwebhooks.NewWebhook(signing)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(r.receiver.body[0], got.Header); err != nil {
		t.Errorf("signature: %v", err)
	}
	var memory map[string]any
	if err := json.Unmarshal(r.receiver.body[0], &memory); err != nil {
		t.Fatal(err)
	}
	segments, _ := memory["transcript_segments"].([]any)
	if memory["id"] != "c1" || memory["status"] != "completed" || len(segments) != 1 {
		t.Errorf("body: got %s", r.receiver.body[0])
	}
	if want := (account.Delivery{Attempts: 1, Done: true, Status: 200}); r.record() != want {
		t.Errorf("record: got %+v, want %+v", r.record(), want)
	}
	d := r.store.deliveries["memory_created:c1:finalized:1"]
	if left := time.Until(d.ExpiresAt); left < 29*24*time.Hour || d.Webhook != account.MemoryCreated || d.Title != "" {
		t.Errorf("record: got %+v", d)
	}
	if !strings.Contains(r.log.String(), "msg=webhook_delivered") {
		t.Errorf("not logged:\n%s", r.log)
	}
}

func TestDeliveredThreeTimesIsPostedOnce(t *testing.T) {
	r := newRig(t)
	for range 3 {
		if err := r.deliver(t); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.receiver.got) != 1 {
		t.Errorf("posted %d times", len(r.receiver.got))
	}
}

// What a receiver answers, the first time and then with 200.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		status int
		posts  int // until it is done
		failed bool
	}{
		{http.StatusOK, 1, false},
		{http.StatusNoContent, 1, false},
		{http.StatusMovedPermanently, 1, true},
		{http.StatusTemporaryRedirect, 1, true},
		{http.StatusBadRequest, 1, true},
		{http.StatusUnauthorized, 1, true},
		{http.StatusNotFound, 1, true},
		{http.StatusGone, 1, true},
		{http.StatusRequestTimeout, 2, false},
		{http.StatusTooManyRequests, 2, false},
		{http.StatusInternalServerError, 2, false},
		{http.StatusServiceUnavailable, 2, false},
	} {
		t.Run(http.StatusText(tt.status), func(t *testing.T) {
			r := newRig(t)
			r.receiver.answer = func(w http.ResponseWriter, request *http.Request) {
				if request.URL.Path == "/elsewhere" {
					t.Error("it followed the redirect")
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
			}
			err := r.deliver(t)
			if tt.posts > 1 {
				if !fault.Is(err, fault.Unavailable) {
					t.Fatalf("got %v, want unavailable", err)
				}
				if want := (account.Delivery{Attempts: 1, Status: tt.status}); r.record() != want {
					t.Errorf("record of the first: got %+v, want %+v", r.record(), want)
				}
				r.receiver.status(http.StatusOK)
				tt.status = http.StatusOK
				err = r.deliver(t)
			}
			if err != nil {
				t.Fatal(err)
			}
			want := account.Delivery{Attempts: tt.posts, Done: true, Failed: tt.failed, Status: tt.status}
			if r.record() != want {
				t.Errorf("record: got %+v, want %+v", r.record(), want)
			}
			if err := r.deliver(t); err != nil || len(r.receiver.got) != tt.posts {
				t.Errorf("afterwards: %v, %d posts; want no more than %d", err, len(r.receiver.got), tt.posts)
			}
			if failed := strings.Contains(r.log.String(), "level=WARN msg=webhook_failed"); failed != tt.failed {
				t.Errorf("failure logged: %v, want %v:\n%s", failed, tt.failed, r.log)
			}
		})
	}
}

// The receiver was told, and that could not be recorded: it is told again, the same, under the same id, whatever the person
// has called the conversation since.
func TestRecordLost(t *testing.T) {
	r := newRig(t)
	r.ClaimTTL = time.Nanosecond // it has run out when the event comes again
	down := fault.New(fault.Unavailable, "commit", errors.New("connection reset"))
	r.store.onPut = func(_ context.Context, d *account.Delivery) error {
		if d.ClaimedBy == "" {
			return down
		}
		return nil
	}
	if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
	r.store.onPut = nil
	r.store.c.Rename("Another title")
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	if len(r.receiver.got) != 2 {
		t.Fatalf("posted %d times, want 2", len(r.receiver.got))
	}
	first, second := r.receiver.got[0].Header.Get("Webhook-Id"), r.receiver.got[1].Header.Get("Webhook-Id")
	if first != second || first == "" || string(r.receiver.body[0]) != string(r.receiver.body[1]) {
		t.Errorf("ids %q and %q, bodies\n%s\n%s", first, second, r.receiver.body[0], r.receiver.body[1])
	}
}

// Where there is no lock to be had, two pushes of one event come at once: the claim lets one of them through.
func TestTwoAtOnce(t *testing.T) {
	r := newRig(t)
	var other error
	r.receiver.answer = func(http.ResponseWriter, *http.Request) { other = r.deliver(t) }
	if err := r.deliver(t); err != nil || !fault.Is(other, fault.Busy) {
		t.Errorf("got %v, and %v of the other, want nil and busy", err, other)
	}
	if err := r.deliver(t); err != nil || len(r.receiver.got) != 1 {
		t.Errorf("afterwards: %v, posted %d times, want once", err, len(r.receiver.got))
	}
}

// An attempt whose claim has run out finds, when the receiver has refused it, that a later one was taken.
func TestDoneStaysDone(t *testing.T) {
	r := newRig(t)
	r.ClaimTTL = time.Nanosecond
	r.receiver.answer = func(w http.ResponseWriter, _ *http.Request) {
		r.receiver.answer = nil
		if err := r.deliver(t); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	if d := r.record(); !d.Done || d.Status != http.StatusOK {
		t.Errorf("got %+v, want it done with 200", d)
	}
	if err := r.deliver(t); err != nil || len(r.receiver.got) != 2 {
		t.Errorf("afterwards: %v, posted %d times, want twice", err, len(r.receiver.got))
	}
}

// An attempt outlives its claim, and comes back while the one after it is inside its post. Refused, it leaves the other its
// claim, and a third push keeps away; taken, it makes the delivery done, also for the other.
func TestClaimIsTheirs(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			r := newRig(t)
			r.ClaimTTL = time.Nanosecond // the first one's
			inside, answer, second := make(chan struct{}), make(chan int), make(chan error, 1)
			posts := 0
			r.receiver.answer = func(w http.ResponseWriter, _ *http.Request) {
				switch posts++; posts {
				case 1:
					r.ClaimTTL = time.Minute
					go func() { second <- r.deliver(t) }()
					<-inside
					w.WriteHeader(status)
				case 2:
					close(inside)
					w.WriteHeader(<-answer)
				default:
					t.Error("a third post")
				}
			}
			first := r.deliver(t)
			d := r.store.deliveries["memory_created:c1:finalized:1"]
			third := r.deliver(t)
			answer <- http.StatusServiceUnavailable
			theirs := <-second
			if status == http.StatusOK {
				if first != nil || !d.Done || third != nil {
					t.Errorf("got %v, %+v, then %v; want it done", first, d, third)
				}
			} else if !fault.Is(first, fault.Unavailable) || d.Done || d.ClaimedBy == "" || !d.ClaimedUntil.After(time.Now()) || !fault.Is(third, fault.Busy) {
				t.Errorf("got %v, %+v, then %v; want it claimed by the second, and the third busy", first, d, third)
			}
			if !fault.Is(theirs, fault.Unavailable) || r.record().Done != (status == http.StatusOK) {
				t.Errorf("the second: got %v, and %+v, want unavailable and what the first left", theirs, r.record())
			}
		})
	}
}

// The answers to both writes are lost: what is read back tells that they took effect.
func TestEchoes(t *testing.T) {
	r := newRig(t)
	lost := map[bool]bool{}
	r.store.onPut = func(_ context.Context, d *account.Delivery) error {
		if claim := d.ClaimedBy != ""; !lost[claim] {
			lost[claim] = true
			kept := *d
			r.store.onPut, kept.UpdateTime = nil, d.UpdateTime
			hook := r.store.onPut
			if err := r.store.PutDelivery(t.Context(), "u1", &kept); err != nil {
				t.Error(err)
			}
			r.store.onPut = hook
			return fault.Newf(fault.Unavailable, "put", "the answer is lost")
		}
		return nil
	}
	if err := r.deliver(t); err != nil || len(r.receiver.got) != 1 || !r.record().Done || r.record().Attempts != 1 {
		t.Errorf("got %v, posted %d times, record %+v; want one attempt that is done", err, len(r.receiver.got), r.record())
	}
}

// The receiver was told while the context ended: that is recorded all the same.
func TestRecordedAfterCancellation(t *testing.T) {
	r := newRig(t)
	r.Hold = func(ctx context.Context, _ string, fn func(context.Context) error) error {
		ctx, lose := context.WithCancel(ctx)
		defer lose()
		r.store.onPut = func(_ context.Context, d *account.Delivery) error {
			if d.ClaimedBy == "" {
				lose()
			}
			return nil
		}
		return fn(ctx)
	}
	if err := r.deliver(t); err != nil || !r.record().Done {
		t.Errorf("got %v, record %+v; want it recorded", err, r.record())
	}
}

func TestNobodyToTell(t *testing.T) {
	for name, set := range map[string]func(r *rig){
		"no settings": func(r *rig) { r.hookErr = errMissing },
		"disabled":    func(r *rig) { r.hook.Enabled = false },
		"no address":  func(r *rig) { r.hook.URL = "" },
		"deleted":     func(r *rig) { r.store.c = nil },
		"discarded":   func(r *rig) { r.store.c.Discarded = true },
		"in the works": func(r *rig) {
			r.store.c.Status = conversation.Finalizing
		},
		"a later revision": func(r *rig) { r.store.c.Revision = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			set(r)
			if err := r.deliver(t); err != nil || len(r.receiver.got) != 0 || len(r.store.deliveries) != 0 {
				t.Errorf("got %v, %d posts, %d records; want nothing", err, len(r.receiver.got), len(r.store.deliveries))
			}
		})
	}
}

// A conversation that is deleted before its pages are read is not told without its words, also where the receiver was told
// of it before and that could not be recorded. Where only the pages are missing, that is a fault.
func TestPagesMissing(t *testing.T) {
	for name, deleted := range map[string]bool{"deleted": true, "lost": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.ClaimTTL = time.Nanosecond // it has run out when the event comes again
			r.store.onPut = func(_ context.Context, d *account.Delivery) error {
				if d.ClaimedBy == "" {
					return fault.Newf(fault.Unavailable, "commit", "connection reset")
				}
				return nil
			}
			if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
				t.Fatalf("got %v, want unavailable", err)
			}
			r.store.onPut = nil
			r.store.onPages = func() {
				r.store.segments = nil
				if deleted {
					r.store.c = nil
				}
			}
			err := r.deliver(t)
			if deleted && err != nil || !deleted && !fault.Is(err, fault.Internal) {
				t.Errorf("got %v, want an internal fault unless it was deleted", err)
			}
			if len(r.receiver.got) != 1 {
				t.Errorf("posted %d times, want once: the last was\n%s", len(r.receiver.got), r.receiver.body[len(r.receiver.body)-1])
			}
			if title := r.store.deliveries["memory_created:c1:finalized:1"].Title; (title == "") != deleted {
				t.Errorf("the delivery has the title %q, want it to have one unless it was deleted", title)
			}
			if skipped := strings.Contains(r.log.String(), "msg=webhook_skipped reason=deleted"); skipped != deleted {
				t.Errorf("skipped as deleted: got %v, want %v:\n%s", skipped, deleted, r.log)
			}
		})
	}
}

// A conversation is deleted, and then claimed by who had read it before; and the process dies. When the event comes again
// the title that was stored is forgotten, and the receiver hears nothing.
func TestClaimedAfterDeletion(t *testing.T) {
	r := newRig(t)
	if _, err := r.claim(t.Context(), "u 1", account.Delivery{ID: "memory_created:c1:finalized:1"}, "Title"); err != nil {
		t.Fatal(err)
	}
	r.store.c = nil
	for range 2 {
		if err := r.deliver(t); err != nil || len(r.receiver.got) != 0 {
			t.Errorf("got %v and %d posts, want neither", err, len(r.receiver.got))
		}
		if d := r.store.deliveries["memory_created:c1:finalized:1"]; d.Title != "" || d.ClaimedBy != "" || d.Done {
			t.Errorf("got %+v, want it without a title and a claim", d)
		}
	}
}

func TestSettingsUnreadable(t *testing.T) {
	r := newRig(t)
	r.hookErr = fault.New(fault.Unavailable, "read webhooks", errors.New("down"))
	if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want unavailable: nobody knows whether there is somebody to tell", err)
	}
}

func TestBusy(t *testing.T) {
	r := newRig(t)
	r.Hold = func(context.Context, string, func(context.Context) error) error {
		return fault.Newf(fault.Busy, "lock", "held")
	}
	if err := r.deliver(t); !fault.Is(err, fault.Busy) || len(r.receiver.got) != 0 {
		t.Errorf("got %v after %d posts, want busy", err, len(r.receiver.got))
	}
}

func TestInvalidEvents(t *testing.T) {
	good := `{"uid":"u","conversation_id":"c","revision":1}`
	for _, tt := range []struct{ id, data string }{
		{"", good},
		{"a/b", good},
		{"c:finalized:1", `{}`},
		{"c:finalized:1", `{"uid":"u/v","conversation_id":"c"}`},
		{"c:finalized:1", `garbage`},
	} {
		r := newRig(t)
		err := r.ConversationFinalized(t.Context(), event.Event{ID: tt.id, Data: []byte(tt.data)})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%q %s: got %v, want invalid", tt.id, tt.data, err)
		}
	}
}
