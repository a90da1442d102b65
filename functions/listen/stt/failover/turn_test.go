package failover_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/stttest"
)

// A server that restarts cuts all streams at once, and takes them again at once.
func TestAllAreCutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions = 50
		only := named("only", repeat(sessions, stttest.Plan{Fault: stttest.Die, After: 6 * time.Second})...)
		log := &logs{}
		r := join(t, failover.Options{}, only)
		var calls []*call
		for range sessions {
			calls = append(calls, start(t, log.context(t), r))
		}
		var speaking sync.WaitGroup
		for _, c := range calls {
			speaking.Go(func() { c.say(1, 40) })
		}
		speaking.Wait()
		for _, c := range calls {
			c.heard(1, 40)
		}
		if got := only.Opened(); got != 2*sessions {
			t.Errorf("opened %d times, want %d", got, 2*sessions)
		}
	})
}

// trip opens the breaker of a recogniser that has nobody beside it.
func trip(t *testing.T, r stt.Recognizer) {
	t.Helper()
	for range 5 {
		if _, err := r.Open(t.Context(), options); err == nil {
			t.Fatal("Open: no error")
		}
	}
}

// openAtOnce opens streams at the same time, closes those that it gets, and gives how many they are, and the errors.
func openAtOnce(ctx context.Context, r stt.Recognizer, n int) (good int, errs []error) {
	var mu sync.Mutex
	var opening sync.WaitGroup
	for range n {
		opening.Go(func() {
			stream, err := r.Open(ctx, options)
			if err == nil {
				err = stream.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			} else {
				good++
			}
		})
	}
	opening.Wait()
	return good, errs
}

// Where there is nobody else, a breaker that is open keeps nobody from a recogniser that is back.
func TestOnlyOneIsTriedInSpiteOfItsBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := stttest.Plan{Fault: stttest.Refuse, Failure: stt.Unavailable}
		only := named("only", repeat(7, refused)...)
		r := join(t, failover.Options{Pause: time.Hour}, only)
		trip(t, r)
		begin := time.Now()
		good, errs := openAtOnce(t.Context(), r, 50)
		if good != 48 || len(errs) != 2 {
			t.Errorf("%d were opened and %d failed, want all but the 2 that were refused: %v", good, len(errs), errors.Join(errs...))
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The breaker of a second one, which is open, keeps nobody from it either when the first one fails in mid speech.
func TestLastOneIsTriedInSpiteOfItsBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", repeat(6, stttest.Plan{Fault: stttest.Babble, After: 50 * time.Millisecond})...)
		second := named("second", repeat(5, stttest.Plan{Fault: stttest.Babble, After: 50 * time.Millisecond})...)
		r := join(t, failover.Options{Pause: time.Hour}, first, second)
		for range 5 {
			c := start(t, t.Context(), r)
			c.say(1, 1)
			c.hangUp()
		}
		c := start(t, t.Context(), r) // at the first, which says rubbish once more, and then at the second
		c.say(1, 10)
		c.heard(1, 10)
		if first.Opened() != 6 || second.Opened() != 6 {
			t.Errorf("opened %d and %d times, want 6 each", first.Opened(), second.Opened())
		}
	})
}

// One that is down isn't dialled by all who have nobody else, and they are told in time.
func TestOneThatIsDownIsTriedInTurns(t *testing.T) {
	for name, plan := range map[string]stttest.Plan{
		"refuses": {Fault: stttest.Refuse, Failure: stt.Quota},
		"hangs":   {Fault: stttest.Hang},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				only := named("only", repeat(1000, plan)...)
				r := join(t, failover.Options{Pause: time.Hour}, only)
				trip(t, r)
				begin := time.Now()
				_, errs := openAtOnce(t.Context(), r, 50)
				if len(errs) != 50 || time.Since(begin) > 5*time.Second {
					t.Errorf("%d of 50 failed, after %v, want all after 5s", len(errs), time.Since(begin))
				}
				if got := only.Opened() - 5; got < 1 || got > 6 {
					t.Errorf("opened %d times in 5 s, want once a second at most", got)
				}
				for _, err := range errs {
					if errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "only") {
						t.Errorf("Open: %v, want what is wrong with it", err)
					}
				}
			})
		})
	}
}

// Who hangs up while it tries leaves its turn to the next one.
func TestTurnIsLeftToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		only := named("only", append(repeat(5, stttest.Plan{Fault: stttest.Refuse, Failure: stt.Quota}), stttest.Plan{Fault: stttest.Hang})...)
		r := join(t, failover.Options{Pause: time.Hour}, only)
		trip(t, r)
		ctx, cancel := timeout(t, time.Second)
		defer cancel()
		if _, err := r.Open(ctx, options); !errors.Is(err, ctx.Err()) {
			t.Errorf("Open: %v, want %v", err, ctx.Err())
		}
		begin := time.Now()
		if good, errs := openAtOnce(t.Context(), r, 1); good != 1 || time.Since(begin) > 500*time.Millisecond {
			t.Errorf("%d opened after %v, want one at once: %v", good, time.Since(begin), errs)
		}
	})
}
