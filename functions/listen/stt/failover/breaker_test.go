package failover_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/stttest"
)

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// turn opens a stream, and closes it after a word.
func turn(t *testing.T, r stt.Recognizer) {
	t.Helper()
	c := start(t, t.Context(), r)
	c.say(1, 1)
	c.hangUp()
}

func repeat(n int, plan stttest.Plan) []stttest.Plan {
	plans := make([]stttest.Plan, n)
	for i := range plans {
		plans[i] = plan
	}
	return plans
}

func TestBreaker(t *testing.T) {
	refuse := func(f stt.Failure) stttest.Plan { return stttest.Plan{Fault: stttest.Refuse, Failure: f} }
	tests := []struct {
		name  string
		plan  stttest.Plan
		opens int // of ten streams, before the breaker opens
	}{
		{"wrong key", refuse(stt.Credentials), 1},
		{"unavailable", refuse(stt.Unavailable), 5},
		{"over quota", refuse(stt.Quota), 5},
		{"breaks at the first word", stttest.Plan{Fault: stttest.Die, After: 50 * time.Millisecond}, 5},
		{"says rubbish", stttest.Plan{Fault: stttest.Babble, After: 50 * time.Millisecond}, 5},
		{"what is asked for is wrong", refuse(stt.Rejected), 10},
		{"language not spoken after all", refuse(stt.UnsupportedLanguage), 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := named("first", repeat(10, test.plan)...)
				r := join(t, failover.Options{Pause: time.Minute}, first, named("second"))
				for range 10 {
					turn(t, r)
				}
				if got := first.Opened(); got != test.opens {
					t.Errorf("opened %d times, want %d", got, test.opens)
				}
			})
		})
	}
}

func TestBreakerTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", repeat(2, stttest.Plan{Fault: stttest.Refuse, Failure: stt.Credentials})...)
		r := join(t, failover.Options{Pause: time.Minute}, first, named("second"))
		for i, want := range []int{1, 1, 2, 2, 3, 4} { // refused, open, refused, open, good, good
			turn(t, r)
			if got := first.Opened(); got != want {
				t.Errorf("stream %d: opened %d times, want %d", i+1, got, want)
			}
			if i == 1 || i == 3 {
				pass(time.Minute)
			}
		}
	})
}

// While one stream tries whether a recogniser is back, the others don't; and one on which nobody speaks tries it too.
func TestOneTriesForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Refuse, Failure: stt.Credentials})
		r := join(t, failover.Options{Pause: time.Minute}, first, named("second"))
		turn(t, r)
		pass(time.Minute + time.Second)
		idle := start(t, t.Context(), r)
		turn(t, r)
		if got := first.Opened(); got != 2 {
			t.Errorf("opened %d times while one tries, want 2", got)
		}
		pass(2 * time.Second)
		turn(t, r)
		if got := first.Opened(); got != 3 {
			t.Errorf("opened %d times after it was found good, want 3", got)
		}
		idle.hangUp()
	})
}

// Who hangs up before a recogniser could show anything says nothing against it.
func TestHangingUpIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first")
		r := join(t, failover.Options{}, first, named("second"))
		for range 10 {
			stream, err := r.Open(t.Context(), options)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			if err := stream.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if got := first.Opened(); got != 10 {
			t.Errorf("opened %d times, want 10", got)
		}
		first.Plan(stttest.Plan{Fault: stttest.Refuse, Failure: stt.Credentials})
		turn(t, r)
		pass(time.Minute)
		for range 3 { // one at a time may try, and hanging up leaves the next one to
			stream, err := r.Open(t.Context(), options)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			if err := stream.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if got := first.Opened(); got != 14 {
			t.Errorf("opened %d times, want 14", got)
		}
	})
}

// Streams that were good when they were opened count when they fall silent, and don't when their connection breaks.
func TestBreakerAndLateFailures(t *testing.T) {
	for fault, more := range map[stttest.Fault]int{stttest.Mute: 0, stttest.Babble: 0, stttest.Die: 1, stttest.Leave: 1} {
		synctest.Test(t, func(t *testing.T) {
			first := named("first", repeat(5, stttest.Plan{Fault: fault, After: 5 * time.Second})...)
			r := join(t, failover.Options{Pause: time.Minute}, first, named("second"))
			var calls []*call
			for range 5 {
				calls = append(calls, start(t, t.Context(), r))
			}
			for _, c := range calls {
				c.listening.Go(func() { c.say(1, 30) })
			}
			pass(12 * time.Second)
			opened := first.Opened()
			turn(t, r)
			if got := first.Opened(); got != opened+more || opened != 5 {
				t.Errorf("fault %d: opened %d times before and %d after, want 5 and %d", fault, opened, got, 5+more)
			}
			for _, c := range calls {
				c.heard(1, 30)
			}
		})
	}
}
