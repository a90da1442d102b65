// Command sweep ends what was abandoned, and tells again what nobody heard.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"cloud.google.com/go/pubsub/v2"

	"earshot.dev/functions/sweep/sweeper"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/lock"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/publisher"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/server"
	"earshot.dev/shared/store"
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
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "sweep"))

	db, err := store.Open(ctx, cfg.ProjectID)
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
	locks := lock.New(rdb)
	defer func() {
		events.Close()
		err = errors.Join(err, rdb.Close(), topics.Close(), db.Close())
	}()

	s := &sweeper.Sweeper{Store: db, Publisher: events, Hold: once(locks)}
	framework, err := server.HTTPFunction(ctx, sweep(s))
	if err != nil {
		return err
	}
	return server.Run(ctx, cfg.Server, auth.Push(ctx, cfg.Push)(framework))
}

// sweep answers a call of the scheduler with what the pass did.
func sweep(s *sweeper.Sweeper) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		report, err := s.Sweep(r.Context())
		if err != nil {
			logging.Error(r.Context(), "sweep_failed", err)
			http.Error(w, fault.ReasonOf(err), fault.KindOf(err).HTTPStatus())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(report) // a scheduler that has gone needs no report
	}
}

// once holds a lock for as long as fn runs. Who finds it held goes away, and comes again with the next delivery.
func once(locks *lock.Locker) func(context.Context, string, func(context.Context) error) error {
	return func(ctx context.Context, name string, fn func(context.Context) error) error {
		return locks.Hold(ctx, name, lock.Options{}, fn)
	}
}
