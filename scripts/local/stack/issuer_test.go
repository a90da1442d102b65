package stack

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"earshot.dev/shared/auth"
	"earshot.dev/shared/fault"
)

// issuer is one whose keys can be read.
func issuer(t *testing.T) (*Issuer, auth.Config) {
	t.Helper()
	i, err := NewIssuer("https://issuer.test")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	return i, auth.Config{Issuer: "https://issuer.test", Audience: "aud", KeysURL: server.URL}
}

func TestTokensHoldBeforeTheProductionCode(t *testing.T) {
	i, config := issuer(t)
	impostor, err := i.Impostor()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		issuer   *Issuer
		audience string
		lifetime time.Duration
		kind     fault.Kind
	}{
		{"good", i, "aud", time.Hour, 0},
		{"expired", i, "aud", -time.Second, fault.Expired},
		{"for another audience", i, "other", time.Hour, fault.Unauthenticated},
		{"of an impostor", impostor, "aud", time.Hour, fault.Unauthenticated},
	}
	users := auth.NewUsers(t.Context(), config)
	for _, test := range tests {
		token, err := test.issuer.UserToken("anna", test.audience, test.lifetime)
		if err != nil {
			t.Fatal(err)
		}
		uid, _, err := users.Verify(t.Context(), token)
		if test.kind == 0 && (err != nil || uid != "anna") {
			t.Errorf("%s: %q, %v; want anna", test.name, uid, err)
		}
		if test.kind != 0 && !fault.Is(err, test.kind) {
			t.Errorf("%s: error %v, want kind %v", test.name, err, test.kind)
		}
	}
}

func TestServiceTokensOpenPushEndpoints(t *testing.T) {
	i, config := issuer(t)
	guard := auth.Push(t.Context(), auth.PushConfig{
		Issuer: config.Issuer, KeysURL: config.KeysURL, Audience: config.Audience, Account: serviceAccount,
	})
	handler := guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for account, want := range map[string]int{serviceAccount: http.StatusNoContent, "other@example.com": http.StatusForbidden} {
		token, err := i.ServiceToken(account, "aud", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: status %d, want %d", account, w.Code, want)
		}
	}
}

func TestKeysCanBeUnreadable(t *testing.T) {
	i, config := issuer(t)
	i.Down.Store(true)
	token, err := i.UserToken("anna", "aud", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := auth.NewUsers(t.Context(), config).Verify(t.Context(), token); !fault.Is(err, fault.Expired) {
		t.Errorf("got %v, want kind %v", err, fault.Expired)
	}
}
