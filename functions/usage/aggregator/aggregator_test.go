package aggregator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/usage"
)

// ledger counts as the store does, for one user.
type ledger struct {
	hours map[string]usage.Counter
	calls int
	err   error
}

func (l *ledger) RecordUsage(_ context.Context, _, cid string, hours usage.Hours) (more usage.Totals, err error) {
	l.calls++
	if l.err != nil {
		return more, l.err
	}
	for hour, t := range hours {
		if l.hours[hour] == nil {
			l.hours[hour] = usage.Counter{}
		}
		more = more.Add(l.hours[hour].Report(cid, t))
	}
	return more, nil
}

func newAggregator() (*Aggregator, *ledger, *[]string) {
	held := &[]string{}
	store := &ledger{hours: map[string]usage.Counter{}}
	return &Aggregator{Store: store, Hold: func(ctx context.Context, name string, fn func(context.Context) error) error {
		*held = append(*held, name)
		return fn(ctx)
	}}, store, held
}

func TestRecord(t *testing.T) {
	a, store, held := newAggregator()
	c := conversation.Conversation{ID: "c", UpdateTime: time.Unix(1, 0)}
	for _, words := range []int64{3, 8, 8, 5} { // the last came late
		e, err := event.OfUsage("u", &c, usage.Hours{"2026-11-23T10": {AudioMS: 10 * words, Words: words}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]usage.Counter{"2026-11-23T10": {"c": {AudioMS: 80, Words: 8}}}
	if diff := cmp.Diff(want, store.hours); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"usage:u", "usage:u", "usage:u", "usage:u"}, *held); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsTravel(t *testing.T) {
	a, store, _ := newAggregator()
	store.err = fault.New(fault.Unavailable, "commit", errors.New("down"))
	e := event.Event{Data: []byte(`{"uid":"u","conversation_id":"c","hours":{"2026-11-23T10":{"words":1}}}`)}
	if err := a.Record(t.Context(), e); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	a.Hold = func(context.Context, string, func(context.Context) error) error {
		return fault.Newf(fault.Busy, "lock", "held")
	}
	if err := a.Record(t.Context(), e); !fault.Is(err, fault.Busy) || store.calls != 1 {
		t.Errorf("got %v after %d calls, want busy and no second call", err, store.calls)
	}
}

var garbage = []string{
	``, `null`, `[]`, `{}`, `{"uid":"u"}`,
	`{"uid":"u","conversation_id":"c"}`,
	`{"uid":"u","conversation_id":"c","hours":{}}`,
	`{"uid":"","conversation_id":"c","hours":{"2026-11-23T10":{"words":1}}}`,
	`{"uid":"u/x","conversation_id":"c","hours":{"2026-11-23T10":{"words":1}}}`,
	`{"uid":"u","conversation_id":"c","hours":{"2026-11-23":{"words":1}}}`,
	`{"uid":"u","conversation_id":"c","hours":{"2026-11-23T5":{"words":1}}}`,
	`{"uid":"u","conversation_id":"c","hours":{"2026-11-23T24":{"words":1}}}`,
	`{"uid":"u","conversation_id":"c","hours":{"../../x":{"words":1}}}`,
	`{"uid":"u","conversation_id":"c","hours":{"2026-11-23T10":{"words":-1}}}`,
	`{"uid":"u","conversation_id":"c","hours":{"2026-11-23T10":{"words":"many"}}}`,
}

func TestGarbageIsInvalid(t *testing.T) {
	for _, data := range garbage {
		a, store, _ := newAggregator()
		if err := a.Record(t.Context(), event.Event{Data: []byte(data)}); !fault.Is(err, fault.Invalid) || store.calls != 0 {
			t.Errorf("%s: got %v after %d calls, want invalid before any", data, err, store.calls)
		}
	}
}

// Whatever an event holds, it is refused, or counted under hours that Hour makes.
func FuzzRecord(f *testing.F) {
	for _, data := range garbage {
		f.Add([]byte(data))
	}
	f.Add([]byte(`{"uid":"u","conversation_id":"c","hours":{"2026-11-23T10":{"audio_ms":1,"speech_ms":2,"words":3}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, store, _ := newAggregator()
		err := a.Record(t.Context(), event.Event{Data: data})
		if err != nil && (!fault.Is(err, fault.Invalid) || store.calls != 0) {
			t.Errorf("%q: %v after %d calls", data, err, store.calls)
		}
		for hour := range store.hours {
			at, parseErr := time.Parse("2006-01-02T15", hour)
			if parseErr != nil || usage.Hour(at) != hour {
				t.Errorf("%q: counted under %q", data, hour)
			}
		}
	})
}
