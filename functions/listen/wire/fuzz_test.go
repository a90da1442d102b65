package wire

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"earshot.dev/functions/listen/allocs"
)

func FuzzParseQuery(f *testing.F) {
	for _, query := range []string{
		"", "&", "=", "?", "%", "%zz=1", "a;b", "language", "language=&language=de",
		"language=en&sample_rate=16000&codec=opus&conversation_timeout=-1&source=omi",
		"uid=somebody&language=multi&sample_rate=16000&codec=opus_fs320&channels=1&include_speech_profile=true&stt_service=soniox&" +
			"conversation_timeout=120&source=phone_call&custom_stt=disabled&speaker_auto_assign=enabled&vad_gate=enabled&call_id=7&onboarding=true",
		"language=auto", "language=de-CH", "language=zh-Hant-TW", "language=de%00", "language=%FF", "language=../../x",
		"sample_rate=0", "sample_rate=-8000", "sample_rate=44100", "sample_rate=1e4", "sample_rate=9223372036854775808", "sample_rate=%2B8000",
		"codec=pcm8", "codec=pcm16", "codec=opus", "codec=aac", "codec=lc3_fs1030", "codec=PCM16", "codec=mulaw",
		"channels=2", "channels=-2", "channels=99999999999999999999", "channels=0x2", "channels=two",
		"conversation_timeout=0", "conversation_timeout=119", "conversation_timeout=120", "conversation_timeout=14400",
		"conversation_timeout=14401", "conversation_timeout=-2", "conversation_timeout=9223372036854775807",
		"conversation_timeout=-9223372036854775808", "conversation_timeout=1.5", "conversation_timeout=120s", "conversation_timeout=%20120",
		"source=rayban_meta", "source=", "source=OMI", "source=somebody/else",
		"client_conversation_id=8c1f0e1e-0000-4000-8000-000000000001", "client_conversation_id=8C1F0E1E000040008000000000000001",
		"client_conversation_id={8c1f0e1e-0000-4000-8000-000000000001}", "client_conversation_id=urn:uuid:8c1f0e1e-0000-4000-8000-000000000001",
		"client_conversation_id=8c1f0e1e-0000-4000-8000-00000000000g", "client_conversation_id=..%2F..",
		"ack=1&interim=1&custom_stt=enabled&channels=2", "ack=true", "interim=yes", "custom_stt=1",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		var q Query
		// What can't be read as a number is copied into an error, which is thrown away: four values.
		allocs.Most(t, 1<<12+4*uint64(len(query)), func() { q = ParseQuery(values, shortest) })
		if q.ConversationTimeout < shortest || q.ConversationTimeout > maxConversationTimeout {
			t.Errorf("%q: timeout %v", query, q.ConversationTimeout)
		}
		if q.Channels != 1 && q.Channels != MaxChannels || q.Codec == "" {
			t.Errorf("%q: %d channels of %q", query, q.Channels, q.Codec)
		}
		if strings.ContainsAny(q.Source, "/. ") || q.Source == "" { // it may become the name of a document
			t.Errorf("%q: source %q", query, q.Source)
		}
		if n := len(q.ClientConversationID); n != 0 && n != 36 {
			t.Errorf("%q: conversation %q", query, q.ClientConversationID)
		}
	})
}

