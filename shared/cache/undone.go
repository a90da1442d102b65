package cache

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	mostUndone  = 50_000 // keys: about 10 MB
	undoneBatch = 500
	firstRedo   = 100 * time.Millisecond
	longestRedo = 2 * time.Second
	lastRedo    = time.Second
)

// undone are deletions that Redis has not taken. They are repeated by one goroutine, which runs while there are any.
type undone struct {
	delete func(ctx context.Context, keys ...string) error

	mu      sync.Mutex
	keys    map[string]uint64 // key -> number of the latest request to delete it
	last    uint64
	running bool

	closed context.Context
	stop   context.CancelFunc
	redo   sync.WaitGroup
}

func newUndone(deletion func(ctx context.Context, keys ...string) error) *undone {
	u := &undone{delete: deletion, keys: make(map[string]uint64)}
	u.closed, u.stop = context.WithCancel(context.Background())
	return u
}

// add remembers that the key is to be deleted. It returns false if too many are remembered already.
func (u *undone) add(key string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.keys[key]; !known && len(u.keys) >= mostUndone {
		return false
	}
	u.last++
	u.keys[key] = u.last
	if !u.running && u.closed.Err() == nil {
		u.running = true
		u.redo.Go(u.repeat)
	}
	return true
}

func (u *undone) has(key string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, known := u.keys[key]
	return known
}

// close tries once more, for a second at most. What is not done then stays in Redis for its TTL.
func (u *undone) close() {
	u.mu.Lock()
	u.stop()
	u.mu.Unlock()
	u.redo.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastRedo)
	defer cancel()
	u.drain(ctx, func() {})
}

func (u *undone) repeat() {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstRedo, longestRedo
	for {
		select {
		case <-u.closed.Done():
			return
		case <-time.After(pause.NextBackOff()):
		}
		if u.drain(u.closed, pause.Reset) {
			return
		}
	}
}

// drain deletes what it can, and reports whether nothing is left. It calls progress after each batch that was deleted.
func (u *undone) drain(ctx context.Context, progress func()) bool {
	for batch := u.batch(); len(batch) > 0; batch = u.batch() {
		if u.delete(ctx, slices.Collect(maps.Keys(batch))...) != nil {
			return false
		}
		progress()
		if u.done(batch) {
			return true
		}
	}
	return true
}

// batch is some of the keys, with the number of the request for each.
func (u *undone) batch() map[string]uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	batch := make(map[string]uint64, undoneBatch)
	for key, number := range u.keys {
		if len(batch) == undoneBatch {
			break
		}
		batch[key] = number
	}
	return batch
}

// done forgets a batch that was deleted, except for what was to be deleted again meanwhile. It returns true, and
// ends the repeating, if nothing is left.
func (u *undone) done(batch map[string]uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, number := range batch {
		if u.keys[key] == number {
			delete(u.keys, key)
		}
	}
	u.running = len(u.keys) > 0
	return !u.running
}
