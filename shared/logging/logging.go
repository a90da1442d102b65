// Package logging writes slog records as Cloud Logging reads them, or for a terminal, and carries the logger of a
// piece of work in its context.
package logging

import (
	"fmt"
	"io"
	"log/slog"
)

// Format is what a line looks like: FormatJSON or FormatConsole.
type Format string

// The formats.
const (
	FormatJSON    Format = "json"    // one JSON object a line, in Cloud Logging's fields
	FormatConsole Format = "console" // for people at a terminal
)

// UnmarshalText refuses what is no format.
func (f *Format) UnmarshalText(text []byte) error {
	switch format := Format(text); format {
	case FormatJSON, FormatConsole:
		*f = format
		return nil
	default:
		return fmt.Errorf("log format %q is neither %s nor %s", text, FormatJSON, FormatConsole)
	}
}

// Config is how a service logs.
type Config struct {
	Format  Format     `env:"LOG_FORMAT" envDefault:"json"`
	Level   slog.Level `env:"LOG_LEVEL"  envDefault:"info"` // debug, info, warn or error: the least that is written
	Project string     `env:"GOOGLE_CLOUD_PROJECT"`         // whose traces the lines belong to
	Version string     `env:"K_REVISION"`                   // of the service, for Error Reporting

	// Burst is how many lines of one event, below warnings, are written in a second; 0: all. Of what is above that one
	// in Keep is. How many were left out is said. The format for people leaves out none.
	Burst int `env:"LOG_BURST" envDefault:"100"`
	Keep  int `env:"LOG_KEEP"  envDefault:"100"`
}

// LevelCritical is above slog's own levels: somebody is woken.
const LevelCritical = slog.Level(12)

// New makes the logger of a service. It writes each line with one call of w.Write, one at a time.
func New(w io.Writer, cfg Config, service string) *slog.Logger {
	if cfg.Format == FormatConsole {
		return slog.New(newConsole(w, cfg.Level))
	}
	handler := newCloud(w, cfg, service)
	if cfg.Burst > 0 {
		return slog.New(newThinned(handler, cfg.Burst, cfg.Keep))
	}
	return slog.New(handler)
}
