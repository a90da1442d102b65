package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/propagation"

	"earshot.dev/shared/fault"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Both shapes, of the lines that a service writes: what was bound, every kind of value, and faults of each severity.
func TestGolden(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatConsole} {
		t.Run(string(format), func(t *testing.T) {
			var out bytes.Buffer
			writeLines(&out, format)
			golden(t, filepath.Join("testdata", string(format)+".golden"), stable(out.String()))
		})
	}
}

func writeLines(w io.Writer, format Format) {
	cfg := Config{Format: format, Level: slog.LevelDebug, Project: "earshot-prod", Version: "listen-00042"}
	ctx := NewContext(context.Background(), New(w, cfg, "listen"))
	ctx = With(ctx, slog.String("uid", "u1"), slog.String("session_id", "s1"))
	ctx = WithTrace(traced(ctx, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	ctx = With(ctx, slog.Int("attempt", 2))

	From(ctx).DebugContext(ctx, "frame_skipped", "size", 3)
	From(ctx).InfoContext(ctx, "session_ended", "reason", "idle", "audio", 1500*time.Millisecond,
		"bytes", uint64(math.MaxUint64), "load", 0.25, "ratio", math.NaN(), "resumed", true,
		"at", time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), "codecs", []string{"opus", "pcm16"},
		slog.Group("queue", "length", 3, "limit", 64), "cause", errors.New("say \"why\"\n"))
	From(ctx).With("shard", 1).WithGroup("redis").WarnContext(ctx, "cache_missed", "key", "profile")

	root := errors.New("connection refused")
	Error(ctx, "claim_held", fault.New(fault.Busy, "finalize", root))
	Error(ctx, "flush_retried", fault.New(fault.Unavailable, "commit", root), slog.Int("flush", 7))
	Error(ctx, "flush_failed", fault.Wrap("flush", fault.New(fault.Internal, "commit", root)))
	Error(ctx, "segments_lost", fault.Escalate(fault.Critical, root))
	Error(ctx, "nothing", nil)
}

func traced(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// stable takes out of the lines what differs from run to run.
func stable(s string) string {
	for _, r := range []struct{ pattern, with string }{
		{`(?m)"time":"\d{4}-[^"]*Z"`, `"time":"TIME"`},
		{`(?m)^\d\d:\d\d:\d\d\.\d{3}`, `HH:MM:SS.mmm`},
		{`"file":"[^"]*/`, `"file":"/`},
		{`"line":"\d+"`, `"line":"1"`},
		{`(?s)goroutine \d+ \[running\]:(\\n|\n)(earshot\S+\(\.\.\.\)|earshot[^(]*\S+writeLines).*`, `goroutine 1 [running]:${1}STACK from $2` + "\n"},
	} {
		s = regexp.MustCompile(r.pattern).ReplaceAllString(s, r.with)
	}
	return s
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("lines differ from %s (-want +got), or write it anew with -update:\n%s", path, diff)
	}
}

func TestHandlerKeepsSlogsContract(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return New(&out, Config{}, "test").Handler()
	}, func(t *testing.T) map[string]any {
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, out.Bytes())
		}
		line[slog.LevelKey], line[slog.MessageKey] = line["severity"], line["message"]
		return line
	})
}

func TestLevels(t *testing.T) {
	var out bytes.Buffer
	ctx := NewContext(t.Context(), New(&out, Config{Level: slog.LevelWarn}, "test"))
	From(ctx).InfoContext(ctx, "too_low")
	Error(ctx, "expected", fault.New(fault.NotFound, "read", errors.New("gone")))
	if out.Len() != 0 {
		t.Errorf("below the level, got %s", &out)
	}
}

// What is bound to one context must not be seen in another that has the same parent.
func TestSiblingsShareNothing(t *testing.T) {
	var out bytes.Buffer
	var attrs []slog.Attr
	for range 20 { // of any length: spare room in what the parent has bound would be shared
		attrs = append(attrs, slog.Int("n", 1))
		handler := New(&out, Config{}, "test").Handler().WithAttrs(attrs)
		parent := With(NewContext(t.Context(), slog.New(handler)), attrs...)
		first, firstLogger := With(parent, slog.String("session_id", "first")), From(parent).With("key", "first")
		second, secondLogger := With(parent, slog.String("session_id", "second")), From(parent).With("key", "second")

		out.Reset()
		From(first).InfoContext(first, "event")
		firstLogger.InfoContext(parent, "event")
		if got := out.String(); strings.Contains(got, "second") || strings.Count(got, "first") != 2 {
			t.Fatalf("got %s", got)
		}
		out.Reset()
		From(second).InfoContext(second, "event")
		secondLogger.InfoContext(parent, "event")
		if got := out.String(); strings.Contains(got, "first") || strings.Count(got, "second") != 2 {
			t.Fatalf("got %s", got)
		}
	}
}

