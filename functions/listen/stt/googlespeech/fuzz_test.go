package googlespeech

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"earshot.dev/functions/listen/allocs"
	"earshot.dev/functions/listen/stt"
)

// responses are what the service says, and what it shouldn't.
var responses = []string{
	example, ``, `metadata { request_id: "1" total_billed_duration { seconds: 15 } }`,
	`speech_event_type: SPEECH_ACTIVITY_BEGIN speech_event_offset { seconds: 1 }`, `speech_event_type: END_OF_SINGLE_UTTERANCE`,
	`results { alternatives { transcript: "a" } stability: 0.01 result_end_offset { nanos: 500000000 } }`,
	`results { alternatives { transcript: " a b " } is_final: true result_end_offset { seconds: 2 } }`,
	`results { is_final: true result_end_offset { seconds: 2 } }`, `results { }`, `results { alternatives { } }`, `results { alternatives { words { } } }`,
	`results { is_final: true result_end_offset { seconds: -1 } }`, `results { is_final: true result_end_offset { seconds: 3600 } }`,
	`results { is_final: true result_end_offset { seconds: 3601 } }`, `results { is_final: true result_end_offset { nanos: 2000000000 } }`,
	`results { is_final: true result_end_offset { seconds: 9223372036854775807 nanos: 999999999 } }`,
	`results { alternatives { words { word: "x" start_offset { seconds: 5 nanos: -1 } speaker_label: "99999" } } is_final: true }`,
	`results { alternatives { words { word: "x" start_offset { seconds: 2 } end_offset { seconds: 1 } speaker_label: "0" } } is_final: true }`,
	`results { alternatives { words { word: "x" start_offset { nanos: 1 } end_offset { seconds: 1 } speaker_label: "spk" } } is_final: true }`,
	`results { alternatives { transcript: "a b" words { word: "a" } words { word: "b" } } is_final: true result_end_offset { seconds: 2 } }`,
	`results { alternatives { words { word: "" end_offset { seconds: 1 } } } is_final: true }`,
	`results { alternatives { words { word: "\u202e\u0000" end_offset { seconds: 1 } } } is_final: true }`,
	`results { alternatives { transcript: "a" } is_final: true result_end_offset { seconds: 2 } } ` +
		`results { alternatives { transcript: "b" } is_final: true result_end_offset { seconds: 1 } }`,
	strings.Repeat(`results { } `, 200), `results { alternatives { ` + strings.Repeat(`words { } `, 200) + `} is_final: true }`,
}

func FuzzParse(f *testing.F) {
	for _, text := range responses {
		data, err := proto.Marshal(response(f, text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, int64(time.Second))
		f.Add(data, int64(0))
		f.Add(data[:len(data)/2], int64(longest))
	}
	f.Fuzz(func(t *testing.T, data []byte, begin int64) {
		if begin < 0 || begin > int64(longest) {
			return
		}
		var results []stt.Result
		var err, unreadable error
		allocs.Most(t, 1<<18+256*uint64(len(data)), func() { // readLimit bounds data
			var m speechpb.StreamingRecognizeResponse
			if unreadable = proto.Unmarshal(data, &m); unreadable == nil {
				results, err = parse(&m, time.Duration(begin))
			}
		})
		if unreadable != nil {
			return
		}
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

// Each end of a call is told apart as a failure of this recogniser, in few words.
func FuzzBroken(f *testing.F) {
	for code := range uint32(18) {
		f.Add(code, "")
		f.Add(code, "The language code xx is not supported by the model.")
		f.Add(code, "grpc: failed to unmarshal the received message: proto: cannot parse")
	}
	f.Add(uint32(codes.ResourceExhausted), "grpc: received message larger than max (600000 vs. 524288)")
	f.Add(uint32(codes.Internal), strings.Repeat("ä\n", 500))
	f.Fuzz(func(t *testing.T, code uint32, message string) {
		ended := status.New(codes.Code(code), message).Err()
		if ended == nil {
			return
		}
		var err error
		allocs.Most(t, 1<<13+32*uint64(len(message)), func() { err = broken(ended) })
		failure, ok := errors.AsType[*stt.Error](err)
		if !ok || failure.Recognizer != Name || len(err.Error()) > 400 {
			t.Errorf("%d %q is %#v", code, message, err)
		}
	})
}
