// Package server runs a service: it serves HTTP until it is told to stop, lets what is under way end, and stands in
// front of what is registered with the functions framework.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// Cloud Run kills an instance 10 s after SIGTERM.
// https://cloud.google.com/run/docs/container-contract#instance-shutdown
const (
	drainLimit = 8 * time.Second // what is under way may take this long to end by itself
	stopLimit  = 1 * time.Second // and this long, once its context has been cancelled
)

// Names of the events that are logged here.
const (
	eventServing  = "server_serving"
	eventDraining = "server_draining"
	eventStopped  = "server_stopped"
	eventPanicked = "request_panicked"
	eventFailed   = "service_failed"
)

// version is that of the binary, as it is logged and /healthz says. The linker sets it: see .ko.yaml.
var version = "devel"

// Config is where a service listens.
type Config struct {
	Port int `env:"PORT" envDefault:"8080"` // 0: any that is free
}

// Run listens on the port of cfg and serves until ctx ends, like Serve.
func Run(ctx context.Context, cfg Config, handler http.Handler, drain ...func(context.Context) error) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", ":"+strconv.Itoa(cfg.Port))
	if err != nil {
		return fault.New(fault.Unavailable, "listen", err)
	}
	return Serve(ctx, listener, handler, drain...)
}

// Serve answers with handler, and /healthz itself with the version, until ctx ends. Then it drains: it accepts no more, calls the
// drain functions, all at once, with a context of 8 s, and waits as long for the requests that are under way. What
// still runs then has its context cancelled, and a second later its connection closed, which is an error, as is one of
// a drain function. If the listener fails, it drains as well. It closes the listener in any case.
//
// A hijacked connection, such as a WebSocket, is no request under way to an http.Server: a service that has some ends
// them in a drain function. The end of ctx itself doesn't reach the handlers.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, drain ...func(context.Context) error) error {
	return serve(ctx, listener, handler, drain, limits{drainLimit, stopLimit})
}

type limits struct{ drain, stop time.Duration }

func serve(ctx context.Context, listener net.Listener, handler http.Handler, drain []func(context.Context) error, limits limits) error {
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	srv := &http.Server{
		Handler:           health(traced(recovered(handler))),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(logging.From(ctx).Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// No ReadTimeout or WriteTimeout: a request may be a session of an hour. Bodies are bounded where they are read.
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	logging.From(ctx).InfoContext(ctx, eventServing, "address", listener.Addr().String(), "version", version)

	var failure error
	select {
	case failure = <-failed:
	case <-ctx.Done():
	}
	start := time.Now()
	logging.From(ctx).InfoContext(ctx, eventDraining)
	err := stop(context.WithoutCancel(ctx), cancelRequests, srv, drain, limits)
	if failure == nil {
		<-failed // http.ErrServerClosed, at once: the listener is closed
	}
	logging.From(ctx).InfoContext(ctx, eventStopped, "took", time.Since(start))
	return errors.Join(fault.New(fault.Unavailable, "serve", failure), fault.Wrap("drain", err))
}

// stop ends the server within the limits.
func stop(ctx context.Context, cancelRequests func(), srv *http.Server, drain []func(context.Context) error, limits limits) error {
	draining, cancel := context.WithTimeout(ctx, limits.drain)
	defer cancel()
	last, cancel := context.WithTimeout(ctx, limits.drain+limits.stop)
	defer cancel()
	defer context.AfterFunc(draining, cancelRequests)()

	ended := make(chan error, len(drain))
	for _, f := range drain {
		go func() { ended <- f(draining) }()
	}
	var errs []error
	if err := srv.Shutdown(last); err != nil { // accepts no more at once, and waits
		errs = append(errs, err, srv.Close())
	}
	for range drain {
		select {
		case err := <-ended:
			errs = append(errs, err)
		case <-last.Done():
			return errors.Join(append(errs, last.Err())...)
		}
	}
	return errors.Join(errs...)
}
