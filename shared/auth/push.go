package auth

import (
	"context"
	"log/slog"
	"net/http"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

const eventRefused = "push_refused"

// PushConfig is whose pushes are taken: those with a token of Google's for a service account of ours.
// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
type PushConfig struct {
	Issuer   string `env:"PUSH_ISSUER"   envDefault:"https://accounts.google.com"`
	KeysURL  string `env:"PUSH_KEYS_URL" envDefault:"https://www.googleapis.com/oauth2/v3/certs"`
	Audience string `env:"PUSH_AUDIENCE,required"` // as set with the subscription or the job
	Account  string `env:"PUSH_ACCOUNT,required"`  // e-mail address of the service account that they push as
}

// Push lets requests through that carry a token of cfg's service account. It answers others, and logs why: 403 to
// another account, 401 to anything else. Pub/Sub and Cloud Scheduler try again after either. Of ctx, only the values
// are used.
func Push(ctx context.Context, cfg PushConfig) func(http.Handler) http.Handler {
	tokens := newVerifier(ctx, cfg.Issuer, cfg.Audience, cfg.KeysURL)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := authorize(r, tokens, cfg.Account); err != nil {
				// Somebody has set up something wrongly, or is trying doors.
				logging.Error(r.Context(), eventRefused, fault.Escalate(fault.Medium, err), slog.String("path", r.URL.Path))
				http.Error(w, fault.KindOf(err).String(), fault.KindOf(err).HTTPStatus())
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func authorize(r *http.Request, tokens *verifier, account string) error {
	const op = "authorize push"
	token, err := Bearer(r)
	if err != nil {
		return fault.Wrap(op, err)
	}
	verified, err := tokens.verify(r.Context(), token)
	if err != nil {
		return fault.Wrap(op, err)
	}
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := verified.Claims(&claims); err != nil {
		return fault.New(fault.Unauthenticated, op, err)
	}
	if !claims.Verified || claims.Email != account {
		return fault.Newf(fault.Forbidden, op, "the token is of the account %q", claims.Email)
	}
	return nil
}
