package stack

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"earshot.dev/shared/auth"
)

func TestSchedulerCallsTheSweepWithItsToken(t *testing.T) {
	services, config := issuer(t)
	guard := auth.Push(t.Context(), auth.PushConfig{
		Issuer: config.Issuer, KeysURL: config.KeysURL, Audience: audience("sweep"), Account: serviceAccount,
	})
	calls := make(chan struct{})
	answers := []int{http.StatusInternalServerError, http.StatusOK, http.StatusOK}
	server := httptest.NewServer(guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(answers[0])
		answers = answers[1:]
		calls <- struct{}{}
	})))
	defer server.Close()
	said := &recorder{}
	s := &Stack{
		Services: services, client: server.Client(), logs: &logs{w: said},
		options:  Options{SweepEvery: time.Millisecond},
		Sweeper:  &Function{Name: "sweep"},
		sweepURL: func() (string, error) { return server.URL, nil },
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.running.Go(func() { s.schedule(ctx) })
	for range 3 {
		select {
		case <-calls:
		case <-time.After(20 * time.Second):
			t.Fatal("the sweep was not called")
		}
	}
	cancel()
	s.running.Wait()
	if got := said.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "answered 500") {
		t.Errorf("the log says %q, want the one answer that was not 200", got)
	}
}

func TestEverySubscriptionLeadsToAFunctionThatIsRun(t *testing.T) {
	known := strings.Join(names, " ")
	for _, s := range subscriptions {
		if !strings.Contains(known, s.function) {
			t.Errorf("%s is pushed to %q, which is none of %s", s.eventType, s.function, known)
		}
	}
}
