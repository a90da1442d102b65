package deepgram

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"earshot.dev/functions/listen/stt"
)

func TestParseResults(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name, channel string
		want          []stt.Word
	}{
		{"no alternative", `{"alternatives":[]}`, nil},
		{"no words", `{"alternatives":[{"transcript":"","words":[]}]}`, []stt.Word{}},
		{
			"plain words", `{"alternatives":[{"words":[{"word":"a","start":1,"end":1.2},{"word":"","start":1.2,"end":1.3}]}]}`,
			[]stt.Word{{Text: "a", Start: 1000 * ms, End: 1200 * ms, Speaker: stt.UnknownSpeaker}},
		},
		{
			"punctuation and speaker", `{"alternatives":[{"words":[{"word":"a","punctuated_word":"A!","start":1,"end":1.2,"speaker":0}]}]}`,
			[]stt.Word{{Text: "A!", Start: 1000 * ms, End: 1200 * ms}},
		},
		{
			"a speaker that can't be", `{"alternatives":[{"words":[{"word":"a","start":1,"end":1.2,"speaker":-7}]}]}`,
			[]stt.Word{{Text: "a", Start: 1000 * ms, End: 1200 * ms, Speaker: stt.UnknownSpeaker}},
		},
		{
			"an end before the start", `{"alternatives":[{"words":[{"word":"a","start":1.2,"end":1.1}]}]}`,
			[]stt.Word{{Text: "a", Start: 1200 * ms, End: 1200 * ms, Speaker: stt.UnknownSpeaker}},
		},
		{
			"a transcript without words", `{"alternatives":[{"transcript":" a b "}]}`,
			[]stt.Word{{Text: "a b", Start: 1000 * ms, End: 3500 * ms, Speaker: stt.UnknownSpeaker}},
		},
		{
			"only the best", `{"alternatives":[{"words":[{"word":"a","start":1,"end":1}]},{"words":[{"word":"b","start":1,"end":1}]}]}`,
			[]stt.Word{{Text: "a", Start: 1000 * ms, End: 1000 * ms, Speaker: stt.UnknownSpeaker}},
		},
	}
	for _, test := range tests {
		got, kind, err := parse([]byte(`{"type":"Results","start":1,"duration":2.5,"is_final":true,"channel":` + test.channel + `}`))
		if err != nil || kind != result {
			t.Errorf("%s: kind %d, %v", test.name, kind, err)
		}
		want := stt.Result{Words: test.want, Start: 1000 * ms, End: 3500 * ms, Final: true}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestServersWordsAreShortened(t *testing.T) {
	_, _, err := parse([]byte(`{"type":"Error","description":"` + strings.Repeat("ä", 5000) + `"}`))
	if err == nil || len(err.Error()) > 300 || strings.ToValidUTF8(err.Error(), "!") != err.Error() {
		t.Errorf("got %v, want a short error in UTF-8", err)
	}
}

const example = `{"type":"Results","channel_index":[0,1],"duration":1.98,"start":5.99,"is_final":true,"speech_final":true,
"channel":{"alternatives":[{"transcript":"Tell me more about this.","confidence":0.99964225,"words":[
{"word":"tell","start":6.0699997,"end":6.3499994,"confidence":0.99782443,"punctuated_word":"Tell","speaker":0},
{"word":"me","start":6.3499994,"end":6.6299996,"confidence":0.9998324,"punctuated_word":"me","speaker":0},
{"word":"more","start":6.6299996,"end":6.79,"confidence":0.9995466,"punctuated_word":"more","speaker":0},
{"word":"about","start":6.79,"end":7.0299997,"confidence":0.99984455,"punctuated_word":"about","speaker":1},
{"word":"this","start":7.0299997,"end":7.2699995,"confidence":0.99964225,"punctuated_word":"this.","speaker":1}]}]},
"metadata":{"request_id":"52cc0efe-fa77-4aa7-b79c-0dda09de2f14"},"from_finalize":false}`

func BenchmarkParse(b *testing.B) {
	data := []byte(example)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
