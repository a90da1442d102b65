package auth

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"earshot.dev/shared/logging"
)

func TestPush(t *testing.T) {
	i := newIssuer(t)
	middleware := Push(t.Context(), PushConfig{
		Issuer: "https://issuer.test", KeysURL: i.url, Audience: "earshot", Account: "push@earshot.test",
	})
	for _, tt := range []struct {
		name, header string
		status       int
	}{
		{"good", "Bearer " + i.sign(t, nil), http.StatusOK},
		{"no token", "", http.StatusUnauthorized},
		{"other scheme", "Basic " + i.sign(t, nil), http.StatusUnauthorized},
		{"other audience", "Bearer " + i.sign(t, map[string]any{"aud": "another"}), http.StatusUnauthorized},
		{"expired", "Bearer " + i.sign(t, map[string]any{"exp": 1}), http.StatusUnauthorized},
		{"other account", "Bearer " + i.sign(t, map[string]any{"email": "other@earshot.test"}), http.StatusForbidden},
		{"no account", "Bearer " + i.sign(t, map[string]any{"email": nil}), http.StatusForbidden},
		{"unverified account", "Bearer " + i.sign(t, map[string]any{"email_verified": false}), http.StatusForbidden},
		{"account that is a number", "Bearer " + i.sign(t, map[string]any{"email": 7}), http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			ctx := logging.NewContext(t.Context(), logging.New(&out, logging.Config{}, "test"))
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			reached := false
			w := httptest.NewRecorder()
			middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(w, r)
			if w.Code != tt.status || reached != (tt.status == http.StatusOK) {
				t.Errorf("got status %d, passed %v; want %d", w.Code, reached, tt.status)
			}
			lines := strings.Count(out.String(), "\n")
			if want := map[bool]int{true: 0, false: 1}[reached]; lines != want || strings.Contains(out.String(), "eyJ") {
				t.Errorf("got %d lines, want %d, without a token: %s", lines, want, &out)
			}
		})
	}
}
