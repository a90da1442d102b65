package client

import (
	"strings"
	"testing"

	"earshot.dev/functions/listen/allocs"
)

func FuzzParse(f *testing.F) {
	for _, message := range []string{
		`ping`, ``, ` `, `[`, `[]`, `{}`, `{`, `null`, `7`, `"ready"`, `[null]`, `[1]`, `{"type":7}`, `{"type":null}`, `{"type":"new"}`, "\xff", " []",
		`[{"id":"a","text":"Hello there.","speaker":"SPEAKER_00","speaker_id":0,"is_user":false,"person_id":null,"start":0.0,"end":1.5,` +
			`"translations":[],"speech_profile_processed":true,"stt_provider":null}]`,
		`[{"id":"a","start":1e300}]`, `[{"id":"a","start":-1,"end":-2,"speaker":"SPEAKER_99999999999999999999"}]`, `[{"text":"\ud800\u0000"}]`,
		`{"type":"service_status","status":"initiating","status_text":null}`, `{"type":"service_status","status":"stt_failed","status_text":"x"}`,
		`{"type":"last_memory","memory_id":"m"}`, `{"type":"conversation_session","conversation_id":"c","status":"in_progress"}`,
		`{"type":"conversation_session","conversation_id":7}`, `{"type":"auth_response","success":true}`,
		`{"type":"memory_processing_started","memory":{"id":"m","transcript_segments":[]},"messages":[]}`,
		`{"type":"memory_created","memory":{"id":"m","structured":{"title":"T"}},"messages":[]}`, `{"type":"memory_created","memory":null}`,
		`{"type":"segments_deleted","segment_ids":["a","b"]}`, `{"type":"segments_deleted","segment_ids":"a"}`,
		`{"type":"speaker_label_suggestion","speaker_id":1,"person_id":"p","person_name":"Ada","segment_id":"a"}`,
		`{"type":"freemium_threshold_reached","remaining_seconds":180,"action":"none"}`, `{"type":"translating"}`,
		`{"type":"photo_processing","temp_id":"t","photo_id":"p"}`, `{"type":"photo_described","photo_id":"p","description":"d","discarded":false}`,
		`{"type":"audio_ack","sequence":7}`, `{"type":"audio_ack","sequence":-1}`, `{"type":"audio_ack","sequence":4294967296}`,
		`{"type":"audio_ack","sequence":1.5}`, `{"type":"audio_gap","from":3,"through":5}`, `{"type":"audio_gap","from":5,"through":3}`,
		`{"type":"backpressure","state":"slow"}`, `{"type":"backpressure","state":"ok"}`, `{"type":"backpressure"}`,
		`{"type":"interim","text":"a","start":0.25,"end":1.5,"speaker_id":1}`, `{"type":"interim","start":1e308,"end":"x"}`,
		`[` + strings.Repeat(`{},`, 300) + `{}]`, `{"type":"memory_created","memory":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`,
	} {
		f.Add([]byte(message))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Message
		var err error
		allocs.Most(t, 1<<18+256*uint64(len(data)), func() { m, err = parse(data) }) // readLimit bounds data
		if err != nil && m.Type != "" {
			t.Errorf("a message %q beside the error %v", m.Type, err)
		}
	})
}
