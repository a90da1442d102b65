package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"earshot.dev/scripts/deadletter/letterbox"
	"earshot.dev/scripts/local/stack"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/publisher"
	"earshot.dev/shared/usage"
)

// unacknowledged is a Pub/Sub that loses the acknowledgement of dead letters, so many times.
type unacknowledged struct{ left atomic.Int64 }

func (u *unacknowledged) React(request any) (handled bool, answer any, err error) {
	r, ok := request.(*pubsubpb.AcknowledgeRequest)
	if !ok || r.GetSubscription() != "projects/earshot-local/subscriptions/dead-letter" || u.left.Add(-1) < 0 {
		return false, nil, nil
	}
	return true, nil, status.Error(codes.Internal, "lost")
}

// A release that doesn't understand an event has it end as a dead letter, after its deliveries. The next release does:
// the event is replayed, twice since the first time isn't known to have come through, and counts once.
func TestDeadLetterIsReplayed(t *testing.T) {
	acks := &unacknowledged{}
	server := pstest.NewServer(pstest.ServerReactorOption{FuncName: "Acknowledge", Reactor: acks})
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("PUBSUB_EMULATOR_HOST", server.Addr)
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	t.Cleanup(old.Close)
	var deployed atomic.Bool
	const deliveries = 3
	s := start(t, stack.Options{
		Race: true, Retry: stack.Retry{First: 10 * time.Millisecond, Longest: 50 * time.Millisecond, Deliveries: deliveries},
		Called: func(function string, url func() (string, error)) func() (string, error) {
			return func() (string, error) {
				if function == "usage" && !deployed.Load() {
					return old.URL, nil
				}
				return url()
			}
		},
	})
	if err := s.AddUser(t.Context(), "zoe"); err != nil {
		t.Fatal(err)
	}
	told := tellUsage(t, s, "zoe", 5)
	box, err := letterbox.Open(t.Context(), s.Project, letterbox.Options{Wait: time.Second, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	list := func() (letters []letterbox.Letter) {
		t.Helper()
		letters, err := box.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return letters
	}
	settled(t, "a dead letter", func(context.Context) (bool, error) { return len(list()) == 1, nil })
	for range 2 { // to list them doesn't take them away
		l := list()[0]
		if l.EventID != told.ID || l.Type != event.UsageRecorded || l.From != "usage-recorded-usage" || l.Deliveries != "3" {
			t.Errorf("got %+v, want %s of three deliveries", l, told.ID)
		}
	}

	deployed.Store(true)
	if _, err := box.Replay(t.Context(), []string{"another"}); err == nil || len(list()) != 1 {
		t.Errorf("replay of one that isn't there: %v; want an error, and the letter still there", err)
	}
	acks.left.Store(1)
	if done, err := box.Replay(t.Context(), []string{told.ID}); err == nil || len(done) != 0 {
		t.Errorf("replay without acknowledgement: got %v, %v, want an error", done, err)
	}
	if n := len(list()); n != 1 {
		t.Fatalf("%d letters when the first replay was not acknowledged, want 1", n)
	}
	if done, err := box.Replay(t.Context(), nil); err != nil || len(done) != 1 {
		t.Fatalf("replay of all: got %v, %v, want one", done, err)
	}
	if n := len(list()); n != 0 {
		t.Errorf("%d letters when all were replayed", n)
	}
	settled(t, "both replays taken", func(context.Context) (bool, error) {
		taken := 0
		for _, d := range s.Pushes["usage-recorded-usage"].Deliveries() {
			if d.Acknowledged() && d.Attributes["id"] == told.ID {
				taken++
			}
		}
		return taken == 2, nil
	})
	counted(t, s, "zoe", 5)
}

// tellUsage publishes the usage of a conversation of so many words.
func tellUsage(t *testing.T, s *stack.Stack, uid string, words int64) event.Event {
	t.Helper()
	client, err := pubsub.NewClient(t.Context(), s.Project)
	if err != nil {
		t.Fatal(err)
	}
	p := publisher.New(client)
	defer func() {
		p.Close()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	now := time.Now()
	e, err := event.OfUsage(uid, &conversation.Conversation{ID: "c", UpdateTime: now}, usage.Hours{usage.Hour(now): {Words: words}}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return e
}
