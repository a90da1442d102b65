package main

import (
	"time"

	"github.com/caarlos0/env/v11"

	"earshot.dev/shared/auth"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/server"
	"earshot.dev/shared/telemetry"
)

type config struct {
	Server    server.Config
	Logging   logging.Config
	Push      auth.PushConfig
	Redis     redisclient.Config
	Telemetry telemetry.Config

	ProjectID string `env:"PROJECT_ID,required"`

	// LockTTL is how long a process that died keeps the others from its work: not beyond the next pass but one. One that
	// lives renews it.
	LockTTL time.Duration `env:"LOCK_TTL" envDefault:"1m"`
	// AnnounceAfter is how old a marker is of which the sweep thinks that its event was never published.
	AnnounceAfter time.Duration `env:"ANNOUNCE_AFTER" envDefault:"30s"`
}

func readConfig() (config, error) { return env.ParseAs[config]() }
