package cache

import (
	"context"
	"sync"
	"testing"
	"time"

	"earshot.dev/shared/redistest"
)

func TestStampede(t *testing.T) {
	const processes, callers = 4, 250
	for name, tt := range map[string]struct {
		fail func(s *redistest.Server)
		most int64
	}{
		"Redis up":     {func(*redistest.Server) {}, 1},
		"Redis killed": {(*redistest.Server).Kill, processes},
		"Redis paused": {(*redistest.Server).Pause, processes},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t)
			db := &database{}
			db.revision.Store(1)
			asked := make(chan struct{})
			db.hold = func(ctx context.Context, _ string) {
				<-asked
				await(ctx, 20*time.Millisecond)
			}
			var done sync.WaitGroup
			queries := make([]*Query[doc], processes)
			for i := range queries {
				queries[i] = process(t, server, Options{}, db.read)
			}
			tt.fail(server)
			begin := make(chan struct{})
			for _, q := range queries {
				for range callers {
					done.Go(func() {
						<-begin
						get(t, q, 1)
					})
				}
			}
			began := time.Now()
			close(begin)
			for waiting := int64(0); waiting < processes*(callers-1); { // until all but one of each process wait for that one
				<-time.After(time.Millisecond)
				waiting = 0
				for _, q := range queries {
					waiting += q.Stats().Shared
				}
			}
			close(asked)
			done.Wait()
			most, failed := tt.most, int64(0)
			for _, q := range queries {
				failed += q.Stats().RedisErrors
			}
			if failed > 0 || time.Since(began) > leaseWait { // on a machine that is so busy, each process loads for itself
				most = processes
			}
			if got := db.reads.Load(); got > most {
				t.Errorf("%d callers: got %d loads, want %d at most", processes*callers, got, most)
			}
		})
	}
}
