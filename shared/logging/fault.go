package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"earshot.dev/shared/fault"
)

// stackKey is the field that Error Reporting looks into first.
const stackKey = "stack_trace"

// Error logs a fault where it stops travelling, under the name of the event: its kind, its text with the chain of
// operations, at the level that its severity asks for. A critical one brings a stack, by which Cloud Error Reporting
// groups: that of the panic that it was recovered from, or of the caller. It logs nothing for a nil err.
func Error(ctx context.Context, event string, err error, attrs ...slog.Attr) {
	if err == nil {
		return
	}
	handler, level := From(ctx).Handler(), levelOf(fault.SeverityOf(err))
	if !handler.Enabled(ctx, level) {
		return
	}
	var caller [1]uintptr
	runtime.Callers(2, caller[:])
	record := slog.NewRecord(time.Now(), level, event, caller[0])
	record.AddAttrs(slog.String("kind", fault.KindOf(err).String()), slog.String("error", err.Error()))
	record.AddAttrs(attrs...)
	if level >= LevelCritical {
		stack := callerStack
		if p, ok := errors.AsType[*panicked](err); ok {
			stack = func() string { return p.stack }
		}
		record.AddAttrs(slog.String(stackKey, err.Error()+"\n\n"+stack()))
	}
	_ = handler.Handle(ctx, record) // as slog does: there is nowhere left to tell
}

// Recovered makes a critical fault of what recover gave. Called by the function that recovers, it keeps the stack of
// the panic for Error, which may be called elsewhere. It gives nil for nil.
func Recovered(value any) error {
	if value == nil {
		return nil
	}
	return fault.Escalate(fault.Critical, &panicked{value, callerStack()})
}

type panicked struct {
	value any
	stack string
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func (p *panicked) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

func levelOf(severity fault.Severity) slog.Level {
	switch severity {
	case fault.Low:
		return slog.LevelInfo
	case fault.Medium:
		return slog.LevelWarn
	case fault.High:
		return slog.LevelError
	default:
		return LevelCritical
	}
}

// callerStack is the stack of its caller's caller in the form of runtime/debug.Stack: a header, then two lines a
// frame. https://cloud.google.com/error-reporting/docs/formatting-error-messages
func callerStack() string {
	const ownFrames = 3 // debug.Stack, callerStack, its caller
	lines := strings.SplitAfter(string(debug.Stack()), "\n")
	if len(lines) <= 1+2*ownFrames {
		return strings.Join(lines, "")
	}
	return lines[0] + strings.Join(lines[1+2*ownFrames:], "")
}
