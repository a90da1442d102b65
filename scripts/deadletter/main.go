// Command deadletter shows events that nobody could take, and tells them again.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"earshot.dev/scripts/arguments"
	"earshot.dev/scripts/deadletter/letterbox"
)

const description = `Shows the dead letters, which are events that no service could take in all their deliveries, and
publishes them again to the topics that they came from.

Every consumer takes an event twice without harm, so one that is replayed twice has one effect. What a letter says is
never shown: it may be speech. Where PUBSUB_EMULATOR_HOST is set, the emulator there is asked.`

type options struct {
	Project string        `required:"" env:"PROJECT_ID" help:"Project on Google Cloud (${env})." placeholder:"PROJECT"`
	Wait    time.Duration `default:"5s" help:"After so long without another letter there are no more."`
	Limit   int           `default:"1000" help:"Look at so many letters at most; replay --all goes on with so many at a time."`

	List   struct{}      `cmd:"" help:"Show them, and leave them where they are."`
	Replay replayOptions `cmd:"" help:"Publish them again, and take away those of which that is acknowledged."`
}

type replayOptions struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of messages or of events, as list shows them."`
	All bool     `help:"All there are."`
}

// Validate is called when the arguments have been read.
func (o replayOptions) Validate() error {
	if o.All == (len(o.IDs) > 0) {
		return fmt.Errorf("give ids, or --all")
	}
	return nil
}

func main() {
	var o options
	command := arguments.Parse(&o, "deadletter", description).Selected().Name
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, command, o); err != nil {
		fmt.Fprintln(os.Stderr, "deadletter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command string, o options) error {
	box, err := letterbox.Open(ctx, o.Project, letterbox.Options{Wait: o.Wait, Limit: o.Limit})
	if err != nil {
		return err
	}
	defer box.Close()
	fmt.Fprintf(os.Stderr, "deadletter: looking, until no more letters come for %v\n", o.Wait)
	if command == "list" {
		letters, err := box.List(ctx)
		if err != nil {
			return err
		}
		return letterbox.Print(os.Stdout, letters, o.Limit)
	}
	replayed, err := box.Replay(ctx, o.Replay.IDs)
	for _, l := range replayed {
		fmt.Printf("%s: published again as %s\n", l.MessageID, l.EventID)
	}
	fmt.Printf("%d replayed\n", len(replayed))
	return err
}
