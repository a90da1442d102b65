package letterbox

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/protobuf/types/known/durationpb"

	"earshot.dev/shared/event"
)

const (
	project = "projects/p"
	grave   = project + "/topics/dead-letter"
	revival = project + "/topics/usage-recorded"
)

// open has a box, and a Pub/Sub in which so many letters are in it, of events that are named by their number.
func open(t *testing.T, limit, letters int, options ...pstest.ServerReactorOption) (*Box, *pstest.Server) {
	t.Helper()
	server := pstest.NewServer(options...)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("PUBSUB_EMULATOR_HOST", server.Addr)
	box, err := Open(t.Context(), "p", Options{Wait: 700 * time.Millisecond, Limit: limit}) // pstest waits for half a second
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	for _, topic := range []string{grave, revival} {
		if _, err := box.client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := box.client.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
		Name: box.subscription, Topic: grave, AckDeadlineSeconds: 60, MessageRetentionDuration: durationpb.New(24 * time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	for n := range letters {
		bury(server, fmt.Sprint(n), event.UsageRecorded)
	}
	return box, server
}

func bury(server *pstest.Server, id, eventType string) {
	server.Publish(grave, []byte("{}"), map[string]string{"id": id, "type": eventType})
}

// published are how often events were published again.
func published(server *pstest.Server) map[string]int {
	times := map[string]int{}
	for _, m := range server.Messages() {
		if m.Topic == revival {
			times[m.Attributes["id"]]++
		}
	}
	return times
}

// All letters are replayed, also where they are more than are looked at at a time, and one of them can't be.
func TestReplayAll(t *testing.T) {
	box, server := open(t, 3, 0)
	bury(server, "odd", "nobody.knows.v1")
	for n := range 7 {
		bury(server, fmt.Sprint(n), event.UsageRecorded)
	}
	replayed, err := box.Replay(t.Context(), nil)
	if len(replayed) != 7 || err == nil || strings.Count(err.Error(), "no topic") != 1 {
		t.Errorf("got %d, %v; want 7, and the error of the one that has no topic", len(replayed), err)
	}
	times := published(server)
	for n := range 7 {
		if got := times[fmt.Sprint(n)]; got != 1 {
			t.Errorf("event %d was published again %d times, want once", n, got)
		}
	}
	if left, err := box.List(t.Context()); err != nil || len(left) != 1 || left[0].EventID != "odd" {
		t.Errorf("in the box: got %v, %v; want the one that has no topic", left, err)
	}
}

// refused is a consumer that takes no event: each that is published again dies again.
type refused struct {
	server  *pstest.Server
	burying sync.WaitGroup
}

func (r *refused) React(request any) (handled bool, answer any, err error) {
	if p, ok := request.(*pubsubpb.PublishRequest); ok && p.GetTopic() == revival {
		id := p.GetMessages()[0].GetAttributes()["id"]
		r.burying.Go(func() { bury(r.server, id, event.UsageRecorded) }) // the server calls with its lock held
	}
	return false, nil, nil
}

// An event that dies again while others are replayed is not replayed for ever.
func TestReplayAllDiesAgain(t *testing.T) {
	r := &refused{}
	box, server := open(t, 1, 3, pstest.ServerReactorOption{FuncName: "Publish", Reactor: r})
	r.server = server
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	replayed, err := box.Replay(ctx, nil)
	r.burying.Wait()
	if len(replayed) != 3 || err == nil || !strings.Contains(err.Error(), "published again just before") {
		t.Errorf("got %d, %v; want 3, and that they are dead again", len(replayed), err)
	}
	for id, times := range published(server) {
		if times != 1 {
			t.Errorf("event %s was published again %d times, want once", id, times)
		}
	}
}

// Where no more letters were looked at than the limit, one that is not among them may be there.
func TestReplayNotFound(t *testing.T) {
	for limit, more := range map[int]bool{2: true, 4: false} {
		box, server := open(t, limit, 3)
		replayed, err := box.Replay(t.Context(), []string{"another"})
		if err == nil || len(replayed) != 0 || strings.Contains(err.Error(), "there may be more") != more {
			t.Errorf("limit %d: got %v, %v; want an error that says there may be more: %v", limit, replayed, err, more)
		}
		if got := published(server); len(got) > 0 {
			t.Errorf("limit %d: published %v", limit, got)
		}
	}
}
