package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot.dev/functions/listen/stt"
)

func TestRecognizersFromTheEnvironment(t *testing.T) {
	credentials := filepath.Join(t.TempDir(), "credentials.json")
	person := `{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"t"}`
	if err := os.WriteFile(credentials, []byte(person), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		env      map[string]string
		supports string // a language that has to be understood
		fails    string // part of the error
	}{
		{"default", map[string]string{"DEEPGRAM_API_KEY": "k"}, "de-AT", ""},
		{"two servers", map[string]string{"DEEPGRAM_API_KEY": "k", "DEEPGRAM_URL": "ws://a/v1/listen,ws://b/v1/listen"}, stt.Multi, ""},
		{"by language", map[string]string{"DEEPGRAM_API_KEY": "k", "RECOGNIZERS": "deepgram;th:google,deepgram", "GOOGLE_SPEECH_LOCATION": "eu"}, "th", ""},
		{"no deepgram", map[string]string{"RECOGNIZERS": "google", "GOOGLE_SPEECH_MODEL": "chirp_3"}, stt.Multi, ""},
		{"no key", nil, "", "DEEPGRAM_API_KEY"},
		{"unknown", map[string]string{"DEEPGRAM_API_KEY": "k", "RECOGNIZERS": "deepgram,parrot"}, "", "parrot"},
		{"no name", map[string]string{"DEEPGRAM_API_KEY": "k", "RECOGNIZERS": "deepgram;de:"}, "", "de:"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"PROJECT_ID", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "TOKEN_KEYS_URL", "REDIS_URL"} {
				t.Setenv(name, "required")
			}
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", credentials)
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			var recognizer stt.Recognizer
			var closeAll func() error
			cfg, err := readConfig()
			if err == nil {
				recognizer, closeAll, err = openRecognizer(t.Context(), cfg)
			}
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("got %v, want an error about %s", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatalf("got %v, want a recogniser", err)
			}
			if !recognizer.Supports(test.supports) {
				t.Errorf("%s isn't supported", test.supports)
			}
			if err := closeAll(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func TestLimitsFromTheEnvironment(t *testing.T) {
	for _, name := range []string{"PROJECT_ID", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "TOKEN_KEYS_URL", "REDIS_URL"} {
		t.Setenv(name, "required")
	}
	usual := limits{
		MinSilence: 2 * time.Minute, Sessions: 300, UserSessions: 8, FrameBytes: 64 << 10, FramesPerSecond: 1000,
		SessionBytes: 512 << 20, Images: 100, SessionAge: 55 * time.Minute,
		SessionIdle: 90 * time.Second,
	}
	for _, step := range []struct {
		env  map[string]string
		want limits
	}{
		{nil, usual},
		{map[string]string{
			"MIN_CONVERSATION_TIMEOUT": "1s", "MAX_SESSIONS": "2", "MAX_SESSIONS_PER_USER": "3", "MAX_FRAME_BYTES": "4",
			"MAX_FRAMES_PER_SECOND": "5", "MAX_SESSION_BYTES": "6", "MAX_SESSION_IMAGES": "7",
			"SESSION_AGE": "8s", "SESSION_IDLE": "9s",
		}, limits{time.Second, 2, 3, 4, 5, 6, 7, 8 * time.Second, 9 * time.Second}},
	} {
		for name, value := range step.env {
			t.Setenv(name, value)
		}
		cfg, err := readConfig()
		if err != nil || cfg.Limits != step.want {
			t.Errorf("%v: got %+v, error %v; want %+v", step.env, cfg.Limits, err, step.want)
		}
	}
}
