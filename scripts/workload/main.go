// Command workload plays what people do with their apps against the API, once without the cache and once with it, and
// says what was read.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"earshot.dev/scripts/arguments"
	"earshot.dev/shared/cached"
)

const description = `Plays what people do with their apps against the API, and says what was read.

They open the app, scroll, open conversations, rename and delete some, on two devices; then some talk, and both of
their devices watch. The same is played twice: without the cache, and with it. Both have to give the same answers.
Beside that stands what Omi did for the same talk: a look at the live document each 0.6 s, and 720 hourly documents
summed each minute.

Firestore is the test server, over gRPC; Redis is a redis-server; the API is several instances, over HTTP. Time is not
played: what would take minutes takes seconds. So before each visit to the app everything that was kept is thrown away,
as if hours had passed, and within a visit or a talk nothing ends by its age. But profiles do, in seconds: their reads
in the time of a talk are added to what was read with the cache, as many as there can be at most.`

type options struct {
	Seed          uint64        `help:"The same seed gives the same requests." default:"1"`
	Users         int           `help:"How many people there are." default:"20"`
	Conversations int           `help:"How many conversations each of them has." default:"120"`
	Visits        int           `help:"How often each opens the app." default:"3"`
	Talk          time.Duration `help:"How long each of every second person talks." default:"30m"`
	Instances     int           `help:"Instances of the API." default:"3"`
	Delay         time.Duration `help:"What is added to each read of Firestore, which the test server answers at once." default:"0s"`
}

// Validate is called when the arguments have been read.
func (o options) Validate() error {
	if o.Users < 1 || o.Conversations < 1 || o.Visits < 0 || o.Talk < 0 || o.Instances < 1 {
		return errors.New("there have to be users, conversations and instances")
	}
	return nil
}

func main() {
	var o options
	arguments.Parse(&o, "workload", description)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return r.print(os.Stdout)
}

// measure plays the workload without the cache and with it, and Omi's reads.
func measure(ctx context.Context, o options) (r report, err error) {
	r.options = o
	past, err := remember(ctx, o)
	if err != nil {
		return r, err
	}
	defer past.Close()
	var said [2][]string
	for i, withCache := range []bool{false, true} {
		w, err := newWorld(ctx, o, past, withCache)
		if err != nil {
			return r, err
		}
		r.runs[i], err = w.play(ctx)
		if err == nil && !withCache {
			r.hot, err = w.hotReads(ctx)
		}
		if withCache {
			r.renewed = int64((o.Users+1)/2) * int64(o.Talk/cached.ProfileEvery)
		}
		if err := errors.Join(err, w.close()); err != nil {
			return r, err
		}
		said[i] = r.runs[i].said
	}
	for i, other := range said[1] {
		if said[0][i] != other {
			return r, fmt.Errorf("the cache gives another answer: %s, without it %s", other, said[0][i])
		}
	}
	return r, nil
}
