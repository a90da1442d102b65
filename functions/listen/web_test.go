package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"earshot.dev/shared/account"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/redistest"
)

// A browser's token is answered with what comes of it: a close follows on false, and true lets the person in, or further to
// what they ask for.
func TestTokenIsAnswered(t *testing.T) {
	firestore, err := firestoretest.NewServer(firestoretest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(firestore.Close)
	t.Setenv("FIRESTORE_EMULATOR_HOST", firestore.Addr())
	db := open(t, redistest.New(t))
	for uid, since := range map[string]time.Time{"anna": {}, "ben": time.Now().Add(time.Hour)} {
		if err := db.PutProfile(t.Context(), uid, account.Profile{TokensValidAfter: since}); err != nil {
			t.Fatal(err)
		}
	}
	users, token := issuer(t)
	d := &door{users: users, read: db.Read, limits: limits{FrameBytes: 8 << 10}}
	server := httptest.NewServer(http.HandlerFunc(d.web))
	t.Cleanup(server.Close)
	for name, tt := range map[string]struct {
		token   string
		success bool
		code    websocket.StatusCode
	}{
		"good":    {token("anna"), true, 1003}, // it asks for no codec that there is
		"forged":  {"what", false, 1008},
		"unknown": {token("nobody"), false, 1008},
		"revoked": {token("ben"), false, 4004},
	} {
		t.Run(name, func(t *testing.T) {
			conn, _, err := websocket.Dial(t.Context(), server.URL+"?codec=mp3", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			frame := []byte(`{"type":"auth","token":"` + tt.token + `"}`)
			if err := conn.Write(t.Context(), websocket.MessageText, frame); err != nil {
				t.Fatal(err)
			}
			_, got, err := conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var answer struct {
				Type    string `json:"type"`
				Success bool   `json:"success"`
			}
			if err := json.Unmarshal(got, &answer); err != nil || answer.Type != "auth_response" || answer.Success != tt.success {
				t.Errorf("got %s, want an auth_response with success %t", got, tt.success)
			}
			if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != tt.code {
				t.Errorf("got %v, want a close with %d", err, tt.code)
			}
		})
	}
}

// Of a token it is not said that it doesn't hold where it is we who can't tell: its owner would be signed out.
func TestTokenThatCannotBeChecked(t *testing.T) {
	for err, want := range map[error]bool{
		fault.Newf(fault.Revoked, "admit", "revoked"):                   true,
		fault.Newf(fault.NotFound, "admit", "unknown"):                  true,
		fault.New(fault.Unavailable, "admit", context.DeadlineExceeded): false,
		errors.New("a bug"): false,
	} {
		if got := refuses(err); got != want {
			t.Errorf("%v: refused %t, want %t", err, got, want)
		}
	}
}

// issuer gives whose tokens hold, and tokens.
func issuer(t *testing.T) (users *auth.Users, token func(uid string) string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "k", Algorithm: string(jose.ES256), Use: "sig"}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(keys.Close)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token = func(uid string) string {
		t.Helper()
		now := time.Now()
		signed, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: "https://issuer.test", Audience: jwt.Audience{"aud"}, Subject: uid,
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	return auth.NewUsers(t.Context(), auth.Config{Issuer: "https://issuer.test", Audience: "aud", KeysURL: keys.URL}), token
}
