package cache

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/redistest"
)

// age makes the entry under the key k one that is due to be refreshed.
func age(t *testing.T, q *Query[doc]) {
	t.Helper()
	key := q.remote.prefix + "k"
	old := strconv.FormatInt(time.Now().Add(-time.Second).UnixMilli(), 10)
	if err := q.remote.client.SetRange(t.Context(), key, 1+versionLength, old).Err(); err != nil {
		t.Fatal(err)
	}
}

// A value that is asked for shortly before it ends is loaded again, once in all processes, and nobody waits for it.
func TestRefresh(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	var held atomic.Bool
	proceed := make(chan struct{})
	queries := make([]*Query[doc], 4)
	for i := range queries {
		queries[i] = process(t, server, Options{TTL: time.Minute}, db.read)
	}
	get(t, queries[0], 1)
	db.hold = func(context.Context, string) {
		held.Store(true)
		<-proceed
	}
	db.revision.Store(2) // by somebody who told nobody
	age(t, queries[0])
	var readers sync.WaitGroup
	for range 50 {
		for _, q := range queries {
			readers.Go(func() { get(t, q, 1) }) // at once, while the load is under way
		}
	}
	readers.Wait()
	eventually(t, "the value is loaded again", held.Load)
	close(proceed)
	eventually(t, "the new value is there", func() bool {
		got, err := queries[0].Get(t.Context(), "k")
		return err == nil && got.Revision == 2
	})
	if got := db.reads.Load(); got != 2 {
		t.Errorf("got %d loads, want the first and one more", got)
	}
	if _, left := stored(t, queries[0]); left < 50*time.Second {
		t.Errorf("the new value lasts for %v, want its whole time", left)
	}
}

// What was written while a refresh was loading is not undone by it.
func TestRefreshIsOvertaken(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	q := process(t, server, Options{}, db.read)
	get(t, q, 1)
	loading, proceed := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	db.hold = func(context.Context, string) {
		if first.CompareAndSwap(false, true) {
			close(loading)
			<-proceed
		}
	}
	age(t, q)
	get(t, q, 1)
	<-loading
	db.revision.Store(2)
	q.Invalidate(t.Context(), "k")
	get(t, q, 2)
	close(proceed)
	eventually(t, "the refresh has ended", func() bool { return q.Stats().Overtaken == 1 })
	get(t, q, 2)
}

// A refresh that fails leaves the value to its end.
func TestRefreshFails(t *testing.T) {
	server := redistest.New(t)
	var broken atomic.Bool
	q := process(t, server, Options{}, func(context.Context, string) (doc, error) {
		if broken.Load() {
			return doc{}, fault.New(fault.Unavailable, "read", errors.New("broken"))
		}
		return doc{Revision: 1}, nil
	})
	get(t, q, 1)
	broken.Store(true)
	age(t, q)
	get(t, q, 1)
	eventually(t, "the refresh has failed", func() bool { return q.Stats().LoadErrors == 1 })
	for range 3 {
		get(t, q, 1)
	}
	if s := q.Stats(); s.Refreshes != 1 {
		t.Errorf("got %+v, want one refresh", s)
	}
}

// page is a value with versions.
type page struct {
	Number int64
	Text   string
}

func (p page) Version() int64         { return p.Number }
func (p page) KeepFor() time.Duration { return 30 * time.Second }

// A writer who knows the new value puts it there for those who read it already, and for nobody else; and never in the
// place of a newer one.
func TestUpdate(t *testing.T) {
	server := redistest.New(t)
	var current atomic.Int64
	var loads atomic.Int64
	load := func(context.Context, string) (page, error) {
		loads.Add(1)
		n := current.Load()
		if n == 0 {
			return page{}, fault.Newf(fault.NotFound, "read", "nothing")
		}
		return page{n, strconv.FormatInt(n, 10)}, nil
	}
	reader, writer := process(t, server, Options{}, load), process(t, server, Options{}, load)
	write := func(n int64) {
		current.Store(max(n, current.Load()))
		writer.Update(t.Context(), "k", page{n, strconv.FormatInt(n, 10)})
	}
	want := func(n, wantLoads int64) {
		t.Helper()
		got, err := reader.Get(t.Context(), "k")
		if err != nil || got.Number != n || loads.Load() != wantLoads {
			t.Errorf("got %+v, %v after %d loads, want %d after %d", got, err, loads.Load(), n, wantLoads)
		}
	}
	write(1)
	if n := writer.remote.client.Exists(t.Context(), writer.remote.prefix+"k").Val(); n != 0 {
		t.Error("there is an entry that nobody asked for")
	}
	want(1, 1)
	write(2)
	want(2, 1)
	write(12)
	want(12, 1)
	if left := reader.remote.client.PTTL(t.Context(), reader.remote.prefix+"k").Val(); left > 30*time.Second {
		t.Errorf("the entry lasts for %v, want what the value says", left)
	}
	writer.Update(t.Context(), "k", page{3, "3"}) // late
	want(12, 1)
	writer.Invalidate(t.Context(), "k") // by somebody who deletes
	writer.Update(t.Context(), "k", page{13, "13"})
	want(12, 2)

	current.Store(0)
	writer.Invalidate(t.Context(), "k")
	if _, err := reader.Get(t.Context(), "k"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v, want not found", err)
	}
	write(14)
	want(14, 4)
}

// A load that began before the write doesn't undo it, whatever the writer does about it.
func TestUpdateDuringLoad(t *testing.T) {
	server := redistest.New(t)
	var current atomic.Int64
	current.Store(1)
	loading, proceed := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	load := func(context.Context, string) (page, error) {
		p := page{Number: current.Load()}
		if first.CompareAndSwap(false, true) {
			close(loading)
			<-proceed
		}
		return p, nil
	}
	reader, writer := process(t, server, Options{}, load), process(t, server, Options{}, load)
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := reader.Get(t.Context(), "k"); err != nil || got.Number != 1 {
			t.Errorf("asked before: got %+v, %v", got, err)
		}
	})
	<-loading
	current.Store(2)
	writer.Update(t.Context(), "k", page{Number: 2})
	close(proceed)
	wg.Wait()
	for _, q := range []*Query[page]{reader, writer} {
		if got, err := q.Get(t.Context(), "k"); err != nil || got.Number != 2 {
			t.Errorf("asked after: got %+v, %v, want 2", got, err)
		}
	}
}

func TestPeek(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	for _, local := range []time.Duration{0, time.Hour} {
		q := process(t, server, Options{LocalTTL: local}, db.read)
		q.Invalidate(t.Context(), "k")
		before := db.reads.Load()
		if got, ok := q.Peek(t.Context(), "k"); ok || db.reads.Load() != before {
			t.Errorf("got %+v, %t, and %d loads, want nothing", got, ok, db.reads.Load()-before)
		}
		get(t, q, 1)
		if got, ok := q.Peek(t.Context(), "k"); !ok || got.Revision != 1 {
			t.Errorf("got %+v, %t, want what is there", got, ok)
		}
	}
}
