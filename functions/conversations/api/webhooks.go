package api

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"earshot.dev/shared/account"
	"earshot.dev/shared/fault"
)

// webhookTypes are those that can be set.
var webhookTypes = []account.WebhookType{
	account.MemoryCreated, account.RealtimeTranscript, account.AudioBytes, account.DaySummary,
}

const (
	maxURL      = 2048 // bytes
	secretBytes = 32
)

func (r request) webhookType() (account.WebhookType, error) {
	t := account.WebhookType(r.PathValue("type"))
	if !slices.Contains(webhookTypes, t) {
		return "", fault.Newf(fault.NotFound, "read path", "there is no such type of webhook")
	}
	return t, nil
}

// webhook is GET /v1/users/developer/webhook/{type}. Whoever has none gets empty settings.
func (a *API) webhook(ctx context.Context, r request) (answer, error) {
	t, err := r.webhookType()
	if err != nil {
		return answer{}, err
	}
	hooks, err := a.Reader.Webhooks(ctx, r.uid)
	if err != nil {
		return answer{}, err
	}
	return answer{body: hooks[t]}, nil
}

// webhooks is GET /v1/users/developer/webhooks/status: which are enabled.
func (a *API) webhooks(ctx context.Context, r request) (answer, error) {
	hooks, err := a.Reader.Webhooks(ctx, r.uid)
	if err != nil {
		return answer{}, err
	}
	enabled := make(map[account.WebhookType]bool, len(webhookTypes))
	for _, t := range webhookTypes {
		enabled[t] = hooks[t].Enabled
	}
	return answer{body: enabled}, nil
}

// setWebhook is POST /v1/users/developer/webhook/{type}. A new address enables the webhook, an empty one, or Omi's
// ",", disables it. The first one gets a secret to sign with, which stays.
func (a *API) setWebhook(ctx context.Context, r request) (answer, error) {
	t, err := r.webhookType()
	if err != nil {
		return answer{}, err
	}
	var body struct {
		URL *string `json:"url"`
	}
	if err := r.decode(&body); err != nil {
		return answer{}, err
	}
	if body.URL == nil {
		return answer{}, fault.Newf(fault.Invalid, "read body", "the body has to have an url")
	}
	address := strings.TrimSpace(*body.URL)
	if address == "," {
		address = ""
	}
	called := address
	if t == account.AudioBytes {
		called, _ = account.Webhook{URL: address}.Audio()
	}
	if address != "" && (len(address) > maxURL || !isAddress(called)) {
		return answer{}, fault.Newf(fault.Invalid, "read body", "url has to be an http or https address of up to %d bytes", maxURL)
	}
	return ok(a.Store.ChangeWebhook(ctx, r.uid, t, func(hook *account.Webhook) {
		hook.URL, hook.Enabled = address, address != ""
		if hook.Secret == "" && hook.Enabled {
			hook.Secret = newSecret()
		}
	}))
}

// switchWebhook is POST /v1/users/developer/webhook/{type}/enable or disable. One without an address can't be enabled: it
// would be told of nothing.
func (a *API) switchWebhook(enabled bool) handle {
	return func(ctx context.Context, r request) (answer, error) {
		t, err := r.webhookType()
		if err != nil {
			return answer{}, err
		}
		var missing bool
		err = a.Store.ChangeWebhook(ctx, r.uid, t, func(hook *account.Webhook) {
			missing = enabled && hook.URL == ""
			hook.Enabled = enabled && !missing
		})
		if err == nil && missing {
			err = fault.Newf(fault.Invalid, "enable webhook", "the webhook has no url: set one, which enables it")
		}
		return ok(err)
	}
}

// isAddress reports whether s can be posted to. Whether it may be is decided when it is (functions/integrations).
func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// newSecret is a key in the form of standardwebhooks.com.
func newSecret() string {
	key := make([]byte, secretBytes)
	rand.Read(key)
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}
