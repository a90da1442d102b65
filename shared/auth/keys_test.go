package auth

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/fault"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, down := 0, true
		transport := &recent{next: roundTrip(func(*http.Request) (*http.Response, error) {
			reads++
			if down {
				return nil, errors.New("down")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("keys"))}, nil
		})}
		read := func() string {
			response, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			if err != nil {
				return err.Error()
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		for _, step := range []struct {
			after time.Duration
			down  bool
			want  string
			reads int
		}{
			{0, true, "down", 1},
			{recentFault - 1, false, "down", 1},
			{1, false, "keys", 2},
			{0, true, "keys", 2},
			{recentKeys - 1, true, "keys", 2},
			{1, true, "down", 3},
		} {
			<-time.After(step.after)
			down = step.down
			if got := read(); got != step.want || reads != step.reads {
				t.Errorf("got %q after %d reads, want %q after %d", got, reads, step.want, step.reads)
			}
		}
	})
}

// A new key is known once the last reading of the keys is no longer recent, and the old one stays good.
func TestRotation(t *testing.T) {
	i := newIssuer(t) // outside of the bubble: waiting for a connection would stop its clock
	synctest.Test(t, func(t *testing.T) {
		users := i.users(t)
		old := i.sign(t, nil)
		if _, _, err := users.Verify(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		i.rotate(t, "k2")
		fresh := i.sign(t, nil)
		if _, _, err := users.Verify(t.Context(), fresh); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("at once: got %v, want unauthenticated", err)
		}
		<-time.After(recentKeys)
		for _, token := range []string{fresh, old} {
			if _, _, err := users.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		}
		if got := i.reads.Load(); got != 2 {
			t.Errorf("the keys were read %d times, want twice", got)
		}
		<-time.After(time.Hour)
		if _, _, err := users.Verify(t.Context(), old); !fault.Is(err, fault.Expired) {
			t.Errorf("after its end: got %v, want expired", err)
		}
	})
}
