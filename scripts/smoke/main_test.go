package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		heard, text string
		want        float64
	}{
		{"", "he might", 0},
		{"He, might!", "he might", 1},
		{"might he", "he might", 1},
		{"he", "he he", 0.5},
		{"something else", "he might", 0},
		{"he", "", 0},
	} {
		if got := share(tt.heard, tt.text); got != tt.want {
			t.Errorf("%q of %q: got %v, want %v", tt.heard, tt.text, got, tt.want)
		}
	}
}

// It fails where nothing, or something else, is understood, and where the socket is closed; whatever is sent.
func TestRun(t *testing.T) {
	clip := filepath.Join(t.TempDir(), "clip.raw")
	if err := os.WriteFile(clip, make([]byte, 6400), 0o600); err != nil { // 200 ms
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, message, want string
		refused             bool
	}{
		{"understood", `[{"id":"1","text":"He might even"}]`, "", false},
		{"misunderstood", `[{"id":"1","text":"tea"}]`, "not understood within", false},
		{"silent", `{"type":"service_status"}`, "not understood within", false},
		{"refused", "", "1008", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") == "" {
					w.WriteHeader(http.StatusUpgradeRequired)
					return
				}
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.CloseNow()
				if tt.refused {
					_ = conn.Close(websocket.StatusPolicyViolation, "unknown user") // the client says whether it came
					return
				}
				if err := conn.Write(r.Context(), websocket.MessageText, []byte(tt.message)); err != nil {
					t.Error(err)
				}
				for err == nil { // until the client goes
					_, _, err = conn.Read(r.Context())
				}
			}))
			defer server.Close()
			err := run(t.Context(), options{
				Listen: server.URL, Token: "t", File: clip, Text: "he might even", Least: 0.5, Wait: 50 * time.Millisecond,
			})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestExchange(t *testing.T) {
	for _, tt := range []struct {
		name, answer, want string
		status             int
	}{
		{"taken", `{"idToken":"id"}`, "", http.StatusOK},
		{"refused", `{"error":{"message":"INVALID_CUSTOM_TOKEN"}}`, "INVALID_CUSTOM_TOKEN", http.StatusBadRequest},
		{"empty", `{}`, "200", http.StatusOK},
		{"garbage", `<html>`, "502", http.StatusBadGateway},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var body struct{ Token string }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Token != "custom" || r.Header.Get("X-Goog-Api-Key") != "key" {
					t.Errorf("got %+v, %v with key %q", body, err, r.Header.Get("X-Goog-Api-Key"))
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.answer)) // the client says whether it came
			}))
			defer server.Close()
			got, err := exchange(t.Context(), server.URL, "key", "custom")
			if tt.want == "" && (err != nil || got != "id") || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
