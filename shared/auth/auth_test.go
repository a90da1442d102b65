package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"earshot.dev/shared/fault"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuer signs tokens and serves its keys.
type issuer struct {
	url   string // of the keys
	reads atomic.Int64

	mu     sync.Mutex
	keys   []jose.JSONWebKey // the last one signs
	answer http.HandlerFunc  // instead of the keys, if set
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := new(issuer)
	i.rotate(t, "k1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.reads.Add(1)
		i.mu.Lock()
		answer := i.answer
		i.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		if err := json.NewEncoder(w).Encode(i.public()); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *issuer) public() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range i.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

func (i *issuer) rotate(t testing.TB, kid string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: string(jose.ES256), Use: "sig"})
}

func (i *issuer) instead(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// sign gives a good token, with some claims changed; a nil one is left out.
func (i *issuer) sign(t testing.TB, change map[string]any) string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	return sign(t, jose.ES256, i.keys[len(i.keys)-1], change)
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, change map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": "https://issuer.test", "aud": "earshot", "sub": "user-1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"email": "push@earshot.test", "email_verified": true,
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (i *issuer) users(t testing.TB) *Users {
	return NewUsers(t.Context(), Config{Issuer: "https://issuer.test", Audience: "earshot", KeysURL: i.url})
}

func TestGoodToken(t *testing.T) {
	i := newIssuer(t)
	now := time.Now().Truncate(time.Second)
	before := now.Add(-time.Hour)
	for name, change := range map[string]map[string]any{
		"of a sign-in":     {"auth_time": before.Unix(), "iat": now.Unix()},
		"without its time": {"iat": before.Unix()},
		"two audiences":    {"iat": before.Unix(), "aud": []string{"other", "earshot"}},
	} {
		uid, signedIn, err := i.users(t).Verify(t.Context(), i.sign(t, change))
		if uid != "user-1" || !signedIn.Equal(before) || err != nil {
			t.Errorf("%s: got %q since %v, %v; want user-1 since %v", name, uid, signedIn, err, before)
		}
	}
}

func TestTokensThatDontHold(t *testing.T) {
	i := newIssuer(t)
	users := i.users(t)
	good := i.sign(t, nil)
	parts := strings.Split(good, ".")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(i.public())
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`))
	ago := time.Now().Add(-time.Second).Unix()
	for _, tt := range []struct {
		name, token string
		want        fault.Kind
	}{
		{"empty", "", fault.Unauthenticated},
		{"garbage", "garbage", fault.Unauthenticated},
		{"three parts of garbage", "a.b.c", fault.Unauthenticated},
		{"huge", strings.Repeat("a", maxToken+1), fault.Unauthenticated},
		{"cut", good[:len(good)-5], fault.Unauthenticated},
		{"other claims under the signature", parts[0] + "." + strings.Split(i.sign(t, map[string]any{"sub": "user-2"}), ".")[1] + "." + parts[2], fault.Unauthenticated},
		{"alg none", none + "." + parts[1] + ".", fault.Unauthenticated},
		{"alg none with a signature", none + "." + parts[1] + "." + parts[2], fault.Unauthenticated},
		{"symmetric, with the public key", sign(t, jose.HS256, public, nil), fault.Unauthenticated},
		{"key of a stranger", sign(t, jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: "k9"}, nil), fault.Unauthenticated},
		{"key of a stranger under a known name", sign(t, jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: "k1"}, nil), fault.Unauthenticated},
		{"algorithm that isn't taken", sign(t, jose.PS256, jose.JSONWebKey{Key: weak, KeyID: "k1"}, nil), fault.Unauthenticated},
		{"expired", i.sign(t, map[string]any{"exp": ago}), fault.Expired},
		{"without an end", i.sign(t, map[string]any{"exp": nil}), fault.Expired},
		{"expired, of another issuer", i.sign(t, map[string]any{"exp": ago, "iss": "x"}), fault.Unauthenticated},
		{"not yet valid", i.sign(t, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), fault.Unauthenticated},
		{"other issuer", i.sign(t, map[string]any{"iss": "https://issuer.test/"}), fault.Unauthenticated},
		{"other audience", i.sign(t, map[string]any{"aud": "another"}), fault.Unauthenticated},
		{"no audience", i.sign(t, map[string]any{"aud": nil}), fault.Unauthenticated},
		{"no subject", i.sign(t, map[string]any{"sub": nil}), fault.Unauthenticated},
		{"subject that is a path", i.sign(t, map[string]any{"sub": "a/devices/b"}), fault.Unauthenticated},
		{"subject that is long", i.sign(t, map[string]any{"sub": strings.Repeat("u", 129)}), fault.Unauthenticated},
		{"subject that Firestore reserves", i.sign(t, map[string]any{"sub": "__all__"}), fault.Unauthenticated},
		{"subject of two dots", i.sign(t, map[string]any{"sub": ".."}), fault.Unauthenticated},
		{"subject that is a number", i.sign(t, map[string]any{"sub": 7}), fault.Unauthenticated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			uid, _, err := users.Verify(t.Context(), tt.token)
			if uid != "" || !fault.Is(err, tt.want) {
				t.Fatalf("got uid %q, %v of kind %v; want kind %v", uid, err, fault.KindOf(err), tt.want)
			}
			for part := range strings.SplitSeq(tt.token, ".") {
				if len(part) > 5 && strings.Contains(err.Error(), part) {
					t.Errorf("the error quotes the token: %v", err)
				}
			}
		})
	}
}

// A fault of the key set is told from a signature that doesn't hold: the client is to come again.
func TestKeysThatCantBeRead(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"an error":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusInternalServerError) },
		"not found": http.NotFound,
		"no JSON":   says("<html>"),
		"a broken key": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`)) /* the test sees it */
		},
		"a closed door": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"silence":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			if answer == nil {
				answer = func(http.ResponseWriter, *http.Request) { <-t.Context().Done() }
			}
			i.instead(answer)
			users := i.users(t)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, _, err := users.Verify(ctx, i.sign(t, nil))
			if !fault.Is(err, fault.Expired) || fault.SeverityOf(err) != fault.Medium {
				t.Errorf("got %v of kind %v and severity %v, want expired and medium", err, fault.KindOf(err), fault.SeverityOf(err))
			}
		})
	}
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, body) // a client that has gone is no concern of the test
	}
}

