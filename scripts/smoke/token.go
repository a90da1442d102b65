package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/iamcredentials/v1"
)

const (
	// user is whom the smoke test speaks for; infra/signin.tf has its document.
	user = "smoke-test"

	// customAudience is the aud of custom tokens.
	// https://firebase.google.com/docs/auth/admin/create-custom-tokens
	customAudience = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
	exchangeURL    = "https://identitytoolkit.googleapis.com/v1/accounts:signInWithCustomToken"
)

// strange says whether users' tokens are those of an issuer for which an account can't sign: any but the Identity
// Platform of its own project.
func strange(issuer, account string) bool {
	_, domain, _ := strings.Cut(account, "@")
	project, _, _ := strings.Cut(domain, ".")
	return issuer != "" && issuer != "https://securetoken.google.com/"+project
}

// signIn gets an ID token for the user, with what a service account signs. Whoever asks has to be allowed to have it
// sign.
func signIn(ctx context.Context, account, apiKey string) (string, error) {
	if account == "" || apiKey == "" {
		return "", errors.New("without a token, an account and an API key are needed")
	}
	service, err := iamcredentials.NewService(ctx)
	if err != nil {
		return "", err
	}
	payload, err := claims(account, time.Now())
	if err != nil {
		return "", err
	}
	signed, err := service.Projects.ServiceAccounts.SignJwt("projects/-/serviceAccounts/"+account,
		&iamcredentials.SignJwtRequest{Payload: payload}).Context(ctx).Do()
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return exchange(ctx, exchangeURL, apiKey, signed.SignedJwt)
}

// claims are those of a custom token that is good for five minutes.
func claims(account string, now time.Time) (string, error) {
	encoded, err := json.Marshal(map[string]any{
		"iss": account, "sub": account, "aud": customAudience, "uid": user,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	return string(encoded), err
}

// exchange gives an ID token for a custom token.
// https://cloud.google.com/identity-platform/docs/use-rest-api#section-verify-custom-token
func exchange(ctx context.Context, url, apiKey, custom string) (string, error) {
	body, err := json.Marshal(map[string]any{"token": custom, "returnSecureToken": true})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Goog-Api-Key", apiKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		IDToken string `json:"idToken"`
		Error   struct{ Message string }
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&answer); err != nil {
		return "", fmt.Errorf("exchange: %s: %w", response.Status, err)
	}
	if response.StatusCode != http.StatusOK || answer.IDToken == "" {
		return "", fmt.Errorf("exchange: %s %s", response.Status, answer.Error.Message)
	}
	return answer.IDToken, nil
}
