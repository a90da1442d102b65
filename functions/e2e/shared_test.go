package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"earshot.dev/scripts/local/cable"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
)

// Two devices of a person, of which only the source tells that they are any, talk at once. They put each other out until it
// is known that they are two, and from then on each has a conversation of its own.
func TestTwoUnderOneName(t *testing.T) {
	t.Parallel()
	const words = 120 // of each
	f := muster(t, 1, 2, cable.Faults{Seed: 1})
	f.each(func(ctx context.Context, uid string, c client.Config) error {
		c.Device = ""
		var cuts [2]int
		group, within := errgroup.WithContext(ctx)
		for i := range cuts {
			group.Go(func() (err error) {
				said := numbers(uint32(i*words+1), uint32((i+1)*words)) //nolint:gosec // it is 0 or 1
				cuts[i], err = f.speak(within, c, slices.Concat(testspeech.Words(said...), testspeech.Silence(time.Second)))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if cuts[0]+cuts[1] == 0 || cuts[0]+cuts[1] > 4 {
			t.Errorf("they were put out %v times, want once or twice each", cuts)
		}
		return poll(ctx, func() error {
			all, err := f.stored(ctx, uid)
			if err != nil {
				return err
			}
			for i := range cuts {
				last := texts(numbers(uint32((i+1)*words-40), uint32((i+1)*words))) //nolint:gosec // likewise
				if !strings.Contains(strings.Join(all, " ")+" ", strings.Join(last, " ")+" ") {
					return fmt.Errorf("put out %v times; the last words of %d aren't together: %q", cuts, i, all)
				}
			}
			all = whole(all)
			slices.Sort(all)
			if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
				return fmt.Errorf("%d words are stored twice: %q", len(all)-n, all)
			}
			t.Logf("put out %v times; %d of %d words lost or broken", cuts, 2*words-len(all), 2*words)
			return nil
		})
	})
	devices, err := f.stack.Firestore.Collection("users").Doc("user000").Collection("devices").OrderBy(firestore.DocumentID, firestore.Asc).
		Documents(t.Context()).GetAll()
	if err != nil || len(devices) != 2 || devices[1].Ref.ID != "omi~2" {
		t.Errorf("%d devices are known, want two: %v", len(devices), err)
	}
}
