// Command sweep ends what was abandoned, and tells again what nobody heard.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"cloud.google.com/go/pubsub/v2"

	"earshot.dev/functions/sweep/sweeper"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cached"
	"earshot.dev/shared/lock"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/publisher"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/server"
	"earshot.dev/shared/store"
	"earshot.dev/shared/telemetry"
)

func main() { server.Main(run) }

func run(ctx context.Context) (err error) {
	cfg, err := readConfig()
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "sweep"))
	stop, err := telemetry.Start(ctx, cfg.Telemetry, "sweep")
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

	s := &sweeper.Sweeper{Store: db, Publisher: events, Hold: locks.Try, AnnounceAfter: cfg.AnnounceAfter}
	framework, err := server.HTTPFunction(ctx, sweep(s))
	if err != nil {
		return err
	}
	return server.Run(ctx, cfg.Server, auth.Push(ctx, cfg.Push)(framework))
}
