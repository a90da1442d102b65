package failover_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/stttest"
	"earshot.dev/shared/fault"
)

const gap = 2 * time.Second // the longest without an interim word

func TestFirstFailsInMidSpeech(t *testing.T) {
	tests := []struct {
		name  string
		fault stttest.Fault
		log   string
	}{
		{"dies", stttest.Die, "failure=unavailable"},
		{"says nothing any more", stttest.Mute, "failure=stopped"},
		{"says rubbish", stttest.Babble, "failure=malformed"},
		{"takes nothing any more", stttest.Stall, "failure=stopped"},
		{"ends unasked", stttest.Leave, "failure=unavailable"},
	}
	for _, test := range tests {
		for _, after := range []time.Duration{100, 1380, 3170, 5000, 9440} { // ms: in words, between them, behind finals
			for _, skew := range []time.Duration{-50, 0, 50} {
				t.Run(fmt.Sprintf("%s/%d/%d", test.name, after, skew), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						plan := stttest.Plan{Fault: test.fault, After: after * time.Millisecond, Skew: skew * time.Millisecond}
						first, second := named("first", plan), named("second")
						log := &logs{}
						c := start(t, log.context(t), join(t, failover.Options{}, first, second))
						c.say(1, 40)
						c.heard(1, 40)
						if c.longest >= gap {
							t.Errorf("nothing was heard for %v, want less than %v", c.longest, gap)
						}
						want := test.log
						if after < 1000 { // before the first word
							want = strings.Replace(want, "stopped", "silent", 1)
						}
						lines := log.lines("recognizer_failed_over")
						if len(lines) != 1 || !strings.Contains(lines[0], want) || !strings.Contains(lines[0], "next=second") {
							t.Errorf("logged %q, want one line with %s", lines, want)
						}
					})
				})
			}
		}
	}
}

func TestFirstCannotBeOpened(t *testing.T) {
	tests := []struct {
		name string
		plan stttest.Plan
		log  string
	}{
		{"hangs", stttest.Plan{Fault: stttest.Hang}, "failure=unavailable"},
		{"wrong key", stttest.Plan{Fault: stttest.Refuse, Failure: stt.Credentials}, "failure=credentials"},
		{"over quota", stttest.Plan{Fault: stttest.Refuse, Failure: stt.Quota}, "failure=quota"},
		{"rejected", stttest.Plan{Fault: stttest.Refuse, Failure: stt.Rejected}, "failure=rejected"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &logs{}
				c := start(t, log.context(t), join(t, failover.Options{}, named("first", test.plan), named("second")))
				c.say(1, 10)
				c.heard(1, 10)
				if c.longest >= gap {
					t.Errorf("nothing was heard for %v, want less than %v", c.longest, gap)
				}
				if lines := log.lines("recognizer_failed_over"); len(lines) != 1 || !strings.Contains(lines[0], test.log) {
					t.Errorf("logged %q, want one line with %s", lines, test.log)
				}
			})
		})
	}
}

// The second of three can't be opened either, in mid speech.
func TestSecondHangsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Die, After: time.Second})
		second := named("second", stttest.Plan{Fault: stttest.Hang})
		c := start(t, t.Context(), join(t, failover.Options{}, first, second, named("third")))
		c.say(1, 20)
		c.heard(1, 20)
	})
}

// Neither of the first two says anything.
func TestSecondIsSilentToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Mute, After: time.Second})
		second := named("second", stttest.Plan{Fault: stttest.Mute})
		c := start(t, t.Context(), join(t, failover.Options{}, first, second, named("third")))
		c.say(1, 30)
		c.heard(1, 30)
		if c.longest >= 2*gap {
			t.Errorf("nothing was heard for %v, want less than %v", c.longest, 2*gap)
		}
	})
}

// Speech with short pauses, of which less is sent than time goes by, is answered no later: when patience is over there
// is too little of it to be sure, and as soon as there is enough the next one is opened.
func TestSilentWhileLittleIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Mute, After: 2 * time.Second})
		c := start(t, t.Context(), join(t, failover.Options{}, first, named("second")))
		for n := range 40 {
			c.say(n+1, n+1)
			pass(140 * time.Millisecond)
		}
		c.heard(1, 40)
		if c.longest >= 2*time.Second {
			t.Errorf("nothing was heard for %v, want less than 2s", c.longest)
		}
	})
}

