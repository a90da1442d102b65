package session

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
)

// at gives words, each of half a second, the first of which began at an offset in what was sent.
func (e *ear) at(from time.Duration, final bool, words ...string) {
	r := stt.Result{Final: final}
	for _, w := range words {
		r.Words = append(r.Words, stt.Word{Text: w, Start: from, End: from + time.Second/2, Speaker: stt.UnknownSpeaker})
		from += time.Second / 2
	}
	r.End = from
	e.results <- r
}

func (e *ear) heard() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent
}

// timed is what is told of words, interim or not.
type timed struct {
	Type, Text string
	Start, End float64
}

// timed are the words that were told so far, in order, and where among them conversations began.
func (r *rig) timed() (told []timed) {
	r.t.Helper()
	r.line.mu.Lock()
	defer r.line.mu.Unlock()
	for _, m := range r.line.sent {
		var segments []timed
		if !strings.HasPrefix(m, "[") {
			segments = make([]timed, 1)
			m = strings.TrimSuffix("["+m, "\n") + "]"
		}
		if err := json.Unmarshal([]byte(m), &segments); err != nil {
			r.t.Fatalf("told %s: %v", m, err)
		}
		for _, s := range segments {
			if s.Text != "" || s.Type == "conversation_session" {
				told = append(told, s)
			}
		}
	}
	return told
}

// Words that may still change are shown as they are said, of the next conversation too before that has begun, and at the time
// that the final ones will have in it.
func TestInterimOfTheNext(t *testing.T) {
	for name, waits := range map[string]bool{"ended": false, "the end waits for its words": true} {
		synctest.Test(t, func(t *testing.T) {
			r := startWith(t, Params{ID: "s1", Interim: true}, 1, nil)
			pass(time.Second)
			r.audio(3 * time.Second)
			last := r.ear.heard() - time.Second
			r.ear.mute = waits
			if !waits {
				r.ear.at(last, true, "one.")
			}
			pass(time.Second)
			r.frame(false, `{"type":"end"}`)
			pass(time.Second)
			if ended := r.store.get("c1").Status == conversation.Ended; ended == waits {
				t.Fatalf("%s: the first conversation has ended: %v", name, ended)
			}
			r.audio(3 * time.Second)
			first := r.ear.heard() - 2*time.Second
			r.ear.at(first, false, "two")
			pass(time.Millisecond)
			r.ear.at(first, false, "two", "three")
			pass(time.Millisecond)
			shown := r.timed()
			if waits {
				r.ear.at(last, true, "one.")
			}
			r.ear.at(first, true, "two", "three.")
			pass(answerWithin + time.Second)
			r.stops()
			r.stored("one.", "two three.")
			told := r.timed()
			n := len(told) - 2
			if n < len(shown) || told[n].Type != "conversation_session" || told[n+1] != (timed{"", "two three.", 0, 1}) {
				t.Fatalf("%s: told %v, want the second conversation with its words last", name, told)
			}
			want := []timed{{"interim", "two", 0, 0.5}, {"interim", "two three", 0, 1}}
			if n := len(shown) - len(want); n < 0 || !slices.Equal(shown[n:], want) {
				t.Errorf("%s: showed %v, want %v last", name, shown, want)
			}
		})
	}
}

// A conversation that is still to begin does so with the first word that is final, whoever said it; if there is none yet, with
// the first that may become so. Of the words that wait, those count that are for the same conversation.
func TestInterimOrigin(t *testing.T) {
	noon := time.Now()
	said := func(channel int, second float64) utterance {
		at := noon.Add(time.Duration(second * float64(time.Second)))
		return utterance{text: "word", channel: channel, start: at, end: at.Add(time.Second)}
	}
	at := func(second int) ending {
		return ending{boundary: boundary{at: noon.Add(time.Duration(second) * time.Second)}}
	}
	live := conversation.Conversation{ID: "c1", StartedAt: noon}
	type (
		words []utterance
		ends  []ending
	)
	for name, test := range map[string]struct {
		open          bool
		endings       ends
		unsaved, held words
		others, us    words // of the second channel and of the first
		want          float64
	}{
		"goes on":                   {true, nil, nil, nil, nil, words{said(0, 30)}, 30},
		"reaches back":              {true, nil, nil, nil, words{said(1, -2)}, words{said(0, 1)}, 3},
		"none":                      {false, nil, nil, nil, nil, words{said(0, 10), said(0, 12)}, 2},
		"none, the other first":     {false, nil, nil, nil, words{said(1, 9)}, words{said(0, 10)}, 1},
		"none, final words":         {false, nil, words{said(1, 11), said(1, 10)}, nil, words{said(1, 9)}, words{said(0, 12)}, 2},
		"none, later final words":   {false, nil, words{said(1, 11)}, nil, nil, words{said(0, 10)}, 0},
		"an end waits":              {true, ends{at(20)}, words{said(0, 1)}, nil, words{said(1, 19)}, words{said(0, 22)}, 0},
		"an end waits, before it":   {true, ends{at(20)}, words{said(0, 1)}, words{said(1, 21)}, nil, words{said(0, 18)}, 18},
		"an end waits, final words": {true, ends{at(20)}, nil, words{said(1, 21)}, nil, words{said(0, 22)}, 1},
		"two ends wait":             {true, ends{at(20), at(30)}, nil, words{said(1, 21)}, words{said(1, 31)}, words{said(0, 32)}, 1},
	} {
		var told []byte
		s := newScribe(Params{ID: "s1", Interim: true}, newMemory(), &board{}, &ledger{}, func(m []byte) { told = m }, func(*Reason) {})
		if test.open {
			s.draft.begin(live, transcript.Page{})
		}
		s.draft.add(test.unsaved...)
		s.endings, s.held = test.endings, test.held
		s.murmur(t.Context(), 1, test.others)
		s.murmur(t.Context(), 0, test.us)
		var got timed
		if err := json.Unmarshal(told, &got); err != nil || got.Start != test.want {
			t.Errorf("%s: told %s (%v), want a start of %v", name, told, err, test.want)
		}
	}
}

// Nothing is shown of a conversation that is another session's now.
func TestInterimReplaced(t *testing.T) {
	told := 0
	s := newScribe(Params{ID: "s1", Interim: true}, newMemory(), &board{}, &ledger{}, func([]byte) { told++ }, func(*Reason) {})
	s.replaced = true
	s.murmur(t.Context(), 0, []utterance{{text: "word", start: time.Now(), end: time.Now()}})
	if told > 0 {
		t.Errorf("told %d messages", told)
	}
}

// A word that was never final, of a conversation that is over, is no beginning of the next.
func TestInterimOfWhatIsOver(t *testing.T) {
	var told []byte
	s := newScribe(Params{ID: "s1", Interim: true}, newMemory(), &board{}, &ledger{}, func(m []byte) { told = m }, func(*Reason) {})
	noon := time.Now()
	s.draft.begin(conversation.Conversation{ID: "c1", StartedAt: noon}, transcript.Page{})
	s.murmur(t.Context(), 1, []utterance{{channel: 1, text: "hm", start: noon.Add(time.Second), end: noon.Add(2 * time.Second)}})
	s.end(conversation.EndSilence, boundary{at: noon.Add(time.Minute)})
	s.ended()
	s.draft.leave()
	s.murmur(t.Context(), 0, []utterance{{text: "word", start: noon.Add(time.Hour), end: noon.Add(time.Hour)}})
	var got timed
	if err := json.Unmarshal(told, &got); err != nil || got.Start != 0 {
		t.Errorf("told %s (%v), want a start of 0", told, err)
	}
}
