package wire

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/transcript"
)

const shortest = 2 * time.Minute

func TestParseQuery(t *testing.T) {
	usual := Query{SampleRate: 8000, Codec: "pcm8", Source: "omi", ConversationTimeout: 2 * time.Minute, Channels: 1}
	with := func(change func(*Query)) Query {
		q := usual
		change(&q)
		return q
	}
	for query, want := range map[string]Query{
		"":                         usual,
		"uid=x&unknown=1&call_id=": usual,
		"language=auto":            with(func(q *Query) { q.Language = "multi" }),
		"language=de-CH&codec=opus_fs320&sample_rate=16000": with(func(q *Query) {
			q.Language, q.Codec, q.SampleRate = "de-CH", "opus_fs320", 16000
		}),
		"sample_rate=fast":           usual,
		"source=phone_call":          with(func(q *Query) { q.Source = "phone_call" }),
		"source=../../etc":           with(func(q *Query) { q.Source = "unknown" }),
		"conversation_timeout=5":     usual,
		"conversation_timeout=300":   with(func(q *Query) { q.ConversationTimeout = 5 * time.Minute }),
		"conversation_timeout=-1":    with(func(q *Query) { q.ConversationTimeout = 4 * time.Hour }),
		"conversation_timeout=-2":    usual,
		"conversation_timeout=99999": with(func(q *Query) { q.ConversationTimeout = 4 * time.Hour }),
		"conversation_timeout=1e3":   usual,
		"client_conversation_id=no":  usual,
		"client_conversation_id=8C1F0E1E-0000-4000-8000-000000000001": with(func(q *Query) {
			q.ClientConversationID = "8c1f0e1e-0000-4000-8000-000000000001"
		}),
		"device=tab_1": with(func(q *Query) { q.Device = "tab_1" }),
		"interim=1":    with(func(q *Query) { q.Interim = true }),
		"ack=1":        with(func(q *Query) { q.Acknowledge = true }),
		"ack=yes":      usual,
		"channels=2":   with(func(q *Query) { q.Channels = 2 }),
		"channels=9":   with(func(q *Query) { q.Channels = 2 }),
		"channels=0":   usual,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := ParseQuery(values, shortest); got != want {
			t.Errorf("%q:\ngot  %+v\nwant %+v", query, got, want)
		}
	}
}

func TestParseClient(t *testing.T) {
	for _, tt := range []struct {
		frame    string
		ok, ends bool
		reason   conversation.EndReason
	}{
		{`{"type":"end"}`, true, true, conversation.EndRequested},
		{`{"type":"finalization_reason","reason":"user_stop"}`, true, true, "user_stop"},
		{`{"type":"finalization_reason","reason":"meeting_ended"}`, true, true, "meeting_ended"},
		{`{"type":"finalization_reason","reason":"crash_recovery"}`, true, false, "crash_recovery"},
		{`{"type":"finalization_reason","reason":"made up"}`, false, false, ""},
		{`{"type":"client_state"}`, false, false, ""},
		{`{"type":7}`, false, false, ""},
		{`no json`, false, false, ""},
		{``, false, false, ""},
		{`[]`, false, false, ""},
		{`{"type":"suggested_transcript","segments":[{"text":" ","start":0,"end":1}]}`, false, false, ""},
		{`{"type":"suggested_transcript","segments":[{"text":"a","start":2,"end":1}]}`, false, false, ""},
		{`{"type":"suggested_transcript","segments":[{"text":"a","speaker_id":-1}]}`, false, false, ""},
		{`{"type":"suggested_transcript","segments":[{"text":"` + strings.Repeat("a", maxTextSize+1) + `"}]}`, false, false, ""},
		{`{"type":"suggested_transcript","segments":[{"text":"` + strings.Repeat("a", maxTextSize) + `"}]}`, true, false, ""},
		{`{"type":"speaker_assigned","speaker_id":1001,"person_id":"p"}`, false, false, ""},
		{`{"type":"speaker_assigned","speaker_id":1,"person_id":""}`, false, false, ""},
		{`{"type":"image_chunk","id":"x","index":0,"total":257}`, false, false, ""},
		{`{"type":"image_chunk","id":"x","index":-1,"total":1}`, false, false, ""},
		{`{"type":"image_chunk","id":"x","index":0,"total":1,"data":"!"}`, false, false, ""},
	} {
		m, ok := ParseClient([]byte(tt.frame))
		if ok != tt.ok || ok && (m.Ends() != tt.ends || m.Reason != tt.reason) {
			t.Errorf("%s: got %+v, %v", tt.frame, m, ok)
		}
	}
}

