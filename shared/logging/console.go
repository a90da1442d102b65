package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/lmittmann/tint"
)

// console writes for people: colours where w is a terminal, and a stack below its line rather than in it.
type console struct {
	slog.Handler
	w *lockedWriter
}

func newConsole(w io.Writer, level slog.Level) *console {
	locked := &lockedWriter{w: w}
	return &console{w: locked, Handler: tint.NewTextHandler(locked, &tint.Options{
		Level:       level,
		TimeFormat:  "15:04:05.000",
		NoColor:     !terminal(w),
		ReplaceAttr: nameCritical,
	})}
}

// nameCritical has LevelCritical written as CRT in bright red, which tint knows only as four above an error.
func nameCritical(groups []string, a slog.Attr) slog.Attr {
	const brightRed = 9
	if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey && level >= LevelCritical {
		return tint.Attr(brightRed, slog.String(slog.LevelKey, "CRT"))
	}
	return a
}

func (h *console) Handle(ctx context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	var stack string
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == stackKey {
			stack = a.Value.String()
		} else {
			line.AddAttrs(a)
		}
		return true
	})
	if err := h.Handler.Handle(ctx, line); err != nil || stack == "" {
		return err
	}
	_, err := io.WriteString(h.w, stack)
	return err
}

func (h *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &console{Handler: h.Handler.WithAttrs(attrs), w: h.w}
}

func (h *console) WithGroup(name string) slog.Handler {
	return &console{Handler: h.Handler.WithGroup(name), w: h.w}
}

// lockedWriter is for the two who write: the handler below and, with stacks, this one.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