// While the first is silent, the second can't be opened for a moment. It is tried again, once, before words are final.
func TestStandbyIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := stttest.Plan{Fault: stttest.Refuse, Failure: stt.Unavailable}
		second := named("second", refused)
		c := start(t, t.Context(), join(t, failover.Options{}, named("first", stttest.Plan{Fault: stttest.Mute, After: time.Second}), second))
		c.say(1, 30)
		c.heard(1, 30)
		if c.longest >= 2*gap {
			t.Errorf("nothing was heard for %v, want less than %v", c.longest, 2*gap)
		}

		second = named("second", refused, refused, refused, refused)
		c = start(t, t.Context(), join(t, failover.Options{}, named("first", stttest.Plan{Fault: stttest.Mute, After: time.Second}), second))
		c.say(1, 20)
		c.hangUp()
		if second.Opened() != 2 {
			t.Errorf("opened %d times while no words became final, want 2", second.Opened())
		}
	})
}

// One that had failed before others made words final may be the one that is left.
func TestFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Refuse, Failure: stt.Unavailable})
		second := named("second", stttest.Plan{Fault: stttest.Mute, After: 7 * time.Second})
		c := start(t, t.Context(), join(t, failover.Options{}, first, second))
		c.say(1, 40)
		c.heard(1, 40)
	})
}

func TestOnlyOneIsOpenedAgainAfterItWasGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		only := named("only", stttest.Plan{Fault: stttest.Die, After: 6 * time.Second}, stttest.Plan{Fault: stttest.Leave, After: 5 * time.Second})
		c := start(t, t.Context(), join(t, failover.Options{}, only))
		c.say(1, 60)
		c.heard(1, 60)
		if only.Opened() != 3 {
			t.Errorf("opened %d times, want 3", only.Opened())
		}
	})
}

func TestNoneIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Die, After: time.Second})
		second := named("second", stttest.Plan{Fault: stttest.Refuse, Failure: stt.Quota})
		third := named("third", stttest.Plan{Fault: stttest.Babble, After: 500 * time.Millisecond})
		c := start(t, t.Context(), join(t, failover.Options{}, first, second, third))
		c.say(1, 20)
		c.hangUp()
		if stt.FailureOf(c.err) != stt.Malformed || !fault.Is(c.err, fault.Unavailable) {
			t.Errorf("got %v, want the last failure, malformed", c.err)
		}
		for _, part := range []string{"unavailable: first", "quota: second", "malformed: third"} {
			if !strings.Contains(c.err.Error(), part) {
				t.Errorf("%v doesn't tell of %q", c.err, part)
			}
		}
		if _, err := c.stream.Recv(t.Context()); !errors.Is(err, c.err) {
			t.Errorf("the second time: %v, want the same", err)
		}
		if err := c.stream.Send(t.Context(), stttest.Word(1)); err == nil {
			t.Error("Send to a stream that has failed: no error")
		}
	})
}

func TestNoneCanBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := stttest.Plan{Fault: stttest.Refuse, Failure: stt.Credentials}
		r := join(t, failover.Options{}, named("first", refused), named("second", refused))
		for try := range 2 { // the second time the breakers refuse
			_, err := r.Open(t.Context(), options)
			if err == nil || !strings.Contains(err.Error(), "first") || !strings.Contains(err.Error(), "second") {
				t.Fatalf("Open: %v, want what is wrong with both", err)
			}
			if want := []stt.Failure{stt.Credentials, stt.Unavailable}[try]; stt.FailureOf(err) != want {
				t.Errorf("Open: %v, want %v", err, want)
			}
		}
		if _, err := r.Open(t.Context(), stt.Options{Language: "en"}); stt.FailureOf(err) != stt.Rejected {
			t.Errorf("without a sample rate: %v, want %v", err, stt.Rejected)
		}
	})
}

// Pauses, in which nothing is sent, and finalized stretches are carried over.
func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Die, After: 7 * time.Second}, stttest.Plan{Fault: stttest.Mute, After: 4 * time.Second})
		second := named("second", stttest.Plan{Fault: stttest.Babble, After: 5 * time.Second})
		log := &logs{}
		c := start(t, log.context(t), join(t, failover.Options{}, first, second))
		for n := 1; n <= 96; n += 8 {
			c.say(n, n+7)
			c.rest(20 * time.Second)
		}
		c.heard(1, 96)
		if n := len(log.lines("recognizer_failed_over")); n != 3 {
			t.Errorf("%d failures, want 3", n)
		}
	})
}

// The answer to Finalize is lost with the recogniser: the next one is asked again, or the words would wait for the
// next speech.
func TestFinalizeIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Die, After: 1200 * time.Millisecond})
		c := start(t, t.Context(), join(t, failover.Options{}, first, named("second")))
		c.say(1, 4)
		if err := c.stream.Finalize(t.Context()); err != nil {
			t.Errorf("Finalize: %v", err)
		}
		pass(3 * time.Second)
		synctest.Wait()
		if got, want := strings.Join(c.finals, " "), words(1, 4); got != want {
			t.Errorf("final 3 s after Finalize: %q, want %q", got, want)
		}
		c.heard(1, 4)
	})
}

