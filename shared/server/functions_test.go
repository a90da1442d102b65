package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// printed gives what is written to stdout and stderr while f runs. The framework writes there past any logger.
func printed(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	all := make(chan string)
	go func() {
		b, err := io.ReadAll(r)
		all <- string(b)
		if err != nil {
			t.Error(err)
		}
	}()
	f()
	os.Stdout, os.Stderr = stdout, stderr
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	return <-all
}

func cloudEvent(ctx context.Context, id, data string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(data))
	for name, value := range map[string]string{"Id": id, "Type": "test", "Source": "/test", "Specversion": "1.0"} {
		r.Header.Set("Ce-"+name, value)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestHTTPFunction(t *testing.T) {
	t.Setenv("K_SERVICE", "conversations") // as on Cloud Run
	out := printed(t, func() {
		handler, err := HTTPFunction(t.Context(), func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/panic" {
				panic("boom")
			}
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, r.Method, r.URL.Path) // a recorder's
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/conversations", nil))
		if w.Code != http.StatusTeapot || w.Body.String() != "GET/v1/conversations" {
			t.Errorf("got %d %q", w.Code, w.Body)
		}
	})
	if out != "" {
		t.Errorf("printed: %q, want nothing", out)
	}
}

func TestHTTPFunctionThatPanics(t *testing.T) {
	handler, err := HTTPFunction(t.Context(), func(http.ResponseWriter, *http.Request) { panic("boom") })
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, handler, patient)
	out := printed(t, func() {
		if status, _, err := get(t.Context(), s.url); status != http.StatusInternalServerError {
			t.Errorf("got %d, %v, want 500", status, err)
		}
	})
	if out != "" || !strings.Contains(s.logs.String(), `"severity":"CRITICAL"`) {
		t.Errorf("printed %q, logged %s; want it logged only", out, s.logs)
	}
}

// Several functions in one process, as in the local run, each answer for themselves.
func TestManyFunctions(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			handler, err := HTTPFunction(t.Context(), func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, i) // a recorder's
			})
			if err != nil {
				t.Error(err)
				return
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			if got := w.Body.String(); got != fmt.Sprint(i) {
				t.Errorf("function %d: got the answer of %s", i, got)
			}
		})
	}
	wg.Wait()
}

func TestCloudEvents(t *testing.T) {
	var got cloudevents.Event
	handler, err := CloudEvents(t.Context(), func(_ context.Context, e cloudevents.Event) error {
		got = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, cloudEvent(t.Context(), "e1", `{"n":1}`))
	if w.Code != http.StatusOK || got.ID() != "e1" || string(got.Data()) != `{"n":1}` {
		t.Errorf("got status %d, event %v", w.Code, got)
	}
}

// What is no CloudEvent is refused before the framework prints it.
func TestCloudEventsRefusesTheRest(t *testing.T) {
	handler, err := CloudEvents(t.Context(), func(context.Context, cloudevents.Event) error {
		return errors.New("called")
	})
	if err != nil {
		t.Fatal(err)
	}
	post := func(contentType, body string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		return r
	}
	noVersion := cloudEvent(t.Context(), "e1", "{}")
	noVersion.Header.Del("Ce-Specversion")
	out := printed(t, func() {
		for _, r := range []*http.Request{
			post("application/json", `{"message":{"data":"c2VjcmV0"}}`),
			post("text/plain", "secret"),
			post("application/cloudevents+json", "secret"),
			post("application/cloudevents-batch+json", "[]"),
			noVersion,
			httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil),
			httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/", nil),
		} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code < 400 {
				t.Errorf("%s %s: got status %d", r.Method, r.Header.Get("Content-Type"), w.Code)
			}
		}
	})
	if out != "" {
		t.Errorf("printed %q, want nothing", out)
	}
}

// Clients that are gone before the framework looks leave it in order: left to itself, it answers each later event
// only when the next one comes.
func TestCloudEventsOfClientsThatWent(t *testing.T) {
	handler, err := CloudEvents(t.Context(), func(context.Context, cloudevents.Event) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		handler.ServeHTTP(httptest.NewRecorder(), cloudEvent(gone, "gone", "{}"))
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, cloudEvent(t.Context(), "here", "{}"))
	if w.Code != http.StatusOK {
		t.Errorf("got status %d", w.Code)
	}
}

// A port that somebody else has taken since it was free, and who answers on it, is no harm.
func TestCaptureTriesAnotherPort(t *testing.T) {
	squatter := httptest.NewServer(http.NotFoundHandler())
	defer squatter.Close()
	_, taken, ok := strings.Cut(squatter.URL, "127.0.0.1:")
	if !ok {
		t.Fatalf("the other server is at %s", squatter.URL)
	}
	picked, found := 0, make(chan *http.Server, 1)
	register := func() error {
		return funcframework.RegisterHTTPFunctionContext(t.Context(), "/", func(_ http.ResponseWriter, r *http.Request) {
			tell(r.Context(), found)
		})
	}
	handler, err := capture(t.Context(), register, "token", found, func(ctx context.Context) (string, error) {
		if picked++; picked <= 3 {
			return taken, nil
		}
		return freePort(ctx)
	})
	if handler == nil || err != nil || picked != 4 {
		t.Errorf("got handler %v, %v after %d ports, want one of the 4th", handler, err, picked)
	}
}

func TestCaptureGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := HTTPFunction(ctx, http.NotFound); err == nil {
		t.Error("no error")
	}
}