// clientMessages are texts of clients: each message, each of its fields left out, too long, or of another type.
var clientMessages = []string{
	`{"type":"end"}`, `{"type":"End"}`, `{"type":"end","reason":"user_stop"}`, `{"type":"end","type":"image_chunk"}`,
	`{"type":"finalization_reason","reason":"user_stop"}`, `{"type":"finalization_reason","reason":"finish_and_continue"}`,
	`{"type":"finalization_reason","reason":"meeting_started"}`, `{"type":"finalization_reason","reason":"meeting_ended"}`,
	`{"type":"finalization_reason","reason":"max_duration_rotation"}`, `{"type":"finalization_reason","reason":"crash_recovery"}`,
	`{"type":"finalization_reason","reason":"retry"}`, `{"type":"finalization_reason","reason":""}`, `{"type":"finalization_reason"}`,
	`{"type":"finalization_reason","reason":null}`, `{"type":"finalization_reason","reason":["user_stop"]}`,
	`{"type":"client_state","state":"background"}`, `{"type":"translate","language":"fr"}`, `{"type":"auth","token":"a.b.c"}`,
	`{"type":"suggested_transcript","stt_provider":"whisper","segments":[{"id":"a","text":"Hi.","speaker":"SPEAKER_01","speaker_id":1,"start":0.5,"end":1e9}]}`,
	`{"type":"suggested_transcript","segments":[{"text":"Hi.","start":0,"end":1},{"text":"","start":1,"end":2},{"text":"Ho.","start":2,"end":1}]}`,
	`{"type":"suggested_transcript","segments":[{"id":"8c1f0e1e-0000-4000-8000-000000000001","text":"Hi.","is_user":true,"person_id":"p","start":0,"end":1,"translations":[{"lang":"fr","text":"Salut."}]}]}`,
	`{"type":"suggested_transcript","segments":[{"text":"Hi.","speaker":"SPEAKER_99999999999999999999","start":-0.0,"end":1e-320}]}`,
	`{"type":"suggested_transcript","segments":[{"text":"Hi.","speaker":7,"start":"0","end":"1"}]}`,
	`{"type":"suggested_transcript","segments":[{"text":"\ud800\u0000\u202e","start":0,"end":1e308}]}`,
	`{"type":"suggested_transcript","segments":[]}`, `{"type":"suggested_transcript","segments":null}`, `{"type":"suggested_transcript","segments":{}}`,
	`{"type":"suggested_transcript","segments":[null,1,"a",[]]}`, `{"type":"suggested_transcript"}`,
	`{"type":"speaker_assigned","speaker_id":1,"person_id":"user","person_name":"","segment_ids":["8c1f0e1e-0000-4000-8000-000000000001","x"]}`,
	`{"type":"speaker_assigned","speaker_id":0,"person_id":"p1","person_name":"Ada","segment_ids":[]}`,
	`{"type":"speaker_assigned","speaker_id":-1,"person_id":"p1","person_name":"Ada"}`, `{"type":"speaker_assigned","speaker_id":1.5,"person_id":"p1"}`,
	`{"type":"speaker_assigned","speaker_id":1,"person_id":null,"segment_ids":null}`,
	`{"type":"speaker_assigned","speaker_id":1,"person_id":"p","segment_ids":["urn:uuid:8c1f0e1e-0000-4000-8000-000000000001"]}`,
	`{"type":"image_chunk","id":"tmp","index":1,"total":2,"data":"AQID"}`, `{"type":"image_chunk","id":"tmp","index":0,"total":1,"data":""}`,
	`{"type":"image_chunk","id":"","index":0,"total":1,"data":"AQID"}`, `{"type":"image_chunk","id":"tmp","index":2,"total":2,"data":"AQID"}`,
	`{"type":"image_chunk","id":"tmp","index":0,"total":0,"data":"AQID"}`, `{"type":"image_chunk","id":"tmp","index":0,"total":257,"data":"AQID"}`,
	`{"type":"image_chunk","id":"tmp","index":0,"total":1,"data":"AQI"}`, `{"type":"image_chunk","id":"tmp","index":0,"total":1,"data":[1,2,3]}`,
	`{"type":"image_chunk","id":"tmp","index":9223372036854775807,"total":9223372036854775807,"data":"AQID"}`,
	"ping", "", " ", "{", "{}", "[]", "null", "7", `"end"`, `{"type":7}`, `{"type":null}`, `{"TYPE":"end"}`, "\xff\xfe", `{"type":"end"}{"type":"end"}`,
	`{"type":"client_state","deep":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`,
}

// What is taken of a message stays within what a document can hold.
func FuzzParseClient(f *testing.F) {
	for _, frame := range clientMessages {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var m ClientMessage
		var ok bool
		allocs.Most(t, most(frame), func() { m, ok = ParseClient(frame) })
		if !ok {
			return
		}
		if m.Ends() && m.Type != TypeEnd && m.Type != TypeFinalizationReason {
			t.Errorf("%s ends", frame)
		}
		for _, s := range m.Segments {
			if m.Type == TypeSuggestedTranscript && (len(s.Text) > maxTextSize || s.Start < 0 || s.End < s.Start) {
				t.Errorf("%s: segment %+v", frame, s)
			}
		}
		for _, id := range m.SegmentIDs {
			if m.Type == TypeSpeakerAssigned && len(id) > 45 {
				t.Errorf("%s: segment id %q", frame, id)
			}
		}
	})
}

// most is what may be allocated for a frame, which is let go of with the message: 2 MiB for the longest.
func most(frame []byte) uint64 { return 1<<18 + 28*uint64(len(frame)) }

func FuzzParseAuth(f *testing.F) {
	for _, frame := range append([]string{
		`{"type":"auth","token":"a.b.c"}`, `{"type":"auth","token":""}`, `{"type":"auth"}`, `{"token":"a.b.c"}`, `{"type":"auth","token":null}`,
		`{"type":"auth","token":7}`, `{"type":"auth","token":["a.b.c"]}`, `{"type":"AUTH","token":"a.b.c"}`, `{"type":"auth","Token":"a.b.c"}`,
		`{"type":"auth","token":"a","token":"b"}`, `{"type":"auth","token":"Bearer a.b.c","uid":"somebody"}`, `{"type":"auth","token":"\ud800\u0000"}`,
		`["auth","a.b.c"]`, `auth`, "auth a.b.c", "a.b.c", "\x00\x00\x00\x01", `{"type":"auth","token":"` + strings.Repeat("a", 5000) + `"}`,
	}, clientMessages...) {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var token string
		var ok bool
		allocs.Most(t, most(frame), func() { token, ok = ParseAuth(frame) })
		if ok && token == "" || len(token) > 3*len(frame) {
			t.Errorf("%s: token %q, %v", frame, token, ok)
		}
	})
}

