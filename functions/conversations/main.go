// Command conversations is the REST API that an app needs beside the socket.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"cloud.google.com/go/pubsub/v2"
	"github.com/go-redis/redis_rate/v10"
	"golang.org/x/time/rate"

	"earshot.dev/functions/conversations/api"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cached"
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
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "conversations"))
	stop, err := telemetry.Start(ctx, cfg.Telemetry, "conversations")
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
	defer func() {
		events.Close()
		err = errors.Join(err, topics.Close(), db.Close(), rdb.Close())
	}()

	handler := api.New(api.Options{
		Reader: db.Read, Store: db, Publisher: events, User: auth.NewUsers(ctx, cfg.Auth).User,
		Rate: rate.Limit(cfg.UserRate), Burst: cfg.UserBurst, Shared: redis_rate.NewLimiter(rdb),
	})
	framework, err := server.HTTPFunction(ctx, handler.ServeHTTP)
	if err != nil {
		return err
	}
	return server.Run(ctx, cfg.Server, framework)
}
