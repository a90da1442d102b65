// Command integrations delivers finished conversations to webhooks.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"earshot.dev/functions/integrations/webhook"
	"earshot.dev/shared/account"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cache"
	"earshot.dev/shared/event"
	"earshot.dev/shared/lock"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/server"
	"earshot.dev/shared/store"
	"earshot.dev/shared/subscriber"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		logging.Error(ctx, "service_failed", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	cfg, err := readConfig()
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "integrations"))

	db, err := store.Open(ctx, cfg.ProjectID)
	if err != nil {
		return err
	}
	rdb, err := redisclient.Open(cfg.Redis)
	if err != nil {
		return err
	}
	locks := lock.New(rdb)
	settings := cache.New(rdb, cache.Options{Name: "webhook", Version: 1, LocalTTL: 10 * time.Second}, webhookOf(db))
	defer func() {
		settings.Close()
		err = errors.Join(err, rdb.Close(), db.Close())
	}()

	sender := webhook.New(webhook.Options{
		Store: db, Hold: once(locks), AllowPrivate: cfg.AllowPrivateWebhooks,
		Settings: func(ctx context.Context, uid string, t account.WebhookType) (account.Webhook, error) {
			return settings.Get(ctx, uid+"/"+string(t))
		},
	})
	defer sender.Close()
	sub := subscriber.New(map[string]func(context.Context, event.Event) error{
		event.ConversationFinalized: sender.ConversationFinalized,
	})
	framework, err := server.CloudEvents(ctx, sub.Receive)
	if err != nil {
		return err
	}
	return server.Run(ctx, cfg.Server, auth.Push(ctx, cfg.Push)(sub.Push(framework)))
}

// once holds a lock for as long as fn runs. Who finds it held goes away, and comes again with the next delivery.
func once(locks *lock.Locker) func(context.Context, string, func(context.Context) error) error {
	return func(ctx context.Context, name string, fn func(context.Context) error) error {
		return locks.Hold(ctx, name, lock.Options{}, fn)
	}
}

// webhookOf loads what the cache keeps under {uid}/{type}.
func webhookOf(db *store.Store) func(context.Context, string) (account.Webhook, error) {
	return func(ctx context.Context, key string) (account.Webhook, error) {
		uid, webhookType, _ := strings.Cut(key, "/")
		return db.Webhook(ctx, uid, account.WebhookType(webhookType))
	}
}