// Keys that are known go on to be good while the key set is down.
func TestKnownKeysOutliveTheKeySet(t *testing.T) {
	i := newIssuer(t)
	users := i.users(t)
	for range 3 {
		if _, _, err := users.Verify(t.Context(), i.sign(t, nil)); err != nil {
			t.Fatal(err)
		}
		i.instead(http.NotFound)
	}
	if got := i.reads.Load(); got != 1 {
		t.Errorf("the keys were read %d times, want once", got)
	}
}

// A flood of tokens that no key fits doesn't become a flood at the issuer's door, and they are refused as bad.
func TestFloodOfUnknownKeys(t *testing.T) {
	i := newIssuer(t)
	users := i.users(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: "k9"}, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if _, _, err := users.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
					t.Errorf("got %v, want unauthenticated", err)
				}
			}
		})
	}
	wg.Wait()
	if got := i.reads.Load(); got != 1 {
		t.Errorf("400 tokens read the keys %d times, want once", got)
	}
}

func TestBearer(t *testing.T) {
	for _, tt := range []struct {
		headers []string
		want    string
	}{
		{[]string{"Bearer abc"}, "abc"},
		{[]string{"bearer  abc "}, "abc"},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"Bearer"}, ""},
		{[]string{"Bearer "}, ""},
		{[]string{"Bearerabc"}, ""},
		{[]string{"Basic abc"}, ""},
		{[]string{"Bearer abc def"}, ""},
		{[]string{"Bearer abc", "Bearer def"}, ""},
	} {
		got, err := Bearer(&http.Request{Header: http.Header{"Authorization": tt.headers}})
		if got != tt.want || (tt.want == "") != fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: got %q, %v; want %q", tt.headers, got, err, tt.want)
		}
	}
}

// A request is its user's by one bearer token that holds, and else nobody's.
func TestUser(t *testing.T) {
	i := newIssuer(t)
	users := i.users(t)
	good := "Bearer " + i.sign(t, map[string]any{"sub": "user-7"})
	for _, tt := range []struct {
		name    string
		headers []string
		uid     string
		kind    fault.Kind // of the error, if any
	}{
		{"a token that holds", []string{good}, "user-7", 0},
		{"no token", nil, "", fault.Unauthenticated},
		{"two, one of which holds", []string{good, "Bearer x"}, "", fault.Unauthenticated},
		{"another scheme", []string{"Basic dTpw"}, "", fault.Unauthenticated},
		{"a token of another issuer", []string{"Bearer " + i.sign(t, map[string]any{"iss": "https://other.test"})}, "", fault.Unauthenticated},
		{"a token that is over", []string{"Bearer " + i.sign(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})}, "", fault.Expired},
		{"a token of what is no user", []string{"Bearer " + i.sign(t, map[string]any{"sub": "a/b"})}, "", fault.Unauthenticated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/conversations?token=ignored", nil)
			r.Header["Authorization"] = tt.headers
			uid, signedIn, err := users.User(r)
			if uid != tt.uid || (err == nil) != (tt.uid != "") || signedIn.IsZero() != (tt.uid == "") {
				t.Fatalf("got %q, signed in at %v, %v; want %q", uid, signedIn, err, tt.uid)
			}
			if err != nil && fault.KindOf(err) != tt.kind {
				t.Errorf("got %v, want %v", err, tt.kind)
			}
			for _, header := range tt.headers {
				if token := strings.TrimPrefix(header, "Bearer "); err != nil && len(token) > 8 && strings.Contains(err.Error(), token) {
					t.Error("the error holds the token, and would take it to the log")
				}
			}
		})
	}
}

// A request that was given up doesn't wait for the issuer's keys.
func TestUserOfRequestThatEnded(t *testing.T) {
	i := newIssuer(t)
	ended := make(chan struct{})
	i.instead(func(_ http.ResponseWriter, _ *http.Request) { <-ended })
	defer close(ended)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+i.sign(t, nil))
	if uid, _, err := i.users(t).User(r); uid != "" || err == nil {
		t.Errorf("got %q, %v, want nobody and an error", uid, err)
	}
}

// Nothing that comes as a token may pass, or bring the verifier down, that isn't signed.
func FuzzVerify(f *testing.F) {
	i := newIssuer(f)
	users := i.users(f)
	good := i.sign(f, nil)
	for _, token := range []string{good, "", ".", "..", "a.b.c", good + ".", "{}", `{"payload":"e30","signatures":[]}`} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		uid, _, err := users.Verify(t.Context(), token)
		if token != good && (err == nil || uid != "") {
			t.Errorf("%q passed as %q", token, uid)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	i := newIssuer(b)
	users, token := i.users(b), i.sign(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := users.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
