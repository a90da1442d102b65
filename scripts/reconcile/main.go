// Command reconcile recomputes what a person used in a month from their conversations, and shows where the counters say
// something else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"earshot.dev/scripts/arguments"
	"earshot.dev/shared/event"
	"earshot.dev/shared/publisher"
	"earshot.dev/shared/store"
)

const description = `Recomputes what a person used in a month from their conversations, by hour, day and month, and shows
where the counters say something else. It reads all documents of these conversations, and their pages to count the
words again.

Conversations that were deleted stay counted: what they used is taken from the counters, and shown. What is not told
yet of conversations that aren't finished, or were changed within ten minutes, is no difference. What differs is looked
at again, and shown if it differs by as much then: people may speak meanwhile.

Exit code 0: all is as counted; 1: something differs; 2: it could not be found out.`

type options struct {
	Project string `required:"" env:"PROJECT_ID" help:"Project on Google Cloud (${env})." placeholder:"PROJECT"`
	UID     string `required:"" name:"uid" help:"The person." placeholder:"UID"`
	Month   string `required:"" help:"Such as 2026-11, in UTC." placeholder:"YYYY-MM"`
	Repair  bool   `help:"Tell again what conversations used of which less is counted. It counts once, however often it is told. Counters only grow: what is counted too much stays."`

	start time.Time // of the month
}

// Validate is called when the arguments have been read.
func (o *options) Validate() (err error) {
	if o.start, err = time.Parse("2006-01", o.Month); err != nil {
		return errors.New("--month is such as 2026-11")
	}
	return nil
}

// The exit codes; see description.
const (
	exitDiffers = 1
	exitFailed  = 2
)

func main() {
	var o options
	arguments.Parse(&o, "reconcile", description)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	same, err := run(ctx, o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "reconcile:", err)
		os.Exit(exitFailed)
	case !same:
		os.Exit(exitDiffers)
	}
}

func run(ctx context.Context, o options) (same bool, err error) {
	documents, err := store.Open(ctx, o.Project)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, documents.Close()) }()
	m, r, err := look(ctx, documents, o.UID, o.start, func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(between):
		}
	})
	if err != nil {
		return false, err
	}
	if err := r.print(os.Stdout); err != nil {
		return false, err
	}
	untold := r.untold()
	if !o.Repair || len(untold) == 0 {
		return r.same(), nil
	}
	client, err := pubsub.NewClient(ctx, o.Project)
	if err != nil {
		return false, err
	}
	p := publisher.New(client)
	defer func() { p.Close(); err = errors.Join(err, client.Close()) }()
	told, err := m.repair(ctx, untold, p.Publish)
	fmt.Printf("told again what %d conversations used; look again when that has been counted\n", told)
	return false, err
}

// repair tells all that some conversations used, as finalize does, and says of how many it was.
func (m *month) repair(ctx context.Context, untold []string, publish func(context.Context, event.Event) error) (told int, err error) {
	for _, cid := range untold {
		c := m.conversations[cid]
		e, err := event.OfUsage(m.uid, &c.Conversation, c.Usage, time.Now())
		if err != nil {
			return told, err
		}
		if err := publish(ctx, e); err != nil {
			return told, err
		}
		told++
	}
	return told, nil
}
