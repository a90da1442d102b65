package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
	"earshot.dev/shared/otlptest"
)

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// traced starts the system, and a device that names a trace.
func traced(t *testing.T, uid string, query map[string][]string) (*otlptest.Receiver, *stack.Stack, *speaker) {
	t.Helper()
	t.Parallel()
	spans, err := otlptest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(spans.Stop)
	s := start(t, stack.Options{Race: true, Telemetry: spans.Endpoint()})
	if err := s.AddUser(t.Context(), uid); err != nil {
		t.Fatal(err)
	}
	token, err := s.UserToken(uid, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return spans, s, dial(t, s, client.Config{
		Token: client.FixedToken(token), Device: "device", Codec: source.PCM16, SampleRate: testspeech.Rate, Language: "en", Query: query,
		Traceparent: "00-" + traceID + "-00f067aa0ba902b7-01",
	})
}

// The trace that a client names leads from its socket to the webhook's headers, through every function on the way.
func TestOneTrace(t *testing.T) {
	spans, s, sp := traced(t, "tess", nil)
	sp.say(1, 8)
	sp.sees(1, 8)
	// Long before the session ends there is something to see of it.
	waitForSpans(t, spans, "listen/admit", "listen/open", "listen/save")
	sp.stop()
	finished(t, s, text(1, 8))
	counted(t, s, "tess", 8)
	sp.client.Cut()
	<-sp.done
	waitForSpans(t, spans, "listen/end conversation", "listen/close", "finalize/process conversation.ended.v1",
		"usage/process usage.recorded.v1", "integrations/process conversation.finalized.v1", "integrations/post webhook")
	all := spans.Spans(traceID)
	redis := slices.ContainsFunc(all, func(s otlptest.Span) bool { return s.Attributes["db.system"] == "redis" })
	firestore := slices.ContainsFunc(all, func(s otlptest.Span) bool { return strings.Contains(s.Name, "firestore") })
	if !redis || !firestore {
		t.Errorf("spans of Redis: %v, of Firestore: %v; want both", redis, firestore)
	}
	joined(t, spans)
	discreet(t, spans.All())

	header := delivered(t, s)[0].Header.Get("Traceparent")
	post := all[slices.IndexFunc(all, func(s otlptest.Span) bool { return s.Name == "post webhook" })]
	if want := fmt.Sprintf("00-%s-%s-01", traceID, post.SpanID); header != want {
		t.Errorf("the webhook's traceparent: got %q, want %q", header, want)
	}
}

// A device that goes and doesn't come back leaves its conversation to the sweep: what follows still belongs to the
// session, not to the sweep.
func TestTraceOfAbandoned(t *testing.T) {
	spans, s, sp := traced(t, "theo", map[string][]string{"conversation_timeout": {"4"}})
	sp.say(1, 6)
	sp.sees(1, 6)
	sp.client.Cut()
	<-sp.done
	settled(t, "the end", func(ctx context.Context) (bool, error) {
		sweep(t, s)
		all, err := stored(ctx, s, "theo")
		return err == nil && all[sp.conversations[0]]["status"] != "live", err
	})
	finished(t, s, text(1, 6))
	waitForSpans(t, spans, "finalize/process conversation.ended.v1", "integrations/post webhook")
	if got := delivered(t, s)[0].Header.Get("Traceparent"); !strings.HasPrefix(got, "00-"+traceID+"-") {
		t.Errorf("the webhook's traceparent: got %q, want one of the trace %s", got, traceID)
	}
}

// waitForSpans waits until the trace has spans of these services and names.
func waitForSpans(t *testing.T, r *otlptest.Receiver, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	err := r.Wait(ctx, func() bool {
		got = nil
		for _, s := range r.Spans(traceID) {
			got = append(got, s.Service+"/"+s.Name)
		}
		return !slices.ContainsFunc(want, func(name string) bool { return !slices.Contains(got, name) })
	})
	if err != nil {
		t.Fatalf("%v: got %q, want %q among them", err, got, want)
	}
}

// joined checks that every span hangs on another one, or on the client's.
func joined(t *testing.T, r *otlptest.Receiver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var loose []otlptest.Span
	err := r.Wait(ctx, func() bool {
		all := r.Spans(traceID)
		ids := map[string]bool{"00f067aa0ba902b7": true}
		for _, s := range all {
			ids[s.SpanID] = true
		}
		loose = slices.DeleteFunc(all, func(s otlptest.Span) bool { return ids[s.ParentID] })
		return len(loose) == 0
	})
	if err != nil {
		t.Errorf("nobody sends the parents of %+v", loose)
	}
}

// discreet checks that spans hold neither words nor what opens doors.
func discreet(t *testing.T, spans []otlptest.Span) {
	t.Helper()
	for _, s := range spans {
		for name, value := range s.Attributes {
			for _, never := range []string{"w10", "w1 ", "Bearer", "eyJ", "/webhook", "key="} {
				if strings.Contains(value, never) {
					t.Errorf("%s of %s: %s is %q", s.Name, s.Service, name, value)
				}
			}
		}
	}
}
