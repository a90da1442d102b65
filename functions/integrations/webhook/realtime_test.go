package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"earshot.dev/shared/account"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// segment is one as it goes to clients.
const segment = `{"id":"s1","text":"the launch code","speaker":"SPEAKER_01","speaker_id":1,"is_user":false,"person_id":null,` +
	`"start":1,"end":2.5,"translations":[],"speech_profile_processed":true,"stt_provider":null}`

func newRealtime(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.kind = account.RealtimeTranscript
	return r
}

// audio are samples as they go to receivers, with octets in which no text is.
var audio = []byte{0, 128, 255, 127, 10, 13}

func newAudio(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.kind = account.AudioBytes
	r.hook.URL += ",10"
	return r
}

// append hands over words, or audio, that were said so long ago.
func (r *rig) append(t *testing.T, ago time.Duration) error {
	t.Helper()
	ctx := r.context(t)
	if r.kind == account.AudioBytes {
		e, err := event.OfAudio("x", "d", 1, event.Audio{UID: "u1", ConversationID: "c1", SampleRate: 16_000, PCM: audio}, time.Now().Add(-ago))
		if err != nil {
			t.Fatal(err)
		}
		err = r.AudioAppended(ctx, e)
		logging.Error(ctx, "event_failed", err)
		return err
	}
	err := r.TranscriptAppended(ctx, event.Event{
		ID: "c1:appended:x:1", Type: event.TranscriptAppended, Subject: "u1/c1", Time: time.Now().Add(-ago),
		Data: fmt.Appendf(nil, `{"uid":"u1","conversation_id":"c1","segments":[%s]}`, segment),
	})
	logging.Error(ctx, "event_failed", err)
	return err
}

// The receiver gets the words as clients do, under Omi's names, signed. Told again, as each event may be, they are the
// same under the same id, and nothing is stored of it.
func TestRealtime(t *testing.T) {
	want := `{"segments":[` + segment + `],"session_id":"u1"}`
	toldTwice(t, newRealtime(t), "realtime_transcript:c1:appended:x:1", func(got *http.Request, body []byte) {
		if string(body) != want || got.URL.Query().Get("uid") != "u1" {
			t.Errorf("to %s\ngot  %s\nwant %s", got.URL, body, want)
		}
	})
}

// The receiver gets the octets, at the address without the seconds, with what Omi adds to it, signed. Told again, as each
// event may be, they are the same under the same id, and nothing is stored of it.
func TestAudio(t *testing.T) {
	toldTwice(t, newAudio(t), "audio_bytes:c1:audio:x:1", func(got *http.Request, body []byte) {
		if got, want := got.URL.RequestURI(), "/hook?key="+token+"&sample_rate=16000&uid=u1"; got != want {
			t.Errorf("to %s, want %s", got, want)
		}
		if kind := got.Header.Get("Content-Type"); kind != "application/octet-stream" || !bytes.Equal(body, audio) {
			t.Errorf("got %v as %q, want %v as octets", body, kind, audio)
		}
	})
}

// toldTwice tells a rig's receiver twice, and checks what is the same for all that is told while it is said.
func toldTwice(t *testing.T, r *rig, id string, check func(got *http.Request, body []byte)) {
	t.Helper()
	for range 2 {
		if err := r.append(t, 0); err != nil {
			t.Fatal(err)
		}
	}
	verifier, err := standardwebhooks.NewWebhook(signing)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.receiver.got) != 2 {
		t.Fatalf("posted %d times, want 2", len(r.receiver.got))
	}
	for n, got := range r.receiver.got {
		if err := verifier.Verify(r.receiver.body[n], got.Header); err != nil {
			t.Errorf("signature: %v", err)
		}
		if got := got.Header.Get("Webhook-Id"); got != id {
			t.Errorf("id: got %q, want %q", got, id)
		}
		check(got, r.receiver.body[n])
	}
	if len(r.store.deliveries) != 0 {
		t.Errorf("got %d records, want none", len(r.store.deliveries))
	}
}

// Words and audio are told again as long as they are news, and only to who may take them then.
func TestRealtimeRefused(t *testing.T) {
	for _, newRealtime := range []func(*testing.T) *rig{newRealtime, newAudio} {
		refused(t, newRealtime)
	}
}

func refused(t *testing.T, newRealtime func(*testing.T) *rig) {
	t.Helper()
	for _, tt := range []struct {
		status int
		again  bool
	}{
		{http.StatusServiceUnavailable, true},
		{http.StatusTooManyRequests, true},
		{http.StatusBadRequest, false},
		{http.StatusGone, false},
	} {
		r := newRealtime(t)
		r.receiver.status(tt.status)
		if err := r.append(t, 0); fault.Is(err, fault.Unavailable) != tt.again {
			t.Errorf("%d: got %v, want it tried again: %v", tt.status, err, tt.again)
		}
		if failed := strings.Contains(r.log.String(), "msg=webhook_failed"); failed == tt.again {
			t.Errorf("%d: failure logged: %v, want %v:\n%s", tt.status, failed, !tt.again, r.log)
		}
		posts := len(r.receiver.got)
		if err := r.append(t, 10*time.Minute); err != nil || len(r.receiver.got) != posts {
			t.Errorf("%d, ten minutes later: got %v and %d posts more, want nothing", tt.status, err, len(r.receiver.got)-posts)
		}
	}
}

func TestRealtimeToNobody(t *testing.T) {
	for name, set := range map[string]func(r *rig){
		"no settings": func(r *rig) { r.hookErr = errMissing },
		"disabled":    func(r *rig) { r.hook.Enabled = false },
		"no address":  func(r *rig) { r.hook.URL = "" },
	} {
		for _, r := range []*rig{newRealtime(t), newAudio(t)} {
			set(r)
			if err := r.append(t, 0); err != nil || len(r.receiver.got) != 0 {
				t.Errorf("%s: got %v, %d posts; want nothing", name, err, len(r.receiver.got))
			}
		}
	}
	r := newRealtime(t)
	r.hookErr = fault.New(fault.Unavailable, "read webhooks", errors.New("down"))
	if err := r.append(t, 0); !fault.Is(err, fault.Unavailable) {
		t.Errorf("settings that can't be read: got %v, want unavailable", err)
	}
	for _, data := range []string{"garbage", "{}", `{"uid":"u/v","conversation_id":"c"}`} {
		e := event.Event{ID: "c:appended:x:1", Time: time.Now(), Data: []byte(data)}
		if err := r.TranscriptAppended(t.Context(), e); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want invalid", data, err)
		}
		if err := r.AudioAppended(t.Context(), e); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s as audio: got %v, want invalid", data, err)
		}
	}
}
