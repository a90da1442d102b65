package replay_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/replay"
)

const rate = 1000 // Hz, so that a sample is a millisecond

const ms = time.Millisecond

// audio is samples whose first byte is the number of their second.
func audio(from, through int) []byte {
	var pcm []byte
	for i := from; i < through; i++ {
		pcm = append(pcm, byte(i/100), byte(i%100))
	}
	return pcm
}

// play is all that a head has, steps and audio.
func play(h *replay.Head) (steps []replay.Step, pcm []byte) {
	buf := make([]byte, 500)
	for {
		step, part := h.Next(buf)
		if step == replay.Wait || step == replay.Behind {
			return append(steps, step), pcm
		}
		if n := len(steps); step != replay.Send || n == 0 || steps[n-1] != step {
			steps = append(steps, step)
		}
		pcm = append(pcm, part...)
	}
}

func TestHeadPlaysWhatIsNotFinal(t *testing.T) {
	tape := replay.NewTape(rate, 30*time.Second)
	tape.Add(audio(0, 3000))
	tape.Finalize()
	tape.Finalize() // a second time the same
	tape.Add(audio(3000, 4000))
	tape.Close()
	all := []replay.Step{replay.Send, replay.Finalize, replay.Send, replay.CloseSend, replay.Wait}
	steps, pcm := play(tape.NewHead())
	if diff := cmp.Diff(all, steps); diff != "" || !bytes.Equal(pcm, audio(0, 4000)) {
		t.Errorf("%d bytes, steps (-want +got):\n%s", len(pcm), diff)
	}

	tape.Settle(stt.Result{End: 1000 * ms, Final: true})
	steps, pcm = play(tape.NewHead())
	if diff := cmp.Diff(all, steps); diff != "" || !bytes.Equal(pcm, audio(800, 4000)) {
		t.Errorf("after a final: %d bytes, steps (-want +got):\n%s", len(pcm), diff)
	}

	tape.Settle(stt.Result{End: 2950 * ms, Final: true, Flushed: true}) // rounded
	steps, pcm = play(tape.NewHead())
	want := []replay.Step{replay.Send, replay.CloseSend, replay.Wait}
	if diff := cmp.Diff(want, steps); diff != "" || !bytes.Equal(pcm, audio(2800, 4000)) {
		t.Errorf("after the answer to Finalize: %d bytes, steps (-want +got):\n%s", len(pcm), diff)
	}

	tape.Settle(stt.Result{End: 4050 * ms, Final: true}) // rounded, beyond the end
	if tape.Open() != 0 || tape.Length() != 4000*ms || !tape.Closed() {
		t.Errorf("%v of %v are open, want none", tape.Open(), tape.Length())
	}
	if _, pcm = play(tape.NewHead()); len(pcm) != 0 {
		t.Errorf("%d bytes where all is final, want none", len(pcm))
	}
}

func TestTapeIsBounded(t *testing.T) {
	tape := replay.NewTape(rate, 2*time.Second)
	slow, start := tape.NewHead(), tape.NewHead()
	if step, _ := slow.Next(make([]byte, 200)); step != replay.Wait {
		t.Errorf("step %v of an empty tape, want %v", step, replay.Wait)
	}
	tape.Add(audio(0, 1000))
	if step, _ := slow.Next(make([]byte, 200)); step != replay.Send {
		t.Errorf("step %v, want %v", step, replay.Send)
	}
	for i := 1000; i < 9000; i += 100 {
		tape.Add(audio(i, i+100))
	}
	if step, _ := slow.Next(make([]byte, 200)); step != replay.Behind {
		t.Errorf("step %v of one that is behind, want %v", step, replay.Behind)
	}
	for _, head := range []*replay.Head{start, tape.NewHead()} { // one that has played nothing begins where it can
		_, pcm := play(head)
		if !bytes.Equal(pcm, audio(7000, 9000)) || head.Lost() != 7*time.Second {
			t.Errorf("%d bytes, lost %v; want the last 2 s and 7 s lost", len(pcm), head.Lost())
		}
		r, ok := head.Place(stt.Result{Words: []stt.Word{{Start: 10 * ms, End: 300 * ms}}, End: 400 * ms})
		if !ok || r.Words[0].Start != 7010*ms || r.End != 7400*ms {
			t.Errorf("placed %+v", r)
		}
	}
}

func TestPlace(t *testing.T) {
	word := func(start, end time.Duration) stt.Word { return stt.Word{Text: "w", Start: start * ms, End: end * ms} }
	tape := replay.NewTape(rate, 30*time.Second)
	tape.Add(audio(0, 8000))
	tape.Settle(stt.Result{Words: []stt.Word{word(100, 500), word(4500, 4950)}, End: 5000 * ms, Final: true})
	tests := []struct {
		name string
		in   stt.Result
		want *stt.Result
	}{
		{
			"the rest of a word that was said", // the head begins at 4800
			stt.Result{Words: []stt.Word{word(0, 150), word(300, 600)}, End: 700 * ms},
			&stt.Result{Words: []stt.Word{word(5100, 5400)}, Start: 5000 * ms, End: 5500 * ms},
		},
		{
			"a word over the border that was not",
			stt.Result{Words: []stt.Word{word(140, 400)}, End: 700 * ms, Final: true},
			&stt.Result{Words: []stt.Word{word(5000, 5200)}, Start: 5000 * ms, End: 5500 * ms, Final: true},
		},
		{"only what was said", stt.Result{Words: []stt.Word{word(0, 150)}, End: 200 * ms, Final: true}, nil},
		{"nothing, but more of it", stt.Result{End: 300 * ms}, &stt.Result{Start: 5000 * ms, End: 5100 * ms}},
		{
			"nothing, as the answer to Finalize",
			stt.Result{End: 100 * ms, Final: true, Flushed: true},
			&stt.Result{Start: 5000 * ms, End: 5000 * ms, Final: true, Flushed: true},
		},
		{
			"rounded beyond the end",
			stt.Result{Start: 3000 * ms, End: 3250 * ms, Final: true},
			&stt.Result{Start: 7800 * ms, End: 8000 * ms, Final: true},
		},
	}
	for _, test := range tests {
		got, ok := tape.NewHead().Place(test.in)
		if test.want == nil {
			if ok {
				t.Errorf("%s: got %+v, want nothing", test.name, got)
			}
			continue
		}
		if len(got.Words) == 0 {
			got.Words = nil
		}
		if diff := cmp.Diff(*test.want, got); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

// What the first stream says is passed on as it is.
func TestFirstHeadChangesNothing(t *testing.T) {
	tape := replay.NewTape(rate, 30*time.Second)
	head := tape.NewHead()
	tape.Add(audio(0, 2000))
	want := stt.Result{Words: []stt.Word{{Start: 0, End: 400 * ms}, {Start: 300 * ms, End: 500 * ms}}, End: 600 * ms, Final: true}
	in := want
	in.Words = append([]stt.Word(nil), want.Words...)
	got, ok := head.Place(in)
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
}