func TestOtherHandlersAreBoundToo(t *testing.T) {
	var out bytes.Buffer
	ctx := NewContext(t.Context(), slog.New(slog.NewTextHandler(&out, nil)))
	ctx = WithTrace(traced(With(ctx, slog.String("uid", "u1")), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	From(ctx).InfoContext(ctx, "event")
	if !strings.Contains(out.String(), "uid=u1") {
		t.Errorf("got %s", &out)
	}
}

func TestNoTraceOutOfGarbage(t *testing.T) {
	for _, traceparent := range []string{
		"", "00", "00-x-y-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
	} {
		var out bytes.Buffer
		ctx := WithTrace(traced(NewContext(t.Context(), New(&out, Config{}, "test")), traceparent))
		From(ctx).InfoContext(ctx, "event")
		if strings.Contains(out.String(), "trace") {
			t.Errorf("%q: got %s", traceparent, &out)
		}
	}
}

// The stack of a recovered panic leads to where it panicked.
func TestStackOfPanic(t *testing.T) {
	var out bytes.Buffer
	ctx := NewContext(t.Context(), New(&out, Config{}, "test"))
	err := func() (err error) {
		defer func() { err = Recovered(recover()) }()
		panics()
		return nil
	}()
	Error(ctx, "panicked", fault.Wrap("handle", err))
	var line struct {
		Type  string `json:"@type"`
		Stack string `json:"stack_trace"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(line.Stack, "[running]:")
	if !strings.HasPrefix(header, "handle: panic: boom\n\ngoroutine ") || !strings.Contains(line.Stack, "logging.panics(") {
		t.Errorf("got stack %s", line.Stack)
	}
	if !strings.HasSuffix(line.Type, ".ReportedErrorEvent") {
		t.Errorf("got type %q", line.Type)
	}
}

//go:noinline
func panics() { panic("boom") }

func TestFormat(t *testing.T) {
	var f Format
	if err := f.UnmarshalText([]byte("console")); err != nil || f != FormatConsole {
		t.Errorf("got %q, %v", f, err)
	}
	if err := f.UnmarshalText([]byte("xml")); err == nil {
		t.Error("xml is taken for a format")
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c", "\x00\x1f\n\t\r", "Grüße, 世界", "\xff\xfe cut \xe4\xb8", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		encoded := appendString(nil, s)
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, encoded, err)
		}
		want := string([]rune(s)) // each byte that is no UTF-8 is a rune of its own
		if got != want || !utf8.Valid(encoded) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

type devNull struct{}

func (devNull) Write(p []byte) (int, error) { return len(p), nil }

// A line with what identifies a session bound beforehand, as almost all lines are, allocates nothing.
func TestLineAllocatesNothing(t *testing.T) {
	ctx := NewContext(t.Context(), New(io.Discard, Config{}, "listen"))
	ctx = With(ctx, slog.String("uid", "u1"), slog.String("session_id", "s1"))
	allocations := testing.AllocsPerRun(1000, func() {
		From(ctx).LogAttrs(ctx, slog.LevelInfo, "flush_committed", slog.Int("segments", 12), slog.Duration("took", time.Second))
	})
	if allocations >= 1 {
		t.Errorf("got %v allocations a line, want none", allocations)
	}
}

// As TestLineAllocatesNothing, beside what slog itself would take for the same.
func BenchmarkLine(b *testing.B) {
	replace := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.LevelKey:
			a.Key = "severity"
		case slog.MessageKey:
			a.Key = "message"
		case slog.SourceKey:
			a.Key = "logging.googleapis.com/sourceLocation"
		}
		return a
	}
	for _, bench := range []struct {
		name    string
		handler slog.Handler
	}{
		{"cloud", New(devNull{}, Config{}, "listen").Handler()},
		{"slog", slog.NewJSONHandler(devNull{}, &slog.HandlerOptions{AddSource: true})},
		{"slog-replaced", slog.NewJSONHandler(devNull{}, &slog.HandlerOptions{AddSource: true, ReplaceAttr: replace})},
	} {
		b.Run(bench.name, func(b *testing.B) {
			ctx := NewContext(b.Context(), slog.New(bench.handler))
			ctx = With(ctx, slog.String("uid", "kJ7hTq0nWcPfYx2aLmZs"), slog.String("session_id", "0192f7c0-session"),
				slog.String("conversation_id", "0192f7c0-conversation"))
			b.ReportAllocs()
			for b.Loop() {
				From(ctx).LogAttrs(ctx, slog.LevelInfo, "flush_committed", slog.Int("segments", 12),
					slog.Int("flush", 7), slog.Duration("took", 23*time.Millisecond))
			}
		})
	}
}
