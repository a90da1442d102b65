// Package transcript holds what was said: segments, the rules by which they merge, and the pages they are
// stored in.
package transcript

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Segment is a stretch of one speaker's words. Start and End count from the conversation's start.
type Segment struct {
	ID         string
	Text       string
	Speaker    int
	IsUser     bool
	PersonID   string // empty: nobody was named
	Start, End time.Duration
	Provider   string // who recognised it, where that wasn't us
}

// Words is the number of words in the text.
func (s Segment) Words() int { return len(strings.Fields(s.Text)) }

// The limits of merging. The first three are Omi's (functions/listen/wire/README.md). The last is ours: a
// recogniser that never ends a sentence would grow one segment for hours, and each flush writes it again.
const (
	mergeGap      = 3 * time.Second
	sentenceRunes = 125
	maxTextBytes  = 2000
)

// merges reports whether next continues s.
func (s Segment) merges(next Segment) bool {
	sameVoice := s.Speaker == next.Speaker && s.IsUser == next.IsUser &&
		s.PersonID == next.PersonID && s.Provider == next.Provider
	if !sameVoice || next.Start-s.End >= mergeGap || len(s.Text)+len(next.Text) >= maxTextBytes {
		return false
	}
	return !endsSentence(s.Text) || utf8.RuneCountInString(s.Text) < sentenceRunes
}

// SpokenBy is the segment with a person as its speaker: the user, or somebody else.
func (s Segment) SpokenBy(personID string, isUser bool) Segment {
	s.PersonID, s.IsUser = personID, isUser
	if isUser {
		s.PersonID = ""
	}
	return s
}

func (s Segment) merge(next Segment) Segment {
	s.Text = strings.TrimSpace(s.Text + " " + next.Text)
	s.End = max(s.End, next.End)
	return s
}

func endsSentence(text string) bool {
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(text, " \"'”’)"))
	return strings.ContainsRune(".?!…。？！", last)
}

// wire is a segment as Omi's clients and receivers read it (functions/listen/wire/README.md); times are seconds.
type wire struct {
	ID                     string   `json:"id"`
	Text                   string   `json:"text"`
	Speaker                string   `json:"speaker"`
	SpeakerID              int      `json:"speaker_id"`
	IsUser                 bool     `json:"is_user"`
	PersonID               *string  `json:"person_id"`
	Start                  float64  `json:"start"`
	End                    float64  `json:"end"`
	Translations           []string `json:"translations"`
	SpeechProfileProcessed bool     `json:"speech_profile_processed"`
	Provider               *string  `json:"stt_provider"`
}

// MarshalJSON writes the segment as it goes over the wire.
func (s Segment) MarshalJSON() ([]byte, error) {
	return json.Marshal(wire{
		ID: s.ID, Text: s.Text, Speaker: fmt.Sprintf("SPEAKER_%02d", s.Speaker), SpeakerID: s.Speaker,
		IsUser: s.IsUser, PersonID: nullable(s.PersonID), Start: seconds(s.Start), End: seconds(s.End),
		Translations: []string{}, SpeechProfileProcessed: true, Provider: nullable(s.Provider),
	})
}

// UnmarshalJSON reads a segment as it comes over the wire.
func (s *Segment) UnmarshalJSON(data []byte) error {
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*s = Segment{
		ID: w.ID, Text: w.Text, Speaker: w.SpeakerID, IsUser: w.IsUser,
		Start: duration(w.Start), End: duration(w.End),
	}
	if w.PersonID != nil {
		s.PersonID = *w.PersonID
	}
	if w.Provider != nil {
		s.Provider = *w.Provider
	}
	return nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// seconds and duration keep whole milliseconds, which is also what the store keeps.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

func duration(s float64) time.Duration {
	const most = 1e9 // 30 years, and far from what overflows
	s = max(-most, min(s, most))
	return time.Duration(s*1000+0.5) * time.Millisecond
}
