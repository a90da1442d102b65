package cache

import (
	"context"

	"earshot.dev/shared/fault"
)

// refreshIfDue has the value of an entry loaded again, in the background, if it is about to end and nobody else is
// at it, here or elsewhere. Who asked has the old value by then, which is good as long as it is there.
func (q *Query[T]) refreshIfDue(ctx context.Context, key string, old []byte) {
	if !due(old) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refreshing[key] || q.closed.Err() != nil {
		return
	}
	q.refreshing[key] = true
	q.flying.Go(func() {
		defer func() {
			q.mu.Lock()
			delete(q.refreshing, key)
			q.mu.Unlock()
		}()
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(q.closed, cancel)()
		q.refresh(ctx, key, old[:headLength])
	})
}

// refresh marks the entry as being refreshed, loads, and puts the new value in the place of the marked entry: of no
// other, so that an Invalidate in between is not undone. Where the load fails the old value stays to its end.
func (q *Query[T]) refresh(ctx context.Context, key string, old []byte) {
	mark := refreshing(old)
	if marked, err := q.remote.mark(ctx, key, old, mark); err != nil || !marked {
		return // another was faster, or Redis has told by now that it fails
	}
	q.stats.refreshes.Add(1)
	var a answer[T]
	if a.value, a.err = q.call(ctx, key); a.err != nil && !fault.Is(a.err, fault.NotFound) {
		q.remote.complain(ctx, "cache_not_refreshed", a.err)
		return
	}
	kept, err := q.remote.exchange(ctx, key, string(mark), q.encode(ctx, a))
	if err == nil && !kept {
		q.stats.overtaken.Add(1)
	}
}
