package lock

import (
	"context"
	"testing"

	"earshot.dev/shared/fault"
)

// The first call of a Locker is not taken for its 36th, whose number, 10, begins with the same digit.
func TestNumberBeginsAnother(t *testing.T) {
	l, _ := start(t)
	l.stats.called.Store(35)
	err := l.Hold(t.Context(), "x", Options{}, func(context.Context) error {
		l.stats.called.Store(0)
		return l.Hold(t.Context(), "x", Options{}, func(context.Context) error {
			t.Error("two at once")
			return nil
		})
	})
	if !fault.Is(err, fault.Busy) {
		t.Errorf("got %v, want busy", err)
	}
}
