package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

// eventTelemetryFailed is the name of the event that is logged.
const eventTelemetryFailed = "telemetry_failed"

// complainEvery is how long a kind of error that was logged is only counted.
const complainEvery = time.Hour

// complaints logs what the SDK has to say. A receiver that is away says the same every few seconds: each kind of error
// is logged once an hour.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex
	told map[string]*complaint // by kind
}

type complaint struct {
	at      time.Time
	omitted int // since then
}

// Handle is what the SDK calls, from any goroutine.
func (c *complaints) Handle(err error) {
	if omitted, due := c.due(kindOf(err), time.Now()); due {
		c.log.Warn(eventTelemetryFailed, slog.String("error", err.Error()), slog.Int("omitted", omitted))
	}
}

// due reports whether to log an error of the kind now, and how many were left out before it.
func (c *complaints) due(kind string, now time.Time) (omitted int, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.told[kind]
	if last != nil && now.Sub(last.at) < complainEvery {
		last.omitted++
		return 0, false
	}
	if c.told == nil {
		c.told = make(map[string]*complaint)
	}
	c.told[kind] = &complaint{at: now}
	if last != nil {
		omitted = last.omitted
	}
	return omitted, true
}

// kindOf is the type of what is at the bottom of an error, and its gRPC code. There are few of them, whatever the texts.
func kindOf(err error) string {
	bottom := err
	for next := bottom; next != nil; next = errors.Unwrap(bottom) {
		bottom = next
	}
	return fmt.Sprintf("%T %v", bottom, status.Code(err))
}
