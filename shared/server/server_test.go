package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot.dev/shared/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a server under test.
type service struct {
	url   string
	logs  *syncBuffer
	stop  context.CancelFunc
	ended chan error
}

func start(t *testing.T, handler http.Handler, limits limits, drain ...func(context.Context) error) *service {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{url: "http://" + listener.Addr().String(), logs: new(syncBuffer), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(logging.NewContext(context.Background(), logging.New(s.logs, logging.Config{}, "test")))
	s.stop = cancel
	go func() {
		s.ended <- serve(ctx, listener, handler, drain, limits)
		close(s.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-s.ended // looked at by the test, where it matters
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func get(ctx context.Context, url string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), err
}

var patient = limits{10 * time.Second, 10 * time.Second}

func TestHealth(t *testing.T) {
	s := start(t, http.NotFoundHandler(), patient)
	if status, body, err := get(t.Context(), s.url+"/healthz"); status != http.StatusOK || body != version {
		t.Errorf("got %d, %q, %v, want 200 and the version %q", status, body, err, version)
	}
	if status, _, err := get(t.Context(), s.url+"/"); status != http.StatusNotFound {
		t.Errorf("got %d, %v, want 404 of the handler", status, err)
	}
}

// A request that is under way when the stop comes is answered, with its context alive; nothing new is accepted.
func TestDrainLetsRequestsEnd(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request's context has ended: %v", err)
		}
		fmt.Fprint(w, "whole") // or the client says so
	}), patient, func(context.Context) error {
		close(release)
		return nil
	})
	answered := make(chan string, 1)
	go func() {
		_, body, err := get(t.Context(), s.url)
		answered <- fmt.Sprint(body, err)
	}()
	<-entered
	s.stop()
	if got := <-answered; got != "whole<nil>" {
		t.Errorf("got answer %s, want it whole", got)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("got error %v", err)
	}
	if _, _, err := get(t.Context(), s.url); err == nil {
		t.Error("a connection was accepted after the stop")
	}
}

// Sessions on hijacked connections are no requests to net/http: they end by the drain function, and are waited for.
func TestDrainFunctionsAreWaitedFor(t *testing.T) {
	var order []string
	s := start(t, http.NotFoundHandler(), patient, func(ctx context.Context) error {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > patient.drain {
			t.Errorf("got deadline %v", deadline)
		}
		order = append(order, "drained")
		return errors.New("one session was lost")
	})
	s.stop()
	err := <-s.ended
	order = append(order, "ended")
	if err == nil || !strings.Contains(err.Error(), "one session was lost") {
		t.Errorf("got error %v, want that of the drain function", err)
	}
	if len(order) != 2 || order[0] != "drained" {
		t.Errorf("got order %v", order)
	}
}

// Who doesn't end by himself has his context cancelled; who doesn't heed that either is cut off.
func TestLimits(t *testing.T) {
	entered, deaf := make(chan struct{}, 2), make(chan struct{})
	defer close(deaf)
	s := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		if r.URL.Path == "/deaf" {
			<-deaf
		}
	}), limits{50 * time.Millisecond, 50 * time.Millisecond})
	answered := make(chan error, 2)
	for _, path := range []string{"/", "/deaf"} {
		go func() {
			_, _, err := get(t.Context(), s.url+path)
			answered <- err
		}()
		<-entered
	}
	s.stop()
	if err := <-s.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the deadline was exceeded", err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the one who heeded it got %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("the deaf one was answered")
	}
}

func TestDrainFunctionThatHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	s := start(t, http.NotFoundHandler(), limits{10 * time.Millisecond, 10 * time.Millisecond}, func(context.Context) error {
		<-hang
		return nil
	})
	s.stop()
	if err := <-s.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the deadline was exceeded", err)
	}
}

func TestListenerThatDies(t *testing.T) {
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := logging.NewContext(t.Context(), slog.New(slog.DiscardHandler))
	drained := false
	err = Serve(ctx, listener, http.NotFoundHandler(), func(context.Context) error {
		drained = true
		return nil
	})
	if err == nil || !drained {
		t.Errorf("got error %v, drained %v; want an error, and what is open to be ended", err, drained)
	}
	taken, err := listen.Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() // nothing came
	if err := Run(ctx, Config{Port: taken.Addr().(*net.TCPAddr).Port}, http.NotFoundHandler()); err == nil {
		t.Error("no error of a port that is taken")
	}
}

func TestPanicIsAnsweredAndLoggedOnce(t *testing.T) {
	s := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }), patient)
	if status, _, err := get(t.Context(), s.url+"/x"); status != http.StatusInternalServerError {
		t.Errorf("got %d, %v, want 500", status, err)
	}
	if got := s.logs.String(); strings.Count(got, "boom") != 2 || !strings.Contains(got, `"severity":"CRITICAL"`) {
		t.Errorf("want one critical line with text and stack, got %s", got)
	}
}

// What a panic is answered with is problem details, and nothing of the answer that was being made.
func TestPanicIsAProblem(t *testing.T) {
	w := httptest.NewRecorder()
	recovered(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", "1000")
		panic("boom")
	})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil))
	want := http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}
	if got := w.Result().Header; w.Code != http.StatusInternalServerError || !reflect.DeepEqual(got, want) {
		t.Errorf("got %d with %v, want 500 with %v", w.Code, got, want)
	}
	const body = `{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"internal"}` + "\n"
	if got := w.Body.String(); got != body {
		t.Errorf("got %s, want %s", got, body)
	}
}

func TestTraceOfRequest(t *testing.T) {
	s := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		logging.From(r.Context()).InfoContext(r.Context(), "seen")
	}), patient)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if want := `"message":"seen","logging.googleapis.com/trace":"4bf92f3577b34da6a3ce929d0e0e4736"`; !strings.Contains(s.logs.String(), want) {
		t.Errorf("want %s in %s", want, s.logs)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
