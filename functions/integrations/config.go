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

	// LockTTL is how long a process that died keeps the others from its work.
	LockTTL time.Duration `env:"LOCK_TTL" envDefault:"5m"`

	// ClaimTTL is how long a process that died keeps the others from a delivery that it was attempting.
	ClaimTTL time.Duration `env:"CLAIM_TTL" envDefault:"1m"`

	// AllowPrivateWebhooks lets webhooks go to private addresses, for the local run.
	AllowPrivateWebhooks bool `env:"WEBHOOK_ALLOW_PRIVATE"`
}

func readConfig() (config, error) { return env.ParseAs[config]() }
