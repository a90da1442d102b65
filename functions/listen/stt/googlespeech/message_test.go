package googlespeech

import (
	"errors"
	"testing"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"earshot.dev/functions/listen/allocs"
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

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		example, ``, `results { is_final: true result_end_offset { seconds: -1 } }`,
		`results { alternatives { words { word: "x" start_offset { seconds: 5 nanos: -1 } speaker_label: "99999" } } is_final: true }`,
	} {
		data, err := proto.Marshal(response(f, text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, int64(time.Second))
	}
	f.Fuzz(func(t *testing.T, data []byte, begin int64) {
		var m speechpb.StreamingRecognizeResponse
		if proto.Unmarshal(data, &m) != nil || begin < 0 || begin > int64(longest) {
			return
		}
		var results []stt.Result
		var err error
		allocs.Most(t, 1<<18+256*uint64(len(data)), func() { results, err = parse(&m, time.Duration(begin)) })
		if err != nil {
			if failure := (*stt.Error)(nil); !errors.As(err, &failure) || failure.Failure != stt.Malformed {
				t.Errorf("the error %v", err)
			}
			return
		}
		through := time.Duration(begin)
		for _, r := range results {
			if r.Start < through || r.End < r.Start || r.End > longest || r.Flushed {
				t.Errorf("a result from %v to %v behind %v", r.Start, r.End, through)
			}
			for _, w := range r.Words {
				if w.Text == "" || w.Start < 0 || w.End < w.Start || w.End > longest || w.Speaker < stt.UnknownSpeaker {
					t.Errorf("the word %+v", w)
				}
			}
			if r.Final {
				through = r.End
			}
		}
	})
}
