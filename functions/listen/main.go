// Command listen is the WebSocket service: it holds the live sessions.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"earshot.dev/functions/listen/session"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cache"
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
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "listen"))

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
	profiles := cache.New(rdb, cache.Options{Name: "profile", Version: 1, LocalTTL: 10 * time.Second}, db.Profile)
	months := cache.New(rdb, cache.Options{Name: "month", Version: 1, TTL: time.Minute}, monthOf(db.MonthUsage))
	recognizer, closeRecognizer, err := openRecognizer(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		profiles.Close()
		months.Close()
		events.Close()
		err = errors.Join(err, closeRecognizer(), rdb.Close(), topics.Close(), db.Close())
	}()

	sessions := session.NewRegistry(cfg.Limits.Sessions, cfg.Limits.UserSessions)
	d := &door{
		users: auth.NewUsers(ctx, cfg.Auth), profiles: profiles, months: months, recognizer: recognizer,
		store: db, publisher: events, sessions: sessions, limits: cfg.Limits,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v4/listen", d.app)
	mux.HandleFunc("/v4/web/listen", d.web)
	return server.Run(ctx, cfg.Server, mux, sessions.Drain)
}
