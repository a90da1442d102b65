package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// said is one line of the log.
type said struct {
	Message string `json:"msg"`
	Level   string
	Error   string
	Omitted int
}

func lines(t *testing.T, log *bytes.Buffer) []said {
	t.Helper()
	var all []said
	for decoder := json.NewDecoder(log); decoder.More(); {
		var line said
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// gone is what a receiver that is away gives: each time with another text.
func gone(attempt int) error {
	return fmt.Errorf("export: %w", status.Errorf(codes.Unavailable, "attempt %d: connection refused", attempt))
}

// A receiver that is away for three hours is three lines, of which each says how many it stands for; whatever the texts.
func TestComplaintsOfOneKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &complaints{log: slog.New(slog.NewJSONHandler(&log, nil))}
		for attempt := range 3 * 60 {
			c.Handle(gone(attempt))
			<-time.After(time.Minute)
		}
		got := lines(t, &log)
		if len(got) != 3 {
			t.Fatalf("got %d lines in three hours, want one an hour: %v", len(got), got)
		}
		for i, line := range got {
			want := said{eventTelemetryFailed, "WARN", gone(60 * i).Error(), min(i, 1) * 59}
			if line != want {
				t.Errorf("hour %d: got %+v, want %+v", i, line, want)
			}
		}
	})
}

// Another kind is told although the first is kept quiet, and each counts for itself.
func TestComplaintsOfSeveralKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &complaints{log: slog.New(slog.NewJSONHandler(&log, nil))}
		other := errors.New("partial success: 3 points were rejected")
		for range 5 {
			c.Handle(gone(1))
			c.Handle(status.Error(codes.PermissionDenied, "no"))
		}
		c.Handle(other)
		if got := lines(t, &log); len(got) != 3 {
			t.Errorf("got %v, want a line for each of three kinds", got)
		}
		<-time.After(complainEvery)
		c.Handle(gone(2))
		c.Handle(other)
		got := lines(t, &log)
		if len(got) != 2 || got[0].Omitted != 4 || got[1].Omitted != 0 {
			t.Errorf("got %v an hour later, want 4 of the first omitted and none of the other", got)
		}
	})
}

// The SDK complains from the goroutines of all its exporters at once: one of them logs, and none is lost count of.
func TestComplaintsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &complaints{log: slog.New(slog.NewJSONHandler(&log, nil))}
		var all sync.WaitGroup
		for attempt := range 64 {
			all.Go(func() { c.Handle(gone(attempt)) })
		}
		all.Wait()
		<-time.After(complainEvery)
		c.Handle(gone(0))
		if got := lines(t, &log); len(got) != 2 || got[1].Omitted != 63 {
			t.Errorf("got %v, want one line, and 63 omitted in the next", got)
		}
	})
}

// The kind of an error is what is at its bottom, with its code, and not what it says.
func TestKindOf(t *testing.T) {
	plain := errors.New("a")
	for _, tt := range []struct {
		name string
		a, b error
		same bool
	}{
		{"other texts", errors.New("a"), errors.New("b"), true},
		{"wrapped", plain, fmt.Errorf("export: %w", plain), true},
		{"wrapped twice", gone(1), fmt.Errorf("upload: %w", gone(2)), true},
		{"other codes", status.Error(codes.Unavailable, "a"), status.Error(codes.ResourceExhausted, "a"), false},
		{"other types", plain, &json.SyntaxError{}, false},
	} {
		if got := kindOf(tt.a) == kindOf(tt.b); got != tt.same {
			t.Errorf("%s: %q and %q: got the same kind %v, want %v", tt.name, kindOf(tt.a), kindOf(tt.b), got, tt.same)
		}
	}
}
