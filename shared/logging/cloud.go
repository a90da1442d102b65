package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// The fields that Cloud Logging takes out of a line.
// https://cloud.google.com/logging/docs/agent/logging/configuration#special-fields
const (
	labelsField = `"logging.googleapis.com/labels":{`
	traceField  = `"logging.googleapis.com/trace":`
	spanField   = `"logging.googleapis.com/spanId":`
	sourceField = `"logging.googleapis.com/sourceLocation":{"file":`
)

// reportedError has Error Reporting take a line for an error, whatever its fields.
const reportedError = `"@type":"type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"`

// cloud is a slog.Handler for Cloud Logging. It is not slog.JSONHandler, which can rename its fields only by
// ReplaceAttr, at half as much again for each line. Whatever is bound is encoded once, when it is bound.
type cloud struct {
	out     *output
	level   slog.Level
	project string
	report  []byte // ,"@type":...,"serviceContext":{...}: of critical lines

	trace  []byte   // ,"logging.googleapis.com/trace":...,"logging.googleapis.com/spanId":...
	labels []byte   // ,"uid":"u1","session_id":"s1": members
	fields []byte   // ,"a":1,"group":{"b":2: members, with depth groups still open
	depth  int      // groups opened in fields
	groups []string // groups that are to be opened when there is something in them
}

// output is what all handlers of a logger share.
type output struct {
	buffers sync.Pool // of *[]byte
	sources sources
	mu      sync.Mutex // held while w is written to
	w       io.Writer
}

func newCloud(w io.Writer, cfg Config, service string) *cloud {
	out := &output{w: w}
	out.buffers.New = func() any { b := make([]byte, 0, 1024); return &b }
	report := append([]byte{','}, reportedError...)
	report = append(report, `,"serviceContext":{"service":`...)
	report = appendString(report, service)
	if cfg.Version != "" {
		report = append(report, `,"version":`...)
		report = appendString(report, cfg.Version)
	}
	return &cloud{out: out, level: cfg.Level, project: cfg.Project, report: append(report, '}')}
}

func (h *cloud) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *cloud) Handle(_ context.Context, r slog.Record) error {
	pooled := h.out.buffers.Get().(*[]byte)
	b := (*pooled)[:0]
	b = append(b, `{"severity":"`...)
	b = append(b, severity(r.Level)...)
	b = append(b, '"')
	if !r.Time.IsZero() {
		b = append(b, `,"time":"`...)
		b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, '"')
	}
	b = append(b, `,"message":`...)
	b = appendString(b, r.Message)
	b = append(b, h.trace...)
	if len(h.labels) > 0 {
		b = append(b, ',')
		b = append(b, labelsField...)
		b = append(b, h.labels[1:]...)
		b = append(b, '}')
	}
	b = h.out.sources.append(b, r.PC)
	if r.Level >= LevelCritical {
		b = append(b, h.report...)
	}
	b = h.appendFields(b, r)
	b = append(b, "}\n"...)

	h.out.mu.Lock()
	_, err := h.out.w.Write(b)
	h.out.mu.Unlock()
	const keep = 16 << 10 // bytes; one long line should not be held on to
	if cap(b) <= keep {
		*pooled = b
		h.out.buffers.Put(pooled)
	}
	return err
}

// appendFields adds what was bound and what the record brings, and closes the groups that are open.
func (h *cloud) appendFields(b []byte, r slog.Record) []byte {
	b = append(b, h.fields...)
	depth, before := h.depth, len(b)
	if r.NumAttrs() > 0 {
		b = appendGroups(b, h.groups)
		opened := len(b)
		r.Attrs(func(a slog.Attr) bool {
			b = appendMember(b, a)
			return true
		})
		if len(b) == opened {
			b = b[:before] // nothing in them
		} else {
			depth += len(h.groups)
		}
	}
	for range depth {
		b = append(b, '}')
	}
	return b
}

func (h *cloud) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := appendGroups(slices.Clip(h.fields), h.groups)
	opened := len(fields)
	for _, a := range attrs {
		fields = appendMember(fields, a)
	}
	if len(fields) == opened {
		return h
	}
	bound := *h
	bound.fields, bound.depth, bound.groups = fields, h.depth+len(h.groups), nil
	return &bound
}

func (h *cloud) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	bound := *h
	bound.groups = append(slices.Clip(h.groups), name)
	return &bound
}

func (h *cloud) withLabels(attrs []slog.Attr) slog.Handler {
	bound := *h
	bound.labels = slices.Clip(h.labels)
	for _, a := range attrs {
		// Labels are strings, whatever the kind.
		bound.labels = appendMember(bound.labels, slog.String(a.Key, a.Value.Resolve().String()))
	}
	return &bound
}

func (h *cloud) withTrace(traceID, spanID string) slog.Handler {
	if h.project != "" {
		traceID = "projects/" + h.project + "/traces/" + traceID
	}
	bound := *h
	bound.trace = append([]byte{','}, traceField...)
	bound.trace = appendString(bound.trace, traceID)
	bound.trace = append(bound.trace, ',')
	bound.trace = append(bound.trace, spanField...)
	bound.trace = appendString(bound.trace, spanID)
	return &bound
}

// severity is the name of a LogSeverity.
func severity(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "DEBUG"
	case level < slog.LevelWarn:
		return "INFO"
	case level < slog.LevelError:
		return "WARNING"
	case level < LevelCritical:
		return "ERROR"
	default:
		return "CRITICAL"
	}
}
