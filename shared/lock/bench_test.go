package lock

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bsm/redislock"
)

// BenchmarkHold obtains and releases a lock with bsm/redislock by itself and with Hold, in turns of 200 cycles each,
// so that both see the same Redis and the same neighbours. ns/op is for a cycle of each; the medians of the turns,
// and what Hold takes in percent of the other, are metrics of their own:
//
//	go test -run - -bench Hold -benchtime 50000x -count 5 ./shared/lock
func BenchmarkHold(b *testing.B) {
	l, _ := start(b)
	raw := redislock.New(l.client)
	ways := []func(ctx context.Context, name string) error{
		func(ctx context.Context, name string) error {
			lock, err := raw.Obtain(ctx, "lock:"+name, 5*time.Minute, nil)
			if err != nil {
				return err
			}
			return lock.Release(ctx)
		},
		func(ctx context.Context, name string) error {
			return l.Hold(ctx, name, Options{}, func(context.Context) error { return nil })
		},
	}
	const turn = 200
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			took := make([][]time.Duration, len(ways))
			for i := range b.N/turn + 1 {
				for j := range ways {
					j = (i + j) % len(ways)
					began := time.Now()
					var wg sync.WaitGroup
					for caller := range callers {
						wg.Go(func() {
							name := fmt.Sprintf("bench%d", caller)
							for range turn / callers {
								if err := ways[j](b.Context(), name); err != nil {
									b.Error(err)
								}
							}
						})
					}
					wg.Wait()
					took[j] = append(took[j], time.Since(began)/turn)
				}
			}
			median := func(d []time.Duration) float64 {
				slices.Sort(d)
				return float64(d[len(d)/2]) / float64(time.Microsecond)
			}
			b.ReportMetric(median(took[0]), "µs-raw")
			b.ReportMetric(median(took[1]), "µs-hold")
			b.ReportMetric(100*median(took[1])/median(took[0]), "%-of-raw")
		})
	}
}
