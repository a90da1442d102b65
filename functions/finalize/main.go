// Command finalize finalizes conversations that have ended.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"cloud.google.com/go/pubsub/v2"

	"earshot.dev/functions/finalize/finalizer"
	"earshot.dev/functions/finalize/summary/extractive"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cached"
	"earshot.dev/shared/event"
	"earshot.dev/shared/lock"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/publisher"
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
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "finalize"))
	stop, err := telemetry.Start(ctx, cfg.Telemetry, "finalize")
	if err != nil {
		return err
	}
	defer stop()

	documents, err := store.Open(ctx, cfg.ProjectID)
	if err != nil {
		return err
	}
	topics, err := pubsub.NewClient(ctx, cfg.ProjectID)
	if err != nil {
		return fmt.Errorf("open pubsub: %w", err)
	}
	events := publisher.New(topics)
	rdb, err := redisclient.Open(cfg.Redis)
	if err != nil {
		return err
	}
	db := cached.New(documents, rdb)
	locks := lock.New(rdb, cfg.LockTTL)
	defer func() {
		events.Close()
		err = errors.Join(err, topics.Close(), db.Close(), rdb.Close())
	}()
	defer locks.Close()

	summarizer, err := extractive.New()
	if err != nil {
		return err
	}
	f := &finalizer.Finalizer{
		Store: db, Publisher: events, Hold: locks.Try, Summarizer: summarizer, Fallback: summarizer,
		ClaimTTL: cfg.ClaimTTL,
	}
	sub := subscriber.New(map[string]func(context.Context, event.Event) error{event.ConversationEnded: f.Finalize})
	framework, err := server.CloudEvents(ctx, sub.Receive)
	if err != nil {
		return err
	}
	return server.Run(ctx, cfg.Server, auth.Push(ctx, cfg.Push)(sub.Push(framework)))
}
