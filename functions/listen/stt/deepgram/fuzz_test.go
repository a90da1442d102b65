package deepgram

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/allocs"
	"earshot.dev/functions/listen/stt"
)

// serverMessages are what the service says, what other servers that speak its protocol say, and what nobody should.
var serverMessages = []string{
	example,
	`{"type":"Results","start":0,"duration":1,"is_final":false,"channel":{"alternatives":[{"transcript":"","words":[]}]}}`,
	`{"type":"Results","start":0,"duration":1,"is_final":true,"from_finalize":true,"channel":{"alternatives":[{"transcript":"","words":[]}]}}`,
	`{"type":"Results","start":1,"duration":2.5,"channel":{"alternatives":[{"transcript":" a b "}]}}`,
	`{"type":"Results","channel":{"alternatives":[]}}`, `{"type":"Results","channel":{}}`, `{"type":"Results","channel":null}`, `{"type":"Results"}`,
	`{"type":"Results","channel":[{"alternatives":[]}]}`, `{"type":"Results","channel":{"alternatives":[null,{}]}}`,
	`{"type":"Results","start":1e308,"duration":1e308,"channel":{}}`, `{"type":"Results","start":-1,"duration":2,"channel":{}}`,
	`{"type":"Results","start":"0","duration":1,"channel":{}}`, `{"type":"Results","start":1,"duration":-2,"channel":{}}`,
	`{"type":"Results","is_final":"true","channel":{}}`, `{"type":"Results","start":2592000,"duration":0,"channel":{}}`,
	`{"type":"Results","channel":{"alternatives":[{"words":[{"word":"x","start":-0.0,"end":1e-320}]}]}}`,
	`{"type":"Results","channel":{"alternatives":[{"words":[{"word":"x","start":1.2,"end":1.1,"speaker":-7}]}]}}`,
	`{"type":"Results","channel":{"alternatives":[{"words":[{"word":"x","start":1,"end":2,"speaker":9223372036854775807}]}]}}`,
	`{"type":"Results","channel":{"alternatives":[{"words":[{"word":"x","start":1,"end":2,"speaker":0.5}]}]}}`,
	`{"type":"Results","channel":{"alternatives":[{"words":[{"word":"","punctuated_word":"","start":1,"end":2},null]}]}}`,
	`{"type":"Results","channel":{"alternatives":[{"words":[{"word":"\ud800\u0000","punctuated_word":"\u202e","start":1,"end":2}]}]}}`,
	`{"type":"Results","type":"Metadata","channel":{"alternatives":[{"transcript":"a"}]}}`,
	`{"type":"Metadata","transaction_key":"deprecated","request_id":"8c1f0e1e","sha256":"","created":"2026-01-01T00:00:00Z","duration":1.5,"channels":1}`,
	`{"type":"UtteranceEnd","channel":[0,1],"last_word_end":2.39}`, `{"type":"SpeechStarted","channel":[0],"timestamp":0.5}`,
	`{"type":"Error","description":"d","message":"m","variant":"v"}`, `{"type":"Error"}`, `{"type":"Error","description":["d"]}`,
	`{"type":"Error","description":"` + strings.Repeat("ä", 500) + `"}`, `{"type":"Warning","description":"d"}`,
	`{"type":"results"}`, `{"type":""}`, `{"type":7}`, `{}`, `[]`, `null`, ``, `{`, "\xff", `{"type":"Results"}{"type":"Results"}`,
	`{"type":"Results","channel":{"alternatives":[{"words":[` + strings.Repeat(`{},`, 300) + `{}]}]}}`,
	`{"type":"Results","channel":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`,
}

func FuzzParse(f *testing.F) {
	for _, message := range serverMessages {
		f.Add([]byte(message))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r stt.Result
		var kind kind
		var err error
		allocs.Most(t, 1<<18+256*uint64(len(data)), func() { r, kind, err = parse(data) }) // readLimit bounds data
		if err != nil {
			if _, ok := errors.AsType[*stt.Error](err); !ok {
				t.Errorf("an error of type %T", err)
			}
			return
		}
		if kind != result && (r.Words != nil || r.Final) {
			t.Errorf("words in a message of kind %d", kind)
		}
		if r.Start < 0 || r.End < r.Start || r.End > longest {
			t.Errorf("a result from %v to %v", r.Start, r.End)
		}
		for _, w := range r.Words {
			if w.Text == "" || w.Start < 0 || w.End < w.Start || w.End > longest || w.Speaker < stt.UnknownSpeaker {
				t.Errorf("the word %+v", w)
			}
		}
	})
}

func FuzzRefusal(f *testing.F) {
	for _, body := range append([]string{
		`{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"8c1f0e1e"}`,
		`{"err_code":"ASR_PAYMENT_REQUIRED","err_msg":"Project does not have enough credits for an ASR request."}`,
		`{"err_code":"TOO_MANY_REQUESTS","err_msg":"Too many requests. Please try again later"}`,
		`{"err_code":"Bad Request","err_msg":"Bad Request: No such model/language/tier combination found."}`,
		`{"category":"INVALID_REQUEST","message":"Bad","details":"No such model/language","request_id":"8c1f0e1e"}`,
		`{"err_msg":["a"]}`, `{"err_msg":null}`, `{"err_code":7}`, `{"message":"` + strings.Repeat("\n ä", 200) + `"}`,
		`{"message":"` + strings.Repeat("a", 199) + `ä"}`, `{"message":"\u0000\u2028"}`, `<html>`, `Unauthorized`, "\x1f\x8b\x08",
	}, serverMessages...) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got string
		allocs.Most(t, 1<<18+64*uint64(len(body)), func() { got = refusalReason(body) }) // refusalLimit bounds body
		if len(got) > 210 || strings.ContainsAny(got, "\r\n") {
			t.Errorf("the reason %q", got)
		}
	})
}

// Each close frame is told apart as a failure of this recogniser.
func FuzzBroken(f *testing.F) {
	for _, code := range []int{0, 999, 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1015, 3000, 4999, -1} {
		f.Add(code, "")
		f.Add(code, "NET-0000")
		f.Add(code, "DATA-0000: the audio can't be decoded")
	}
	f.Add(1011, "net0000")
	f.Add(1011, "NET-0001")
	f.Add(1011, strings.Repeat("ä", 60))
	f.Fuzz(func(t *testing.T, code int, reason string) {
		if len(reason) > 123 { // a close frame has room for no more
			return
		}
		var err error
		closed := fmt.Errorf("read: %w", websocket.CloseError{Code: websocket.StatusCode(code), Reason: reason})
		allocs.Most(t, 1<<12+8*uint64(len(reason)), func() { err = broken(closed) })
		if failure, ok := errors.AsType[*stt.Error](err); !ok || failure.Recognizer != Name || !errors.Is(err, closed) {
			t.Errorf("%d %q is %#v", code, reason, err)
		}
	})
}
