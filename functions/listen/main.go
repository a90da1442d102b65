// Command listen is the WebSocket service: it holds the live sessions.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"cloud.google.com/go/pubsub/v2"

	"earshot.dev/functions/listen/session"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/broadcast"
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
	slog.SetDefault(logging.New(os.Stderr, cfg.Logging, "listen"))
	stop, err := telemetry.Start(ctx, cfg.Telemetry, "listen")
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
	recognizer, closeRecognizer, err := openRecognizer(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		events.Close()
		err = errors.Join(err, closeRecognizer(), topics.Close(), db.Close(), rdb.Close())
	}()

	attachments := broadcast.New(rdb, "attachments")
	sessions := session.NewRegistry(cfg.Limits.Sessions, cfg.Limits.UserSessions, attachments)
	go attachments.Listen(ctx, func(message []byte) { sessions.Heard(ctx, message) })
	d := &door{
		users: auth.NewUsers(ctx, cfg.Auth), recognizer: recognizer, store: db, read: db.Read, publisher: events,
		sessions: sessions, limits: cfg.Limits,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v4/listen", d.app)
	mux.HandleFunc("/v4/web/listen", d.web)
	return server.Run(ctx, cfg.Server, mux, sessions.Drain)
}
