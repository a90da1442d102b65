package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// eventOmitted says how many lines of an event were left out within a second.
const eventOmitted = "log_lines_omitted"

// maxNames is how many events are told apart. There are fewer; what a library words anew each time would grow without
// end.
const maxNames = 1000

// thinned keeps a flood of lines that say the same from costing more than they tell. Warnings and errors all pass.
type thinned struct {
	slog.Handler

	flood *flood
}

func newThinned(next *cloud, burst, keep int) *thinned {
	return &thinned{next, &flood{next: next, burst: burst, keep: max(keep, 1), windows: make(map[string]*window)}}
}

func (h *thinned) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn && !h.flood.passes(r.Message, time.Now()) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *thinned) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &thinned{h.Handler.WithAttrs(attrs), h.flood}
}

func (h *thinned) WithGroup(name string) slog.Handler {
	return &thinned{h.Handler.WithGroup(name), h.flood}
}

func (h *thinned) withLabels(attrs []slog.Attr) slog.Handler {
	return &thinned{h.Handler.(binder).withLabels(attrs), h.flood}
}

func (h *thinned) withTrace(traceID, spanID string) slog.Handler {
	return &thinned{h.Handler.(binder).withTrace(traceID, spanID), h.flood}
}

// flood is what all handlers of a logger know of what was written.
type flood struct {
	next        slog.Handler // says what was left out
	burst, keep int

	mu      sync.Mutex
	windows map[string]*window // by the name of the event
}

// window is a second in which lines of an event come. What it left out is told a second after the first of it.
type window struct {
	began         time.Time
	seen, omitted int
}

// passes reports whether a line is to be written.
func (f *flood) passes(event string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.windows[event]
	if w == nil {
		if len(f.windows) >= maxNames {
			return true
		}
		w = &window{began: now}
		f.windows[event] = w
	}
	if now.Sub(w.began) >= time.Second {
		w.began, w.seen = now, 0
	}
	w.seen++
	if over := w.seen - f.burst; over <= 0 || over%f.keep == 0 {
		return true
	}
	if w.omitted == 0 {
		time.AfterFunc(time.Second, func() { f.tell(event, w) })
	}
	w.omitted++
	return false
}

func (f *flood) tell(event string, w *window) {
	f.mu.Lock()
	omitted := w.omitted
	w.omitted = 0
	f.mu.Unlock()
	r := slog.NewRecord(time.Now(), slog.LevelInfo, eventOmitted, 0)
	r.AddAttrs(slog.String("event", event), slog.Int("omitted", omitted))
	_ = f.next.Handle(context.Background(), r) // as slog does: there is nowhere left to tell
}
