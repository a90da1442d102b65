// Command integrations delivers finished conversations to webhooks.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"earshot.dev/functions/integrations/webhook"
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
		Store: db, Hold: locks.Try, AllowPrivate: cfg.AllowPrivateWebhooks,
		Settings: through(settings),
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
