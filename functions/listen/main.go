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
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cache"
	"earshot.dev/shared/cached"
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
	profiles := cache.New(rdb, cache.Options{Name: "profile", Version: 1, LocalTTL: 10 * time.Second}, db.Profile)
	recognizer, err := deepgram.New(deepgram.Config{
		URL: cfg.DeepgramURL, Key: cfg.DeepgramAPIKey, Model: cfg.DeepgramModel, Languages: cfg.DeepgramLanguages,
	})
	if err != nil {
		return err
	}
	defer func() {
		profiles.Close()
		events.Close()
		err = errors.Join(err, topics.Close(), db.Close(), rdb.Close())
	}()

	sessions := session.NewRegistry(cfg.MaxSessions)
	mux := http.NewServeMux()
	mux.Handle("/v4/listen", &door{
		users: auth.NewUsers(ctx, cfg.Auth), profiles: profiles, recognizer: recognizer,
		store: db, publisher: events, sessions: sessions,
		maxFrame: cfg.MaxFrameBytes, minSilence: cfg.MinSilence,
	})
	return server.Run(ctx, cfg.Server, mux, sessions.Drain)
}
