package session

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/conversation"
)

// The tests of this file are about devices that can't be told apart, since only their source tells which they are.

// Two devices under one name are two because both talk on. One whose client has come back on another socket was heard of
// until a moment before, and its last words may become final only then.
func TestWhoTalksOnIsAnother(t *testing.T) {
	for name, tt := range map[string]struct {
		after     func(old *rig)
		contended int
	}{
		"comes back": {func(old *rig) { old.audio(200 * time.Millisecond) }, 0},
		"another":    {func(old *rig) { old.audio(10 * time.Second) }, 1},
		"its other socket is open still": {func(old *rig) {
			for range 10 {
				pass(time.Second)
				old.frame(true, "\x8a\x00")
			}
		}, 0},
	} {
		for _, n := range []int{0, 1} { // here, and elsewhere
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := newInstances(2)
					old := all.runsOn(t, 0, Params{ID: "s1", Shared: true}, nil)
					old.audio(2 * time.Second)
					again := all.runsOn(t, n, Params{ID: "s2", Shared: true}, old)
					old.ear.say("one.")
					tt.after(old)
					pass(5 * time.Second)
					if closed := old.session.stopping.Err() != nil; closed != (tt.contended > 0) {
						t.Errorf("the older one was put out: %v", closed)
					}
					old.session.Stop(ClientGone)
					<-old.reason
					again.stops()
					again.stored("one.")
					if got := old.store.contended; got != tt.contended {
						t.Errorf("put out %d times, want %d", got, tt.contended)
					}
				})
			})
		}
	}
}

// A session that was put out in mid stream says so once. Twice would mean that there are two devices.
func TestPutOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		older := startWith(t, Params{ID: "s1", Shared: true}, 1, nil)
		older.audio(2 * time.Second)
		older.ear.say("one.")
		newer := startWith(t, Params{ID: "s2", Shared: true}, 1, older)
		pass(100 * time.Millisecond)
		older.ear.say("two.")
		older.audio(2 * time.Second)
		older.ended(Superseded)
		newer.session.Stop(Drained)
		newer.ended(Drained)
		older.store.mu.Lock()
		defer older.store.mu.Unlock()
		if d := older.store.devices["d"]; len(d.ContendedAt) != 1 || d.Split {
			t.Errorf("put out at %v, split %v; want once", d.ContendedAt, d.Split)
		}
	})
}

// A session that finds a newer one only when its client is gone was not put out: the client came back.
func TestComeBackIsNoContention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		older := startWith(t, Params{ID: "s1", Shared: true}, 1, nil)
		older.audio(2 * time.Second)
		older.store.setHook(func(c conversation.Conversation, apply func() error) error {
			pass(500 * time.Millisecond)
			return apply()
		})
		close(older.line.in)
		pass(200 * time.Millisecond)
		newer := startWith(t, Params{ID: "s2", Shared: true}, 1, older)
		older.ended(ClientGone)
		newer.session.Stop(Drained)
		newer.ended(Drained)
		older.store.mu.Lock()
		defer older.store.mu.Unlock()
		if d := older.store.devices["d"]; len(d.ContendedAt) > 0 {
			t.Errorf("put out at %v, want never", d.ContendedAt)
		}
	})
}

// device connects again whenever it is put out, and does something each second, until a time. It gives when it was put out.
func (all *instances) device(t *testing.T, name string, with *rig, until time.Time, do func(r *rig)) (out []time.Time) {
	for n := 0; time.Now().Before(until); n++ {
		r := all.runsOn(t, n%len(all.registries), Params{ID: fmt.Sprintf("%s%d", name, n), Shared: true}, with)
		for r.session.stopping.Err() == nil {
			if !time.Now().Before(until) {
				r.session.Stop(ClientClosed)
				break
			}
			do(r)
		}
		if why := <-r.reason; why == Superseded {
			out = append(out, time.Now())
		} else if why != ClientClosed {
			t.Errorf("%s: ended as %s", name, why.Name)
		}
		pass(time.Second)
	}
	return out
}

// Whatever two of them do, they come to live side by side: after a few minutes nobody is put out any more. All is stored that
// either said.
func TestTwoUnderOneNameComeToRest(t *testing.T) {
	var said atomic.Int64
	says := func(r *rig) {
		if r.session.stopping.Err() == nil {
			r.ear.say("word.")
			said.Add(1)
		}
	}
	sends := func(r *rig, packet string) { // a tenth of what there is in a second
		for range 5 {
			r.frame(true, packet)
			pass(200 * time.Millisecond)
		}
	}
	does := map[string]func(r *rig){
		"keeps silent":  func(r *rig) { pass(time.Second); r.frame(true, "\x8a\x00") },
		"sends silence": func(r *rig) { sends(r, "silence") },
		"talks":         func(r *rig) { sends(r, "packet"); says(r) },
		"talks now and then": func(r *rig) {
			sends(r, "packet")
			says(r)
			for range 170 {
				if r.session.stopping.Err() == nil {
					r.frame(true, "\x8a\x00")
					pass(time.Second)
				}
			}
		},
	}
	for a, doA := range does {
		for b, doB := range does {
			if b < a {
				continue // it is the same two
			}
			t.Run(a+", "+b, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := newInstances(2)
					store := newRig(t)
					began := time.Now()
					until, rest := began.Add(25*time.Minute), began.Add(13*time.Minute)
					var running sync.WaitGroup
					for name, do := range map[string]func(r *rig){"a": doA, "b": doB} {
						running.Go(func() {
							out := all.device(t, name, store, until, do)
							if len(out) > 4 || len(out) > 0 && out[len(out)-1].After(rest) {
								t.Errorf("%s was put out %d times, the last after %v", name, len(out), out[len(out)-1].Sub(began))
							}
						})
					}
					running.Wait()
					if got := int64(len(slices.Concat(store.store.words()...))); got != said.Swap(0) {
						t.Errorf("%d words are stored", got)
					}
				})
			})
		}
	}
}

