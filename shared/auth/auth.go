// Package auth says who is calling: users by the ID tokens of an issuer, Pub/Sub and Cloud Scheduler by the OIDC
// tokens of a service account. No token, nor a part of one that isn't known to be signed, is in any error or log.
package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"earshot.dev/shared/fault"
	"github.com/coreos/go-oidc/v3/oidc"
)

// maxToken is the size of the largest token that is looked at, in bytes. ID tokens take one or two thousand.
const maxToken = 8 << 10

// Config is whose ID tokens hold.
type Config struct {
	Issuer   string `env:"TOKEN_ISSUER,required"`   // the iss of tokens, to the letter
	Audience string `env:"TOKEN_AUDIENCE,required"` // one of the aud of tokens
	KeysURL  string `env:"TOKEN_KEYS_URL,required"` // of the issuer's JSON Web Key Set, RFC 7517
}

// Users verifies ID tokens of users.
type Users struct{ tokens *verifier }

// NewUsers makes a Users. Keys are read when the first token comes, and again when one comes that no key fits. Of ctx,
// only the values are used.
func NewUsers(ctx context.Context, cfg Config) *Users {
	return &Users{newVerifier(ctx, cfg.Issuer, cfg.Audience, cfg.KeysURL)}
}

// Verify gives the user whom a token names, and when they signed in: auth_time, which is the same in all tokens of a
// sign-in, else when the token was issued. It fails with fault.Expired for a token that
// has expired, and where the keys can't be read to tell; with fault.Unauthenticated for any other that doesn't hold,
// or whose sub can't be a user's id.
func (u *Users) Verify(ctx context.Context, token string) (uid string, signedIn time.Time, err error) {
	const op = "verify token"
	verified, err := u.tokens.verify(ctx, token)
	if err != nil {
		return "", time.Time{}, fault.Wrap(op, err)
	}
	if !validUID(verified.Subject) {
		return "", time.Time{}, fault.Newf(fault.Unauthenticated, op, "the token's subject can't be a user's id")
	}
	var claims struct {
		AuthTime int64 `json:"auth_time"` // seconds; OpenID Connect Core, section 2
	}
	if err := verified.Claims(&claims); err != nil {
		return "", time.Time{}, fault.Newf(fault.Unauthenticated, op, "the token's auth_time is no time")
	}
	if claims.AuthTime == 0 {
		return verified.Subject, verified.IssuedAt, nil
	}
	return verified.Subject, time.Unix(claims.AuthTime, 0), nil
}

// User says who sends a request, by its bearer token, and when they signed in (see Verify). Whether the token was revoked
// since is in the user's profile, which is for the caller to look at.
func (u *Users) User(r *http.Request) (uid string, signedIn time.Time, err error) {
	token, err := Bearer(r)
	if err != nil {
		return "", time.Time{}, err
	}
	return u.Verify(r.Context(), token)
}

// validUID says whether s can be the id of a user and of a document.
// https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields
func validUID(s string) bool {
	reserved := s == "." || s == ".." || strings.HasPrefix(s, "__") && strings.HasSuffix(s, "__")
	return s != "" && len(s) <= 128 && !strings.Contains(s, "/") && !reserved
}

// Bearer gives the token of a request's Authorization header (RFC 6750), or fault.Unauthenticated.
func Bearer(r *http.Request) (string, error) {
	const op = "read bearer token"
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", fault.Newf(fault.Unauthenticated, op, "want one Authorization header")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return "", fault.Newf(fault.Unauthenticated, op, "want Authorization: Bearer and a token")
	}
	return token, nil
}

// verifier verifies the tokens of an issuer for an audience.
type verifier struct{ tokens *oidc.IDTokenVerifier }

func newVerifier(ctx context.Context, issuer, audience, keysURL string) *verifier {
	return &verifier{oidc.NewVerifier(issuer, newKeys(ctx, keysURL), &oidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256},
	})}
}

func (v *verifier) verify(ctx context.Context, token string) (*oidc.IDToken, error) {
	if len(token) > maxToken {
		return nil, fault.Newf(fault.Unauthenticated, "", "the token has over %d bytes", maxToken)
	}
	var c check
	verified, err := v.tokens.Verify(context.WithValue(ctx, checkKey{}, &c), token)
	if err == nil {
		return verified, nil
	}
	_, expired := errors.AsType[*oidc.TokenExpiredError](err)
	switch {
	case expired: // which is asked last: it is good otherwise
		return nil, &fault.Error{Kind: fault.Expired, Reason: "the token has expired"}
	case c.unread != nil:
		return nil, &fault.Error{ // medium: it is not the caller's doing
			Kind: fault.Expired, Severity: fault.Medium, Op: "read keys", Reason: "the issuer's keys can't be read: try again",
			Err: c.unread,
		}
	case c.signed:
		return nil, fault.New(fault.Unauthenticated, "", err) // quotes the issuer, at most
	case c.asked:
		return nil, fault.Newf(fault.Unauthenticated, "", "the token is signed by no key of the issuer")
	default:
		return nil, fault.Newf(fault.Unauthenticated, "", "the token is malformed, or its algorithm is not taken")
	}
}
