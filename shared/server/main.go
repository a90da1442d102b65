package server

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"earshot.dev/shared/logging"
)

// Main is the main function of a service: it runs until the process is told to stop, and ends the process with 1 where
// run fails.
func Main(run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		logging.Error(ctx, eventFailed, err)
		os.Exit(1) //nolint:gocritic // the process ends, and with it what stop would undo
	}
}