// One that was left alone when its conversation had become the other's begins one with its next words, and has the device.
func TestSpeaksAgainUnderOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(2)
		old := all.runsOn(t, 0, Params{ID: "s1", Shared: true}, nil)
		said(old)
		again := all.runsOn(t, 1, Params{ID: "s2", Shared: true}, old)
		for range 150 { // the conversation ends by silence
			pass(time.Second)
			old.frame(true, "\x8a\x00")
			again.frame(true, "\x8a\x00")
		}
		said(old)
		said(old)
		if old.session.stopping.Err() != nil || old.store.contended > 0 {
			t.Error("the one that speaks was put out")
		}
		old.store.mu.Lock()
		if d := old.store.devices["d"]; d.SessionID != "s1" || d.ConversationID != "c2" {
			t.Errorf("the device is %+v, want the one that speaks", d)
		}
		old.store.mu.Unlock()
		old.stops()
		again.stops()
		again.stored("word.", "word. word.")
		if c := old.store.get("c2"); c.Status != conversation.Live {
			t.Errorf("it is %s", c.Status)
		}
	})
}

// One that has a slot of its own stays in it, however silent those in the others are.
func TestStaysInItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(2)
		one := newRig(t)
		one.store.devices["d"] = conversation.Device{Split: true}
		one = all.runsOn(t, 0, Params{ID: "s1", Shared: true}, one)
		said(one)
		two := all.runsOn(t, 1, Params{ID: "s2", Shared: true}, one)
		said(two)
		for range 95 { // now the first is taken for gone, and its conversation could go on
			pass(time.Second)
			one.frame(true, "\x8a\x00")
			two.frame(true, "\x8a\x00")
		}
		two.frame(false, `{"type":"end"}`)
		pass(2 * time.Second)
		said(two)
		said(one)
		if one.store.contended > 0 {
			t.Error("one put out the other")
		}
		one.stops()
		two.stops()
		one.stored("word. word.", "word.", "word.")
	})
}

// One that talks isn't put out for a newer one that is over.
func TestNewerOneIsOver(t *testing.T) {
	for name, over := range map[string]func(again *rig){
		"it ends the conversation": func(again *rig) { again.frame(false, `{"type":"end"}`) },
		"its client goes": func(again *rig) {
			again.session.Stop(ClientClosed)
			again.ended(ClientClosed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := newInstances(2)
				old := all.runsOn(t, 0, Params{ID: "s1", Shared: true}, nil)
				said(old)
				again := all.runsOn(t, 1, Params{ID: "s2", Shared: true}, old)
				again.audio(time.Second)
				again.ear.say("new.")
				pass(2 * time.Second)
				old.audio(time.Second)
				old.ear.say("one.")
				old.audio(time.Second)
				over(again)
				for range 10 {
					old.audio(time.Second)
					old.ear.say("on.")
				}
				if old.session.stopping.Err() != nil || old.store.contended > 0 {
					t.Error("it was put out")
				}
				old.stops()
				if got := len(slices.Concat(old.store.words()...)); got != 13 {
					t.Errorf("%d words are stored, want 13", got)
				}
				again.session.Stop(ClientClosed)
			})
		})
	}
}

// What is said of words goes where they are, though the other has the conversation by now.
func TestNamedAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newInstances(2)
		old := all.runsOn(t, 0, Params{ID: "s1", Shared: true}, nil)
		said(old)
		segment := old.first("c1").ID
		for range 50 {
			old.frame(true, "silence")
			pass(20 * time.Millisecond)
		}
		again := all.runsOn(t, 1, Params{ID: "s2", Shared: true}, old)
		var reads int
		for n := range 40 {
			said(again)
			old.frame(true, "\x8a\x00")
			if n == 20 { // it has found the newer one, and stored what it had counted
				old.store.mu.Lock()
				reads = old.store.reads
				old.store.mu.Unlock()
			}
		}
		old.store.mu.Lock()
		if got := old.store.reads - reads; got > 1 { // whether it has been silent for two minutes
			t.Errorf("the store was read %d times by who stands aside, want once", got)
		}
		old.store.mu.Unlock()
		old.frame(false, fmt.Sprintf(`{"type":"speaker_assigned","speaker_id":0,"person_id":"p","person_name":"Ada","segment_ids":[%q]}`, segment))
		pass(3 * time.Second)
		if old.session.stopping.Err() != nil {
			t.Error("it was put out")
		}
		if got := old.first("c1").PersonID; got != "p" {
			t.Errorf("it is of %q, want p", got)
		}
		old.stops()
		again.stops()
		if got := old.counted("c1").AudioMS; got != 42*1000 {
			t.Errorf("counted %d ms of audio, want 42 s", got)
		}
	})
}
