package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"earshot.dev/scripts/local/cable"
	"earshot.dev/scripts/stream/client"
)

// SIGTERM with 300 sessions in mid sentence: all is made final, stored and closed before Cloud Run would kill, and every
// device goes on elsewhere, without the loss of a word.
func TestDrainOfMany(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute of both cores")
	}
	const devices = 300
	f := muster(t, devices, 1, cable.Faults{})
	old := f.stack.Listen.Processes()[0]
	var speaking sync.WaitGroup
	speaking.Add(devices)
	drained, draining := make(chan error, 1), make(chan struct{})
	go func() {
		speaking.Wait() // each in the middle of what it says
		_, err := f.stack.Listen.Start(t.Context(), 0)
		close(draining)
		if err != nil {
			drained <- err
			return
		}
		began := time.Now()
		err = old.Terminate() // it is killed if it takes longer than Cloud Run would wait
		t.Logf("%d sessions drained in %v", devices, time.Since(began).Round(10*time.Millisecond))
		drained <- err
	}()
	f.each(func(ctx context.Context, uid string, c client.Config) error {
		open := make(chan struct{})
		opened := sync.OnceFunc(func() { close(open) })
		device := client.NewSession(c, func(m client.Message) {
			if m.Type == client.ConversationSession {
				opened()
			}
		})
		wait := func(until chan struct{}) {
			select {
			case <-until:
			case <-ctx.Done():
			}
		}
		err := f.tell(ctx, device, func() {
			wait(open)
			speaking.Done()
			wait(draining)
		})
		// One that comes back while its first socket still closes may be told to try again, so it can be more than two.
		if connections := device.Connections(); err == nil && connections < 2 {
			err = fmt.Errorf("it connected %d times, want twice: it was to go on elsewhere", connections)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", uid, err)
		}
		return err
	})
	if err := <-drained; err != nil {
		t.Errorf("the process that drained: %v", err)
	}
	f.holds(numbers(1, fleetWords))
}
