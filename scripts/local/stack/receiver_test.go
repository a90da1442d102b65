package stack

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// send posts a signed body and gives the status of the answer.
func send(t *testing.T, r *Receiver, secret, body string) int {
	t.Helper()
	signer, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := signer.Sign("msg_1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook?uid=anna", strings.NewReader(body))
	request.Header.Set(webhooks.HeaderWebhookID, "msg_1")
	request.Header.Set(webhooks.HeaderWebhookSignature, signature)
	request.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w.Code
}

func receiver(t *testing.T) *Receiver {
	t.Helper()
	r, err := NewReceiver()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReceiverChecksSignatures(t *testing.T) {
	r := receiver(t)
	if got := send(t, r, r.Secret, `{"id":"c1"}`); got != http.StatusNoContent {
		t.Errorf("signed: status %d, want 204", got)
	}
	if got := send(t, r, receiver(t).Secret, `{"id":"c2"}`); got != http.StatusUnauthorized {
		t.Errorf("signed with another secret: status %d, want 401", got)
	}
	all := r.All()
	if len(all) != 2 || all[0].Invalid != nil || all[1].Invalid == nil {
		t.Fatalf("kept %+v, want one that holds and one that doesn't", all)
	}
	if all[0].ID != "msg_1" || all[0].Query.Get("uid") != "anna" || string(all[0].Body) != `{"id":"c1"}` {
		t.Errorf("kept %+v", all[0])
	}
}

func TestReceiverFailsAsOftenAsItIsTold(t *testing.T) {
	r := receiver(t)
	r.FailNext(2, http.StatusTeapot)
	for i, want := range []int{http.StatusTeapot, http.StatusTeapot, http.StatusNoContent} {
		if got := send(t, r, r.Secret, "{}"); got != want {
			t.Errorf("webhook %d: status %d, want %d", i, got, want)
		}
	}
}

func TestReceiverWaitsForTheOneThatHolds(t *testing.T) {
	r := receiver(t)
	got := make(chan Received, 1)
	go func() {
		received, err := r.Wait(t.Context(), "c1")
		if err != nil {
			t.Errorf("Wait: %v", err)
		}
		got <- received
	}()
	r.FailNext(1, http.StatusServiceUnavailable)
	send(t, r, r.Secret, `{"id":"c1","n":1}`)
	send(t, r, receiver(t).Secret, `{"id":"c1","n":2}`)
	send(t, r, r.Secret, `{"id":"c0","n":3}`)
	send(t, r, r.Secret, `{"id":"c1","n":4}`)
	if received := <-got; string(received.Body) != `{"id":"c1","n":4}` {
		t.Errorf("got %s, want the fourth", received.Body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Wait(ctx, "c9"); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}
