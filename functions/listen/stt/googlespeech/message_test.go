package googlespeech

import (
	"testing"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"

	"earshot.dev/functions/listen/stt"
)

func response(t testing.TB, text string) *speechpb.StreamingRecognizeResponse {
	t.Helper()
	m := &speechpb.StreamingRecognizeResponse{}
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

const example = `results {
	alternatives { transcript: "tell me" confidence: 0.9
		words { word: "Tell" start_offset { seconds: 1 nanos: 200000000 } end_offset { seconds: 1 nanos: 500000000 } }
		words { word: "me." start_offset { seconds: 1 nanos: 500000000 } end_offset { seconds: 1 nanos: 900000000 } } }
	alternatives { transcript: "tell may" }
	is_final: true result_end_offset { seconds: 2 } language_code: "en-us" }
results { alternatives { transcript: " more" } stability: 0.9 result_end_offset { seconds: 2 nanos: 500000000 } }
results { alternatives { transcript: " about" } stability: 0.01 result_end_offset { seconds: 3 } }
metadata { request_id: "1" }`

func TestParse(t *testing.T) {
	const ms = time.Millisecond
	word := func(text string, start, end time.Duration, speaker int) stt.Word {
		return stt.Word{Text: text, Start: start * ms, End: end * ms, Speaker: speaker}
	}
	tests := []struct {
		name, text string
		want       []stt.Result
	}{
		{"a final and what follows", example, []stt.Result{
			{Words: []stt.Word{word("Tell", 1200, 1500, -1), word("me.", 1500, 1900, -1)}, Start: 1000 * ms, End: 2000 * ms, Final: true},
			{Words: []stt.Word{word("more", 2000, 2500, -1), word("about", 2500, 3000, -1)}, Start: 2000 * ms, End: 3000 * ms},
		}},
		{"a final without times", `results { alternatives { transcript: " a b " } is_final: true result_end_offset { seconds: 2 } }`, []stt.Result{
			{Words: []stt.Word{word("a b", 1000, 2000, -1)}, Start: 1000 * ms, End: 2000 * ms, Final: true},
		}},
		{"words whose times were left out", `results { alternatives { transcript: "a b" words { word: "a" } words { word: "b" } } is_final: true result_end_offset { seconds: 2 } }`, []stt.Result{
			{Words: []stt.Word{word("a b", 1000, 2000, -1)}, Start: 1000 * ms, End: 2000 * ms, Final: true},
		}},
		{"speakers, and all words since the beginning", `results { alternatives { transcript: "b"
			words { word: "a" end_offset { nanos: 900000000 } speaker_label: "1" }
			words { word: "b" start_offset { seconds: 1 } end_offset { seconds: 2 } speaker_label: "2" } }
			is_final: true result_end_offset { seconds: 2 } }`, []stt.Result{
			{Words: []stt.Word{word("b", 1000, 2000, 1)}, Start: 1000 * ms, End: 2000 * ms, Final: true},
		}},
		{"a final that found nothing", `results { is_final: true result_end_offset { seconds: 2 } }`, []stt.Result{
			{Start: 1000 * ms, End: 2000 * ms, Final: true},
		}},
		{"a final without an end", `results { alternatives { words { word: "a" start_offset { seconds: 1 } end_offset { seconds: 2 } } } is_final: true }`, []stt.Result{
			{Words: []stt.Word{word("a", 1000, 2000, -1)}, Start: 1000 * ms, End: 2000 * ms, Final: true},
		}},
		{"an event", `speech_event_type: SPEECH_ACTIVITY_BEGIN speech_event_offset { seconds: 1 }`, nil},
	}
	for _, test := range tests {
		got, err := parse(response(t, test.text), time.Second)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
