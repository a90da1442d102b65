// Command usage counts what was used, by hour, day and month.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"earshot.dev/functions/usage/aggregator"
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
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "usage"))
	stop, err := telemetry.Start(ctx, cfg.Telemetry, "usage")
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

	a := &aggregator.Aggregator{Store: db, Hold: inTurn(locks)}
	sub := subscriber.New(map[string]func(context.Context, event.Event) error{event.UsageRecorded: a.Record})
	framework, err := server.CloudEvents(ctx, sub.Receive)
	if err != nil {
		return err
	}
	return server.Run(ctx, cfg.Server, auth.Push(ctx, cfg.Push)(sub.Push(framework)))
}

// inTurn holds a lock for as long as fn runs. Who finds it held waits a little: a report is counted in less time than
// it takes to be delivered again.
func inTurn(locks *lock.Locker) aggregator.Hold {
	return func(ctx context.Context, name string, fn func(context.Context) error) error {
		return locks.Hold(ctx, name, lock.Options{Wait: 10 * time.Second}, fn)
	}
}
