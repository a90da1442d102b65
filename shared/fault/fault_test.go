package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestKindSurvivesWrapping(t *testing.T) {
	root := errors.New("connection refused at 10.0.0.7")
	err := Wrap("attach", fmt.Errorf("second try: %w", New(Unavailable, "commit", root)))
	if got := KindOf(err); got != Unavailable {
		t.Errorf("kind: got %v, want %v", got, Unavailable)
	}
	if !errors.Is(err, root) {
		t.Error("the root cause is gone from the chain")
	}
	if got, want := err.Error(), "attach: second try: commit: connection refused at 10.0.0.7"; got != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
	if got := ReasonOf(err); got != "unavailable" {
		t.Errorf("reason: got %q, want the kind's name: an address is not for the person at the other end", got)
	}
}

func TestReasonIsForThePerson(t *testing.T) {
	err := Wrap("open", Newf(Unsupported, "decoder", "codec %q can't be decoded at %d Hz", "opus", 7))
	if got, want := ReasonOf(err), `codec "opus" can't be decoded at 7 Hz`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnmarkedErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{errors.New("what"), Internal},
		{fmt.Errorf("load: %w", context.DeadlineExceeded), Unavailable},
		{context.Canceled, Unavailable},
	} {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
	if New(Busy, "x", nil) != nil || Wrap("x", nil) != nil || Escalate(High, nil) != nil || Is(nil, Internal) {
		t.Error("no error became one")
	}
}

func TestEscalate(t *testing.T) {
	err := Wrap("outer", Escalate(Critical, New(Unavailable, "inner", errors.New("x"))))
	if SeverityOf(err) != Critical || KindOf(err) != Unavailable {
		t.Errorf("got %v %v, want critical unavailable", SeverityOf(err), KindOf(err))
	}
}

// No kind may acknowledge a push by accident, and every kind has a row.
func TestTableIsWhole(t *testing.T) {
	for k := Internal; k <= Superseded; k++ {
		if k.String() == "" || k.HTTPStatus() < 400 || k.PushStatus() < 400 || k.CloseCode() < 1001 {
			t.Errorf("kind %d: %q, HTTP %d, push %d, close %d", k, k, k.HTTPStatus(), k.PushStatus(), k.CloseCode())
		}
	}
}
