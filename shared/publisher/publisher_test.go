package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/tracing"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started on import, for good, by OpenCensus, which the client library brings along.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// connect gives a server with the topics named and a publisher on it.
func connect(t testing.TB, topics ...string) (*pstest.Server, *Publisher) {
	t.Helper()
	server := pstest.NewServer()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient(server.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client, err := pubsub.NewClient(context.Background(), "p", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, topic := range topics {
		_, err := server.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/" + topic})
		if err != nil {
			t.Fatal(err)
		}
	}
	p := New(client)
	t.Cleanup(p.Close)
	return server, p
}

var told = event.Event{
	ID: "c1:ended:3", Type: event.ConversationEnded, Subject: "u1/c1",
	Time:        time.Date(2026, 11, 23, 11, 0, 0, 5, time.FixedZone("CET", 3600)),
	Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	Data:        json.RawMessage(`{"uid":"u1"}`),
}

func TestMessageIsWhatSubscribersExpect(t *testing.T) {
	server, p := connect(t, "conversation-ended", "usage-recorded")
	if err := p.Publish(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	messages := server.Messages() // it is there as soon as Publish returns
	if len(messages) != 1 {
		t.Fatalf("got %d messages, want 1", len(messages))
	}
	want := map[string]string{
		"id": "c1:ended:3", "type": "conversation.ended.v1", "subject": "u1/c1",
		"time":        "2026-11-23T10:00:00.000000005Z",
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	if diff := cmp.Diff(want, messages[0].Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if got := messages[0]; got.Topic != "projects/p/topics/conversation-ended" || string(got.Data) != `{"uid":"u1"}` {
		t.Errorf("got topic %s, data %s", got.Topic, got.Data)
	}
	bare := told
	bare.Traceparent = ""
	const current = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for e, want := range map[*event.Event]string{&told: told.Traceparent, &bare: current} {
		if err := p.Publish(tracing.Continue(t.Context(), current), *e); err != nil {
			t.Fatal(err)
		}
		messages = server.Messages()
		if got := messages[len(messages)-1].Attributes["traceparent"]; got != want {
			t.Errorf("traceparent: got %q, want %q: an event's own, else that of the current span", got, want)
		}
	}
	if _, ok := attributes(bare)["traceparent"]; ok {
		t.Error("an empty traceparent was sent")
	}
}

func TestFailures(t *testing.T) {
	server, p := connect(t, "conversation-ended")
	late := func(ctx context.Context) (context.Context, context.CancelFunc) {
		server.SetAutoPublishResponse(false) // the server keeps silent
		return context.WithTimeout(ctx, 20*time.Millisecond)
	}
	for _, tt := range []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		e    event.Event
		want fault.Kind
	}{
		{"type of no topic", context.WithCancel, event.Event{Type: "x.v1"}, fault.Invalid},
		{"topic that is not there", context.WithCancel, event.Event{Type: event.UsageRecorded, Data: []byte("{}")}, fault.Unavailable},
		{"too large", context.WithCancel, event.Event{Type: told.Type, Data: make([]byte, 11e6)}, fault.TooLarge},
		{"no answer", late, told, fault.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := tt.ctx(t.Context())
			defer cancel()
			if err := p.Publish(ctx, tt.e); !fault.Is(err, tt.want) {
				t.Errorf("got %v of kind %v, want %v", err, fault.KindOf(err), tt.want)
			}
		})
	}
	server.AddPublishResponse(&pubsubpb.PublishResponse{MessageIds: []string{"1"}}, nil) // for Close to end
}

// The caller of a publish may go; what he told is sent before Close returns.
func TestCloseSends(t *testing.T) {
	server, p := connect(t, "conversation-ended")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(gone, told); err == nil {
		t.Error("an acknowledgement for one who didn't wait")
	}
	p.Close()
	if got := len(server.Messages()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
	if err := p.Publish(t.Context(), told); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v after Close, want unavailable", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	server, p := connect(t, "conversation-ended")
	var wg sync.WaitGroup
	for i := range 250 {
		wg.Go(func() {
			e := told
			e.ID = fmt.Sprint(i)
			if err := p.Publish(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ids := make(map[string]bool)
	for _, m := range server.Messages() {
		ids[m.Attributes["id"]] = true
	}
	if len(ids) != 250 {
		t.Errorf("got %d events, want 250", len(ids))
	}
}

// Events of one order go under one key, and are taken again after one that could not be published.
func TestOrdered(t *testing.T) {
	server, p := connect(t)
	ordered := told
	ordered.Type, ordered.Order = event.AudioAppended, "u1/d"
	if err := p.Publish(t.Context(), ordered); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("without a topic: got %v, want unavailable", err)
	}
	if _, err := server.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/audio-appended"}); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), ordered); err != nil {
		t.Fatalf("after one that failed: got %v", err)
	}
	if got := server.Messages()[0].OrderingKey; got != "u1/d" {
		t.Errorf("ordering key: got %q, want u1/d", got)
	}
}

// One event at a time, so most of it is the delay for a batch.
func BenchmarkPublish(b *testing.B) {
	_, p := connect(b, "conversation-ended")
	for b.Loop() {
		if err := p.Publish(b.Context(), told); err != nil {
			b.Fatal(err)
		}
	}
}
