package deepgram

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"earshot.dev/functions/listen/stt"
)

// What the client says in text.
const (
	keepAlive   = `{"type":"KeepAlive"}`
	finalize    = `{"type":"Finalize"}`
	closeStream = `{"type":"CloseStream"}`
)

// longest is more than any stream lasts; a time beyond it is rubbish.
const longest = 30 * 24 * time.Hour

// kind is what a message from the server is about.
type kind uint8

const (
	other    kind = iota // nothing that we need: SpeechStarted, UtteranceEnd, whatever is invented next
	result               // words, or that there were none
	farewell             // the summary after CloseStream
)

// resultMessage is what we need of a Results message. Times are in seconds.
type resultMessage struct {
	Start        float64 `json:"start"`
	Duration     float64 `json:"duration"`
	IsFinal      bool    `json:"is_final"`
	FromFinalize bool    `json:"from_finalize"`
	Channel      *struct {
		Alternatives []struct {
			Transcript string `json:"transcript"`
			Words      []struct {
				Word           string  `json:"word"`
				PunctuatedWord string  `json:"punctuated_word"`
				Start          float64 `json:"start"`
				End            float64 `json:"end"`
				Speaker        *int    `json:"speaker"`
			} `json:"words"`
		} `json:"alternatives"`
	} `json:"channel"`
}

// parse reads a text message from the server. Its error is an *stt.Error.
func parse(data []byte) (stt.Result, kind, error) {
	var head struct {
		Type        string `json:"type"`
		Description string `json:"description"`
		Message     string `json:"message"`
		Variant     string `json:"variant"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return stt.Result{}, other, malformed(err)
	}
	switch head.Type {
	case "Results":
		r, err := parseResult(data)
		return r, result, err
	case "Metadata":
		return stt.Result{}, farewell, nil
	case "Error":
		text := strings.Join(strings.Fields(head.Variant+" "+head.Description+" "+head.Message), " ")
		return stt.Result{}, other, stt.Fail(Name, stt.Unavailable, errors.New(shorten(text)))
	case "":
		return stt.Result{}, other, malformed(errors.New("a message without a type"))
	default:
		return stt.Result{}, other, nil
	}
}

func parseResult(data []byte) (stt.Result, error) {
	var m resultMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return stt.Result{}, malformed(err)
	}
	if m.Channel == nil {
		return stt.Result{}, malformed(errors.New("a result without a channel"))
	}
	r := stt.Result{Final: m.IsFinal, Flushed: m.FromFinalize}
	if err := span(&r.Start, &r.End, m.Start, m.Start+m.Duration); err != nil {
		return stt.Result{}, err
	}
	if len(m.Channel.Alternatives) == 0 {
		return r, nil
	}
	best := m.Channel.Alternatives[0]
	r.Words = make([]stt.Word, 0, len(best.Words))
	for _, w := range best.Words {
		word := stt.Word{Text: w.PunctuatedWord, Speaker: stt.UnknownSpeaker}
		if word.Text == "" {
			word.Text = w.Word
		}
		if word.Text == "" {
			continue
		}
		if w.Speaker != nil && *w.Speaker >= 0 {
			word.Speaker = *w.Speaker
		}
		if err := span(&word.Start, &word.End, w.Start, w.End); err != nil {
			return stt.Result{}, err
		}
		r.Words = append(r.Words, word)
	}
	if text := strings.TrimSpace(best.Transcript); len(r.Words) == 0 && text != "" {
		// Some servers that speak the protocol give no words.
		r.Words = append(r.Words, stt.Word{Text: text, Start: r.Start, End: r.End, Speaker: stt.UnknownSpeaker})
	}
	return r, nil
}

// span sets start and end from seconds. An end before its start, as rounding makes, is the start.
func span(start, end *time.Duration, from, to float64) error {
	limit := longest.Seconds()
	if !(from >= 0 && from <= limit && to >= 0 && to <= limit) { // so that NaN fails too
		return malformed(fmt.Errorf("a time from %g to %g s", from, to))
	}
	*start = duration(from)
	*end = max(*start, duration(to))
	return nil
}

// duration is rounded to the microsecond: sums of decimal fractions aren't exact.
func duration(seconds float64) time.Duration {
	return time.Duration(seconds*1e6+0.5) * time.Microsecond
}

func malformed(err error) error { return stt.Fail(Name, stt.Malformed, err) }

// refusalReason is the text in the body of an answer that isn't an upgrade.
func refusalReason(body []byte) string {
	var refusal struct {
		Code     string `json:"err_code"`
		Message  string `json:"err_msg"`
		Category string `json:"category"` // the newer form, with message and details
		Text     string `json:"message"`
		Details  string `json:"details"`
	}
	if err := json.Unmarshal(body, &refusal); err != nil {
		return "an answer that isn't JSON"
	}
	parts := []string{refusal.Code, refusal.Category, refusal.Message, refusal.Text, refusal.Details}
	return shorten(strings.Join(strings.Fields(strings.Join(parts, " ")), " "))
}

// shorten keeps what a server says from flooding a log.
func shorten(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
