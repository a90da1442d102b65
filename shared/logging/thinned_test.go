package logging

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/fault"
)

// A second's flood: the first lines are written and then one in so many, each event for itself; all that is a warning
// or worse is written; how many are missing is said; and the next second begins anew.
func TestFloodIsThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out locked
		ctx := NewContext(t.Context(), New(&out, Config{Burst: 10, Keep: 20}, "test"))
		for range 110 {
			From(With(ctx, slog.String("uid", "u1"))).InfoContext(ctx, "frequent")
			From(ctx).WarnContext(ctx, "frequent_warning")
			Error(ctx, "frequent_error", fault.New(fault.Internal, "op", errors.New("down")))
		}
		From(ctx).InfoContext(ctx, "rare")
		want := map[string]int{"frequent": 10 + 100/20, "frequent_warning": 110, "frequent_error": 110, "rare": 1, eventOmitted: 0}
		wantLines(t, out.String(), want)

		<-time.After(time.Second)
		synctest.Wait()
		want[eventOmitted] = 1
		wantLines(t, out.String(), want)
		if !strings.Contains(out.String(), `"message":"log_lines_omitted","event":"frequent","omitted":95}`) {
			t.Errorf("want 95 lines told as left out, got %s", out.String()[strings.LastIndex(out.String(), "{"):])
		}
		From(ctx).InfoContext(ctx, "frequent")
		want["frequent"]++
		wantLines(t, out.String(), want)
	})
}

// locked is read while a timer may write to it.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *locked) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *locked) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func wantLines(t *testing.T, out string, want map[string]int) {
	t.Helper()
	for event, n := range want {
		if got := strings.Count(out, `"message":"`+event+`"`); got != n {
			t.Errorf("%s: got %d lines, want %d", event, got, n)
		}
	}
}

// Without a limit nothing is left out.
func TestNothingIsThinnedByDefault(t *testing.T) {
	var out bytes.Buffer
	ctx := NewContext(t.Context(), New(&out, Config{}, "test"))
	for range 1000 {
		From(ctx).InfoContext(ctx, "frequent")
	}
	wantLines(t, out.String(), map[string]int{"frequent": 1000})
}