func FuzzFraming(f *testing.F) {
	for _, frame := range []string{
		"", "\x00", "\x8a\x00", "\x01", "\x02", "\x01packet", "\x02packet", "\x03packet", "\xffpacket",
		"\x00\x00\x00\x00packet", "\x00\x00\x00\x01packet", "\x00\x00\x00\x01\x01packet", "\x00\x00\x00\x02\x02packet", "\x00\x00\x01\x00\x03packet",
		"\xff\xff\xff\xff\x01packet", "\x80\x00\x00\x00", "\x00\x00\x00\x07\x02", "\x00\x00\x07", "\x00\x00\x00\x07\x8a\x00",
		strings.Repeat("\x80", 320), "\x00\x00\x00\x01\x01" + strings.Repeat("\x00", 640),
	} {
		for _, channels := range []int{1, 2} {
			f.Add([]byte(frame), true, channels)
			f.Add([]byte(frame), false, channels)
		}
	}
	f.Add([]byte("\x00\x00\x00\x01\x02packet"), true, 0)
	f.Add([]byte("\xffpacket"), false, 1000)
	f.Fuzz(func(t *testing.T, data []byte, numbered bool, channels int) {
		var frame Frame
		var ok bool
		allocs.Most(t, 1<<10, func() { frame, ok = Framing{numbered, channels}.Parse(data) }) // nothing, beside what others may
		if ok && (len(frame.Packet) > len(data) || frame.Channel >= max(channels, 1) || numbered && frame.Sequence == 0) {
			t.Errorf("%x: %+v", data, frame)
		}
	})
}

// Whatever parts come, what waits is counted right and stays within the limits.
func FuzzImages(f *testing.F) {
	for _, steps := range []string{
		"", "\x00", "\x00\x00\x00", "\x00\x00\x01\x01\x00\x01", "\x00\x05\x09\x00\x05\x09", // one, two, a repeat
		"\x00\x00\x00\x00\x01\x00\x00\x02\x00\x00\x00\x00", "\x00\x02\x00\x00\x01\x00\x00\x00\x00", // in order, and backwards
		"\x00\x00\x00\x01\x00\x00\x00\x01\x00\x01\x01\x00",                 // two at a time
		"\x00\x00\x00\x00\x01\xff", "\x00\x00\x3c\x01\x01\x3c\x02\x02\x3c", // late
	} {
		f.Add([]byte(steps), 1, 10)
		f.Add([]byte(steps), 2, 100)
		f.Add([]byte(steps), 3, MaxImage/3)
		f.Add([]byte(steps), maxChunks, 1<<20)
	}
	var many []byte // more than may wait
	for i := range byte(maxUnfinished + 5) {
		many = append(many, i, 0, 0)
	}
	f.Add(many, 2, 1)
	f.Add(many, 2, MaxImage)
	f.Fuzz(func(t *testing.T, steps []byte, total, size int) {
		if total < 1 || total > maxChunks || size < 0 || size > 1<<20 {
			return
		}
		data := make([]byte, size)
		most := uint64(1 << 14)
		for i := 0; i+2 < len(steps); i += 3 { // a part is copied into its image; one that begins an image has its table made
			most += 3*uint64(len(part(data, steps[i+2]))) + 32*maxChunks
		}
		allocs.Most(t, most, func() { addImages(t, steps, total, data) })
	})
}

// part is as much of an image as one part has.
func part(data []byte, step byte) []byte { return data[:len(data)/(1+int(step))] }

func addImages(t *testing.T, steps []byte, total int, data []byte) {
	t.Helper()
	var im Images
	for i := 0; i+2 < len(steps); i += 3 {
		index, at := int(steps[i+1])%total, began.Add(time.Duration(i)*time.Duration(steps[i+2])*time.Second)
		image, ok := im.Add(ImageChunk{string(steps[i : i+1]), index, total, part(data, steps[i+2])}, at)
		if !ok && image != nil || len(image) > MaxImage {
			t.Fatalf("an image of %d bytes, %v", len(image), ok)
		}
		waiting := 0
		for _, u := range im.unfinished {
			waiting += u.size
		}
		if waiting != im.waiting || waiting > maxWaiting || len(im.unfinished) > maxUnfinished {
			t.Fatalf("%d images of %d bytes wait, counted as %d", len(im.unfinished), waiting, im.waiting)
		}
	}
}
