package deepgram

import (
	"strings"
	"time"
)

// The messages of Deepgram's streaming protocol, https://developers.deepgram.com/reference/speech-to-text/listen-streaming,
// as far as a client of words needs them. Times are in seconds.

// control is what a client says in text: KeepAlive, Finalize, CloseStream.
type control struct {
	Type string `json:"type"`
}

type results struct {
	Type         string   `json:"type"`
	ChannelIndex [2]int   `json:"channel_index"`
	Duration     float64  `json:"duration"`
	Start        float64  `json:"start"`
	IsFinal      bool     `json:"is_final"`
	SpeechFinal  bool     `json:"speech_final"`
	FromFinalize bool     `json:"from_finalize"`
	Channel      channel  `json:"channel"`
	Metadata     identity `json:"metadata"`
}

type channel struct {
	Alternatives []alternative `json:"alternatives"`
}

type alternative struct {
	Transcript string  `json:"transcript"`
	Confidence float64 `json:"confidence"`
	Words      []word  `json:"words"`
}

type word struct {
	Word           string  `json:"word"`
	PunctuatedWord string  `json:"punctuated_word,omitempty"`
	Start          float64 `json:"start"`
	End            float64 `json:"end"`
	Confidence     float64 `json:"confidence"`
	Speaker        *int    `json:"speaker,omitempty"`
}

type identity struct {
	RequestID string `json:"request_id"`
}

// metadata is the last message of a stream that was closed with CloseStream.
type metadata struct {
	Type      string    `json:"type"`
	RequestID string    `json:"request_id"`
	Created   time.Time `json:"created"`
	Duration  float64   `json:"duration"`
	Channels  int       `json:"channels"`
}

// refusal is the body of an answer that isn't an upgrade, https://developers.deepgram.com/docs/errors.
type refusal struct {
	Code      string `json:"err_code"`
	Message   string `json:"err_msg"`
	RequestID string `json:"request_id"`
}

// message is the Results message for a hypothesis.
func (q query) message(requestID string, h Hypothesis, flushed bool) results {
	best := alternative{Words: make([]word, 0, len(h.Words))}
	texts := make([]string, 0, len(h.Words))
	for _, w := range h.Words {
		out := word{Word: w.Text, Start: w.Start.Seconds(), End: w.End.Seconds(), Confidence: w.Confidence}
		if q.punctuate {
			out.PunctuatedWord = w.Text
		}
		if q.diarize {
			out.Speaker = new(int) // no engine here tells speakers apart: all is the first one's
		}
		best.Words = append(best.Words, out)
		texts = append(texts, w.Text)
		best.Confidence += w.Confidence / float64(len(h.Words))
	}
	best.Transcript = strings.Join(texts, " ")
	return results{
		Type:         "Results",
		ChannelIndex: [2]int{0, 1},
		Duration:     (h.End - h.Start).Seconds(),
		Start:        h.Start.Seconds(),
		IsFinal:      h.Final,
		SpeechFinal:  h.Final && h.Pause,
		FromFinalize: flushed,
		Channel:      channel{Alternatives: []alternative{best}},
		Metadata:     identity{RequestID: requestID},
	}
}
