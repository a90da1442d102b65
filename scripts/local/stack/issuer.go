package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// keyID names the one key of every issuer: an impostor calls its own key the same.
const keyID = "local"

// Issuer signs tokens with a key of its own, and serves the key set (RFC 7517) that proves them.
type Issuer struct {
	// Down makes the key set unreadable.
	Down atomic.Bool

	name   string
	signer jose.Signer
	keys   jose.JSONWebKeySet
}

// NewIssuer makes an issuer with a new key. Its name is the iss of its tokens.
func NewIssuer(name string) (*Issuer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, KeyID: keyID, Algorithm: string(jose.ES256), Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	return &Issuer{name: name, signer: signer, keys: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}}, nil
}

// Impostor is an issuer of the same name whose key nobody vouches for: its tokens have to be refused.
func (i *Issuer) Impostor() (*Issuer, error) { return NewIssuer(i.name) }

// ServeHTTP answers with the key set.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if i.Down.Load() {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(i.keys) // a client that has gone needs no keys
}

// UserToken is the ID token of a user, good for the lifetime from now on, or expired where that is negative.
func (i *Issuer) UserToken(uid, audience string, lifetime time.Duration) (string, error) {
	return i.UserTokenSince(time.Now(), uid, audience, lifetime)
}

// UserTokenSince is the same for who signed in at a time.
func (i *Issuer) UserTokenSince(signedIn time.Time, uid, audience string, lifetime time.Duration) (string, error) {
	claims := jwt.Claims{Subject: uid, Audience: jwt.Audience{audience}}
	return i.sign(claims, lifetime, map[string]any{"auth_time": signedIn.Unix()})
}

// ServiceToken is the OIDC token with which Pub/Sub and Cloud Scheduler call as a service account
// (https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions).
func (i *Issuer) ServiceToken(account, audience string, lifetime time.Duration) (string, error) {
	claims := jwt.Claims{Subject: account, Audience: jwt.Audience{audience}}
	return i.sign(claims, lifetime, map[string]any{"email": account, "email_verified": true})
}

func (i *Issuer) sign(claims jwt.Claims, lifetime time.Duration, more map[string]any) (string, error) {
	now := time.Now()
	claims.Issuer = i.name
	claims.IssuedAt = jwt.NewNumericDate(now.Add(min(lifetime, 0)))
	claims.Expiry = jwt.NewNumericDate(now.Add(lifetime))
	token, err := jwt.Signed(i.signer).Claims(claims).Claims(more).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}
