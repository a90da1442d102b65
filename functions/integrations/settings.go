package main

import (
	"context"
	"strings"

	"earshot.dev/functions/integrations/webhook"
	"earshot.dev/shared/account"
	"earshot.dev/shared/cache"
	"earshot.dev/shared/store"
)

// through reads settings through the cache, which keeps them under {uid}/{type}.
func through(settings *cache.Query[account.Webhook]) webhook.Settings {
	return func(ctx context.Context, uid string, t account.WebhookType) (account.Webhook, error) {
		return settings.Get(ctx, uid+"/"+string(t))
	}
}

// webhookOf loads what the cache keeps under {uid}/{type}.
func webhookOf(db *store.Store) func(context.Context, string) (account.Webhook, error) {
	return func(ctx context.Context, key string) (account.Webhook, error) {
		uid, webhookType, _ := strings.Cut(key, "/")
		return db.Webhook(ctx, uid, account.WebhookType(webhookType))
	}
}