// Whoever is slow for a while is heard again, and no word twice.
func TestSlowForAWhile(t *testing.T) {
	for _, delay := range []time.Duration{1300, 1500, 2500, 4000} { // ms
		synctest.Test(t, func(t *testing.T) {
			first, second := named("first"), named("second")
			first.Delay, second.Delay = delay*time.Millisecond, delay*time.Millisecond
			c := start(t, t.Context(), join(t, failover.Options{}, first, second))
			c.say(1, 40)
			c.heard(1, 40)
		})
	}
}

// Results that nobody takes are no silence.
func TestResultsThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := named("second")
		stream, err := join(t, failover.Options{}, named("first"), second).Open(t.Context(), options)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		c := &call{t: t, stream: stream}
		c.say(1, 20)
		c.listening.Go(func() { c.listen(t.Context()) })
		c.heard(1, 20)
		if second.Opened() != 0 {
			t.Error("the second was opened")
		}
	})
}

// A recogniser that says nothing about what holds no words isn't silent.
func TestNothingToSayIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := named("first"), named("second")
		first.Quiet = true
		log := &logs{}
		c := start(t, log.context(t), join(t, failover.Options{}, first, second))
		c.say(1, 3)
		for range 5 {
			c.rest(5 * time.Second)
			c.send(stttest.Silence(3 * time.Second))
		}
		c.say(4, 6)
		c.heard(1, 6)
		if lines := log.lines("recognizer_failed_over"); len(lines) > 0 {
			t.Errorf("logged %q, want no failure", lines)
		}
	})
}

func TestEndWithoutGoodbye(t *testing.T) {
	const spoken = 6 * 320 * time.Millisecond
	tests := []struct {
		name   string
		fault  stttest.Fault
		after  time.Duration
		second int // streams of the second recogniser
	}{
		{"says nothing of the last word", stttest.Mute, spoken - 200*time.Millisecond, 1},
		{"dies in the last word", stttest.Die, spoken - 200*time.Millisecond, 1},
		{"says nothing of the silence at the end", stttest.Mute, spoken + 100*time.Millisecond, 1},
		{"says nothing when all is final", stttest.Mute, spoken + 300*time.Millisecond, 0},
		{"dies when all is final", stttest.Die, spoken + 300*time.Millisecond, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := named("second")
				c := start(t, t.Context(), join(t, failover.Options{}, named("first", stttest.Plan{Fault: test.fault, After: test.after}), second))
				c.say(1, 6)
				c.send(stttest.Silence(300 * time.Millisecond)) // words are final after so much, the gap included
				begin := time.Now()
				c.heard(1, 6)
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("the end took %v", took)
				}
				if got := second.Opened(); got != test.second {
					t.Errorf("the second was opened %d times, want %d", got, test.second)
				}
			})
		})
	}
}

// What can't be kept is told.
func TestRecogniserSilentForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := named("first", stttest.Plan{Fault: stttest.Mute, After: 0})
		second := named("second", stttest.Plan{Fault: stttest.Hang})
		log := &logs{}
		c := start(t, log.context(t), join(t, failover.Options{Keep: 2 * time.Second}, first, second, named("third")))
		c.say(1, 30)
		got := c.hangUp()
		if !strings.HasSuffix(words(1, 30), got[strings.IndexByte(got, ' '):]) || strings.Count(got, " ") > 29 {
			t.Errorf("got %q, want a tail of what was said", got)
		}
		if len(log.lines("recognizer_audio_lost")) == 0 {
			t.Errorf("nothing tells of the audio that is lost: %q", log.lines(""))
		}
	})
}

// Whatever fails, each word is heard once. The third recogniser is good; seeds are fixed, so that a failure can be
// looked at.
func TestNoWordIsLostOrDoubled(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				milliseconds := func(n int) time.Duration { return time.Duration(random.IntN(n)) * time.Millisecond }
				plans := func(n int) (plans []stttest.Plan) {
					for range random.IntN(n) {
						plans = append(plans, stttest.Plan{
							Fault: stttest.Refuse + stttest.Fault(random.IntN(7)), Failure: stt.Failure(random.IntN(7)),
							After: milliseconds(15000), Skew: milliseconds(100) - 50*time.Millisecond,
						})
					}
					return plans
				}
				third := named("third")
				third.Delay = milliseconds(300)
				c := start(t, t.Context(), join(t, failover.Options{}, named("first", plans(8)...), named("second", plans(8)...), third))
				said := 0
				for said < 120 {
					more := 1 + random.IntN(25)
					c.say(said+1, said+more)
					said += more
					if random.IntN(2) == 0 {
						c.rest(milliseconds(20000))
					}
				}
				c.heard(1, said)
			})
		})
	}
}
