package stack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Received is a webhook as it came.
type Received struct {
	ID      string // webhook-id, the same on every attempt
	Header  http.Header
	Query   url.Values
	Body    []byte
	Refused bool  // it was answered with the status that FailNext asked for
	Invalid error // why its signature doesn't hold; nil if it does
}

// Receiver takes webhooks, checks their signatures (standardwebhooks.com), and keeps them. It is a pattern for
// receivers of one's own in what it checks, not in what it keeps: everything.
type Receiver struct {
	Secret string // in the form whsec_<base64>

	verifier *webhooks.Webhook

	mu       sync.Mutex
	received []Received
	arrived  chan struct{} // closed, and made anew, by each webhook
	failures int           // how many more are refused
	status   int
}

// maxWebhook bounds a webhook's body, in bytes.
const maxWebhook = 64 << 20

// NewReceiver makes a receiver with a secret of its own.
func NewReceiver() (*Receiver, error) {
	key := make([]byte, 32)
	rand.Read(key)
	secret := "whsec_" + base64.StdEncoding.EncodeToString(key)
	verifier, err := webhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	return &Receiver{Secret: secret, verifier: verifier, arrived: make(chan struct{})}, nil
}

// FailNext has the next n webhooks answered with a status.
func (r *Receiver) FailNext(n, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures, r.status = n, status
}

// ServeHTTP takes a webhook: 204, 401 where the signature doesn't hold, or what FailNext said.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxWebhook))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(r.take(Received{
		ID: request.Header.Get(webhooks.HeaderWebhookID), Header: request.Header, Query: request.URL.Query(), Body: body,
		Invalid: r.verifier.Verify(body, request.Header),
	}))
}

// take keeps a webhook and gives the status to answer it with.
func (r *Receiver) take(got Received) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := http.StatusNoContent
	switch {
	case r.failures > 0:
		r.failures--
		got.Refused, status = true, r.status
	case got.Invalid != nil:
		status = http.StatusUnauthorized
	}
	r.received = append(r.received, got)
	close(r.arrived)
	r.arrived = make(chan struct{})
	return status
}

// All gives the webhooks so far, in the order in which they came.
func (r *Receiver) All() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.received)
}

// Next waits for the nth webhook, from 0.
func (r *Receiver) Next(ctx context.Context, n int) (Received, error) {
	for {
		r.mu.Lock()
		arrived := r.arrived
		if n < len(r.received) {
			defer r.mu.Unlock()
			return r.received[n], nil
		}
		r.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return Received{}, fmt.Errorf("wait for a webhook: %w", context.Cause(ctx))
		}
	}
}

// Wait gives the first webhook, of those that came and those to come, that holds, wasn't refused, and contains the
// text.
func (r *Receiver) Wait(ctx context.Context, text string) (Received, error) {
	for n := 0; ; n++ {
		got, err := r.Next(ctx, n)
		if err != nil || !got.Refused && got.Invalid == nil && bytes.Contains(got.Body, []byte(text)) {
			return got, err
		}
	}
}