func TestServerMessages(t *testing.T) {
	segment := transcript.Segment{ID: "a", Text: "Hi.", End: 1500 * time.Millisecond}
	for want, got := range map[string][]byte{
		`{"type":"service_status","status":"ready","status_text":null}`:                   Status(Ready),
		`{"type":"conversation_session","conversation_id":"c","status":"in_progress"}`:    ConversationSession("c", "in_progress"),
		`{"type":"audio_ack","sequence":7}`:                                               AudioAck(7),
		`{"type":"audio_gap","from":3,"through":5}`:                                       AudioGap(3, 5),
		`{"type":"backpressure","state":"slow"}`:                                          Backpressure(true),
		`{"type":"backpressure","state":"ok"}`:                                            Backpressure(false),
		`{"type":"segments_deleted","segment_ids":["a","b"]}`:                             SegmentsDeleted([]string{"a", "b"}),
		`{"type":"interim","text":"so \u003c far","start":0.25,"end":1.5,"speaker_id":1}`: Interim("so < far", 250*time.Millisecond, 1500*time.Millisecond, 1),
		`[{"id":"a","text":"Hi.","speaker":"SPEAKER_00","speaker_id":0,"is_user":false,"person_id":null,` +
			`"start":0,"end":1.5,"translations":[],"speech_profile_processed":true,"stt_provider":null}]`: Segments([]transcript.Segment{segment}),
	} {
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestFraming(t *testing.T) {
	plain, stereo := Framing{Channels: 1}, Framing{Channels: 2}
	numbered, both := Framing{Numbered: true, Channels: 1}, Framing{Numbered: true, Channels: 2}
	for _, tt := range []struct {
		name    string
		framing Framing
		data    string
		want    Frame
		ok      bool
	}{
		{"plain", plain, "abc", Frame{Packet: []byte("abc")}, true},
		{"microphone", stereo, "\x01abc", Frame{Packet: []byte("abc")}, true},
		{"the other side", stereo, "\x02abc", Frame{Channel: 1, Packet: []byte("abc")}, true},
		{"no such channel", stereo, "\x03abc", Frame{Channel: -1, Packet: []byte("abc")}, true},
		{"channel 0", stereo, "\x00abc", Frame{Channel: -1, Packet: []byte("abc")}, true},
		{"numbered", numbered, "\x00\x00\x01\x02abc", Frame{Sequence: 258, Packet: []byte("abc")}, true},
		{"number 0", numbered, "\x00\x00\x00\x00abc", Frame{}, false},
		{"short number", numbered, "\x00\x00\x01", Frame{}, false},
		{"no audio", numbered, "\x00\x00\x00\x01", Frame{Sequence: 1, Packet: []byte{}}, true},
		{"numbered channel", both, "\x00\x00\x00\x01\x02a", Frame{Sequence: 1, Channel: 1, Packet: []byte("a")}, true},
		{"numbered, no channel", both, "\x00\x00\x00\x01", Frame{}, false},
	} {
		got, ok := tt.framing.Parse([]byte(tt.data))
		if diff := cmp.Diff(tt.want, got); ok != tt.ok || ok && diff != "" {
			t.Errorf("%s: got %+v, %v; want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
