package chaos

import (
	"context"
	"testing"
	"time"

	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/usage"
)

// What the gate lets through before a word and after it.
const (
	preRoll  = 300 * time.Millisecond
	hangOver = 700 * time.Millisecond
)

// counted sums up a user's hours ('h'), days and months.
func (s *system) counted(ctx context.Context, uid string) (map[byte]usage.Totals, error) {
	snapshots, err := s.Firestore.Collection("users/" + uid + "/usage").Documents(ctx).GetAll()
	sums := map[byte]usage.Totals{}
	for _, snapshot := range snapshots {
		var t usage.Totals
		if err := snapshot.DataTo(&t); err != nil {
			return nil, err
		}
		sums[snapshot.Ref.ID[0]] = sums[snapshot.Ref.ID[0]].Add(t)
	}
	return sums, err
}

// byConversation are a user's hours, summed up for each conversation.
func (s *system) byConversation(t *testing.T, uid string) usage.Counter {
	t.Helper()
	snapshots, err := s.Firestore.Collection("users/" + uid + "/usage").Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	sums := usage.Counter{}
	for _, snapshot := range snapshots {
		var hour struct {
			ByConversation usage.Counter `firestore:"by_conversation"`
		}
		if err := snapshot.DataTo(&hour); err != nil {
			t.Fatal(err)
		}
		for cid, totals := range hour.ByConversation {
			sums[cid] = sums[cid].Add(totals)
		}
	}
	return sums
}

// checkUsage wants the counters of each period to be the same sum, and what each conversation has in them to be what is
// stored with it: the words that were said, and no more audio than was sent. One in which nothing was said is
// deleted, and its audio stays counted.
func (s *system) checkUsage(t *testing.T, p *talker, all []conversation.Conversation) {
	t.Helper()
	counted, err := s.counted(t.Context(), p.uid)
	if err != nil {
		t.Fatal(err)
	}
	if counted['h'] != counted['d'] || counted['d'] != counted['m'] || counted['m'].Words != int64(p.words) {
		t.Errorf("%s: counted hours %+v, days %+v, months %+v; want %d words in each",
			p.uid, counted['h'], counted['d'], counted['m'], p.words)
	}
	parts := s.byConversation(t, p.uid)
	var sum usage.Totals
	for _, totals := range parts {
		sum = sum.Add(totals)
	}
	if sum != counted['m'] {
		t.Errorf("%s: the conversations have %+v in the hours, and the month has %+v", p.uid, sum, counted['m'])
	}
	for _, c := range all {
		var stored usage.Totals
		for _, totals := range c.Usage {
			stored = stored.Add(totals)
		}
		if parts[c.ID] != stored || stored.Words != int64(c.Words) {
			t.Errorf("%s/%s: counted %+v, stored with it %+v and %d words", p.uid, c.ID, parts[c.ID], stored, c.Words)
		}
		delete(parts, c.ID)
	}
	for cid, totals := range parts {
		if totals.Words != 0 {
			t.Errorf("%s/%s: %+v are counted, and there is no such conversation", p.uid, cid, totals)
		}
	}
	spoken := time.Duration(p.words) * testspeech.WordDuration
	t.Logf("%s: counted %+v, sent %v, spoken %v, %d deleted", p.uid, counted['m'], p.audio, spoken, len(parts))
	// What is not counted is the silence that is kept for the beginning of a next word, of a second at most, and that
	// after a conversation in whose session no other followed, since that was closed or its instance died: it was
	// acknowledged, and no conversation was there to count it. One end costs up to the longest silence; over many it is
	// little, since few fall there: up to 1.2 % in an hour of 7,343 faults. No word is among it, since speech has a bound
	// of its own.
	audio := time.Duration(sum.AudioMS) * time.Millisecond
	if missing := p.audio - audio; missing < 0 || missing > time.Second+breath+pause+p.audio/50 {
		t.Errorf("%s: %v of audio counted, and %v were sent, with %v of words in them", p.uid, audio, p.audio, spoken)
	}
	// Speech is what the recogniser is sent: the words, what lies between those of a burst, and what the gate lets through
	// before and after it (functions/listen/vad). Less is sent where bursts follow each other closely.
	gaps := time.Duration(int(p.words)-p.bursts) * testspeech.Gap
	most := spoken + gaps + time.Duration(p.bursts)*(preRoll+hangOver)
	if speech := time.Duration(sum.SpeechMS) * time.Millisecond; speech < spoken || speech > most || sum.SpeechMS > sum.AudioMS {
		t.Errorf("%s: %v of speech counted, of %d ms; words of %v were said, want %v at most", p.uid, speech, sum.AudioMS, spoken, most)
	}
}
