package session

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The tests of this file are about a newer session on another instance, of which an older one is told, since it would write
// nothing from which it would see it.

// instances are registries that hear of each other.
type instances struct {
	registries []*Registry
	err        error // of telling

	mu   sync.Mutex
	late [][]byte // not nil: what is told waits there
}

func newInstances(n int) *instances {
	all := &instances{}
	for range n {
		all.registries = append(all.registries, NewRegistry(100, 100, all))
	}
	return all
}

// Send takes a moment, in which whoever tells may have other things to do.
func (all *instances) Send(ctx context.Context, m []byte) error {
	pass(time.Millisecond)
	if err := ctx.Err(); err != nil {
		return err
	}
	all.mu.Lock()
	late := all.late != nil
	if late {
		all.late = append(all.late, m)
	}
	all.mu.Unlock()
	if !late && all.err == nil {
		all.deliver(ctx, m)
	}
	return all.err
}

func (all *instances) deliver(ctx context.Context, m []byte) {
	for _, r := range all.registries {
		r.Heard(ctx, m)
	}
}

// held is what was told, and waits.
func (all *instances) held() [][]byte {
	all.mu.Lock()
	defer all.mu.Unlock()
	return slices.Clone(all.late)
}

// runsOn runs a session on the n-th of the instances.
func (all *instances) runsOn(t *testing.T, n int, p Params, with *rig) *rig {
	t.Helper()
	r := newRigWith(t, with)
	r.instance = all.registries[n]
	r.run(p, r.line, []Decoder{&babbler{}}, r.ear, r.board)
	pass(100 * time.Millisecond)
	return r
}

// A session that has nothing to store ends at once all the same when its device comes to another instance.
func TestSilentAndTakenOverElsewhere(t *testing.T) {
	for name, tt := range map[string]struct {
		params Params
		before func(old *rig)
		within time.Duration
	}{
		"nothing was said yet":    {Params{}, func(*rig) {}, time.Second},
		"nobody speaks":           {Params{}, said, time.Second},
		"between conversations":   {Params{}, func(r *rig) { said(r); r.frame(false, `{"type":"end"}`); pass(2 * time.Second) }, time.Second},
		"numbered":                {Params{Numbered: true}, func(*rig) { pass(time.Minute) }, time.Second},
		"its client recognises":   {Params{CustomSTT: true}, func(*rig) { pass(time.Minute) }, time.Second},
		"its recogniser is stuck": {Params{}, func(r *rig) { r.ear.mute = true }, endWithin + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := newInstances(2)
				p := tt.params
				p.ID = "s1"
				old := all.runsOn(t, 0, p, nil)
				tt.before(old)
				reads := old.store.reads
				p.ID = "s2"
				again := all.runsOn(t, 1, p, old)
				began := time.Now()
				old.ended(Superseded)
				if took := time.Since(began); took > tt.within {
					t.Errorf("it took %v, want %v at most", took, tt.within)
				}
				if got := old.store.reads - reads; got > 1 { // who hands something in may have to look where
					t.Errorf("the store was read %d times", got)
				}
				again.stops()
			})
		})
	}
}

func said(r *rig) {
	r.audio(time.Second)
	r.ear.say("word.")
	pass(5 * time.Second)
}

// Words that the older one has taken in when it hears of the newer one are stored, each once.
func TestTakenOverElsewhereInMidWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(2)
		old := all.runsOn(t, 0, Params{ID: "s1"}, nil)
		said(old)
		old.audio(500 * time.Millisecond)
		old.ear.say("two.")
		old.audio(500 * time.Millisecond)
		old.ear.murmur("three.")
		again := all.runsOn(t, 1, Params{ID: "s2"}, old)
		old.ended(Superseded)
		again.audio(time.Second)
		again.ear.say("four.")
		again.stops()
		again.stored("word. two. three. four.")
	})
}

// Who attaches only to hand in its last words takes nothing over.
func TestLastWordsAreNoTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(2)
		all.late = [][]byte{}
		old := all.runsOn(t, 0, Params{ID: "s1"}, nil)
		said(old)
		again := all.runsOn(t, 1, Params{ID: "s2"}, old)
		again.frame(false, `{"type":"end"}`)
		pass(2 * time.Second)
		again.audio(time.Second)
		again.ear.say("next.")
		pass(2 * time.Second)
		old.audio(time.Second)
		old.ear.say("last.")
		old.ended(Superseded)
		again.stops()
		again.stored("word.", "next. last.")
		if got := len(all.held()); got != 3 {
			t.Errorf("told %d times, want 3: by the first, and by the second for each of its conversations", got)
		}
	})
}

// What is told comes twice, late and in any order, and some of it is rubbish, or of others. Only what is newer ends a session.
func TestTakeoversAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(3)
		all.late = [][]byte{}
		first := all.runsOn(t, 0, Params{ID: "s1"}, nil)
		second := all.runsOn(t, 1, Params{ID: "s2"}, first)
		third := all.runsOn(t, 2, Params{ID: "s3"}, first)
		told := all.held()
		if len(told) != 3 {
			t.Fatalf("told %d times, want 3", len(told))
		}
		for _, m := range []string{
			"", "garbage", "null", `{"uid":7}`, `{"uid":"u"}`, `{"uid":"u","device":"d","slot":"d","session_id":"s9"}`,
			`{"uid":"v","device":"d","slot":"d","session_id":"s9","generation":99}`,
			`{"uid":"u","device":"e","slot":"d","session_id":"s9","generation":99}`,
			`{"uid":"u","device":"d","slot":"d~2","session_id":"s9","generation":99}`,
		} {
			all.deliver(t.Context(), []byte(m))
		}
		for _, n := range []int{2, 0, 1, 1, 2, 0} {
			all.deliver(t.Context(), told[n])
		}
		first.ended(Superseded)
		second.ended(Superseded)
		pass(time.Minute)
		third.stops()
	})
}

// Who can't be told finds out with the next words.
func TestTakeoverIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(2)
		all.err = errDown
		old := all.runsOn(t, 0, Params{ID: "s1"}, nil)
		again := all.runsOn(t, 1, Params{ID: "s2"}, old)
		pass(time.Minute)
		if old.session.stopping.Err() != nil {
			t.Error("how does it know?")
		}
		old.audio(time.Second)
		old.ear.say("one.")
		old.ended(Superseded)
		again.stops()
		again.stored("one.")
	})
}

// A session may hear of a newer one before it knows that it is attached itself.
func TestTakenOverBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(2)
		old := newRig(t)
		old.instance = all.registries[0]
		old.startTardily(Params{ID: "s1"}, true)
		again := all.runsOn(t, 1, Params{ID: "s2"}, old)
		pass(3 * time.Second)
		old.ended(Superseded)
		again.stops()
	})
}
