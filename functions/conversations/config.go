package main

import (
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
	Auth      auth.Config
	Redis     redisclient.Config
	Telemetry telemetry.Config

	ProjectID string `env:"PROJECT_ID,required"`

	// What one user may ask: so many requests a second, and so many at once; while Redis is away, of each instance.
	UserRate  float64 `env:"USER_RATE" envDefault:"20"`
	UserBurst int     `env:"USER_BURST" envDefault:"100"`
}

func readConfig() (config, error) { return env.ParseAs[config]() }
