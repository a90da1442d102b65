// Command integrations delivers finished conversations, and words while they are said, to webhooks.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"earshot.dev/functions/integrations/webhook"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cached"
	"earshot.dev/shared/event"
	"earshot.dev/shared/lock"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/server"
	"earshot.dev/shared/store"
	"earshot.dev/shared/subscriber"
	"earshot.dev/shared/telemetry"
)

func main() { server.Main(run) }

func run(ctx context.Context) (err error) {
	cfg, err := readConfig()
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "integrations"))
	stop, err := telemetry.Start(ctx, cfg.Telemetry, "integrations")
	if err != nil {
		return err
	}
	defer stop()

	documents, err := store.Open(ctx, cfg.ProjectID)
	if err != nil {
		return err
	}
	rdb, err := redisclient.Open(cfg.Redis)
	if err != nil {
		return err
	}
	db := cached.New(documents, rdb)
	locks := lock.New(rdb, cfg.LockTTL)
	defer func() { err = errors.Join(err, db.Close(), rdb.Close()) }()
	defer locks.Close()

	sender := webhook.New(webhook.Options{
		Store: db, Hold: locks.Try, Settings: db.Read.Webhook, AllowPrivate: cfg.AllowPrivateWebhooks,
		ClaimTTL: cfg.ClaimTTL,
	})
	defer sender.Close()
	sub := subscriber.New(map[string]func(context.Context, event.Event) error{
		event.ConversationFinalized: sender.ConversationFinalized,
		event.TranscriptAppended:    sender.TranscriptAppended,
		event.AudioAppended:         sender.AudioAppended,
	})
	framework, err := server.CloudEvents(ctx, sub.Receive)
	if err != nil {
		return err
	}
	return server.Run(ctx, cfg.Server, auth.Push(ctx, cfg.Push)(sub.Push(framework)))
}
