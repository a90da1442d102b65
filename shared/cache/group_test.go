package cache

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/redistest"
)

// family is a Group as another instance would have it.
func family(t *testing.T, server *redistest.Server, o Options, load func(ctx context.Context, owner, key string) (doc, error)) *Group[doc] {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	o.Name = "family"
	g := NewGroup(client, o, load)
	t.Cleanup(func() {
		g.Close()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestGroup(t *testing.T) {
	server := redistest.New(t)
	var revision, loads atomic.Int64
	load := func(_ context.Context, owner, key string) (doc, error) {
		loads.Add(1)
		return doc{revision.Load(), map[string]string{owner: key}}, nil
	}
	a := family(t, server, Options{LocalTTL: time.Hour}, load)
	b := family(t, server, Options{}, load)
	want := func(g *Group[doc], owner, key string, wantRevision, wantLoads int64) {
		t.Helper()
		got, err := g.Get(t.Context(), owner, key)
		if err != nil || got.Revision != wantRevision || got.Labels[owner] != key || loads.Load() != wantLoads {
			t.Errorf("got %+v, %v after %d loads, want revision %d after %d", got, err, loads.Load(), wantRevision, wantLoads)
		}
	}
	for _, g := range []*Group[doc]{a, b, a, b} {
		want(g, "anna", "limit=10", 0, 1)
	}
	want(a, "anna", "a/key/with/slashes", 0, 2)
	want(b, "ben", "limit=10", 0, 3)
	revision.Store(1)
	b.Invalidate(t.Context(), "anna")
	want(a, "anna", "limit=10", 1, 4)
	want(b, "anna", "limit=10", 1, 4)
	want(a, "anna", "a/key/with/slashes", 1, 5)
	want(a, "ben", "limit=10", 0, 5)
	if got, ok := a.Peek(t.Context(), "anna", "limit=10"); !ok || got.Revision != 1 {
		t.Errorf("peek: got %+v, %t", got, ok)
	}
	if _, ok := a.Peek(t.Context(), "cleo", "limit=10"); ok {
		t.Error("peek: there is what nobody asked for")
	}
	if s := a.Stats(); s.Name != "family" || s.Loads == 0 || s.LocalHits == 0 {
		t.Errorf("got %+v", s)
	}
}

// With Redis gone a group has no generations. One process loads one thing once at a time all the same, and a writer
// sees its write.
func TestGroupWithoutRedis(t *testing.T) {
	server := redistest.New(t)
	var revision, loads atomic.Int64
	begun, proceed := make(chan struct{}, 1), make(chan struct{})
	g := family(t, server, Options{LocalTTL: time.Hour}, func(context.Context, string, string) (doc, error) {
		loads.Add(1)
		d := doc{Revision: revision.Load()}
		select {
		case begun <- struct{}{}:
			<-proceed
		default:
		}
		return d, nil
	})
	server.Kill()
	var readers sync.WaitGroup
	for range 200 {
		readers.Go(func() {
			if _, err := g.Get(t.Context(), "anna", "k"); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all wait for one load", func() bool { return g.outage.Stats().Shared >= 199 && loads.Load() > 0 })
	if got := loads.Load(); got != 1 {
		t.Errorf("got %d loads, want 1", got)
	}
	revision.Store(1)
	g.Invalidate(t.Context(), "anna")
	if got, err := g.Get(t.Context(), "anna", "k"); err != nil || got.Revision != 1 {
		t.Errorf("after the write: got %+v, %v, want revision 1", got, err)
	}
	close(proceed)
	readers.Wait()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis is used again", func() bool {
		before := loads.Load()
		got, err := g.Get(t.Context(), "anna", "k")
		return err == nil && got.Revision == 1 && loads.Load() == before
	})
}

// Everybody asks for the same at once, of four processes that have nothing: it is loaded once, or, without Redis, once
// by each.
func TestGroupStampede(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func(s *redistest.Server)
		most int64
	}{
		"Redis up":   {func(*redistest.Server) {}, 1},
		"Redis down": {(*redistest.Server).Kill, 4},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t)
			var loads atomic.Int64
			asked := make(chan struct{})
			groups := make([]*Group[doc], 4)
			for i := range groups {
				groups[i] = family(t, server, Options{}, func(ctx context.Context, _, _ string) (doc, error) {
					loads.Add(1)
					<-asked
					await(ctx, 20*time.Millisecond)
					return doc{}, nil
				})
				groups[i].generations.remote.timeout, groups[i].members.remote.timeout = patience, patience
			}
			tt.fail(server)
			const callers = 1000
			began := time.Now()
			var done sync.WaitGroup
			for n := range callers {
				done.Go(func() {
					if _, err := groups[n%4].Get(t.Context(), "anna", "k"); err != nil {
						t.Error(err)
					}
				})
			}
			eventually(t, "all but one of each process wait for that one", func() bool {
				waiting := int64(0)
				for _, g := range groups {
					waiting += g.Stats().Shared
				}
				return waiting == callers-int64(len(groups))
			})
			close(asked)
			done.Wait()
			most := tt.most
			if time.Since(began) > leaseWait { // on a machine that is so busy, each process loads for itself
				most = int64(len(groups))
			}
			if got := loads.Load(); got > most {
				t.Errorf("%d callers: got %d loads, want %d at most", callers, got, most)
			}
		})
	}
}

// Writers and readers of one owner's lists, in several processes, with delays between load and store: no list is
// older than what was written, and the group told of, before it was asked for.
func TestGroupReadYourWrites(t *testing.T) {
	server := redistest.New(t)
	var revision, acknowledged, overtaken atomic.Int64
	load := func(ctx context.Context, _, _ string) (doc, error) {
		d := doc{Revision: revision.Load()}
		await(ctx, rand.N(3*time.Millisecond))
		return d, nil
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	var wg sync.WaitGroup
	groups := make([]*Group[doc], 3)
	for i := range groups {
		g := family(t, server, Options{LocalTTL: time.Hour}, load)
		groups[i] = g
		g.generations.remote.timeout, g.members.remote.timeout = patience, patience // a busy machine is no outage
		for reader := range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					least := acknowledged.Load()
					got, err := g.Get(t.Context(), "anna", string(rune('a'+reader%2)))
					if err != nil || got.Revision < least {
						t.Errorf("got revision %d, %v, want %d or later", got.Revision, err, least)
						return
					}
					await(ctx, rand.N(time.Millisecond))
				}
			})
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				written := revision.Add(1)
				g.Invalidate(t.Context(), "anna")
				for known := acknowledged.Load(); known < written && !acknowledged.CompareAndSwap(known, written); {
					known = acknowledged.Load()
				}
				await(ctx, rand.N(12*time.Millisecond))
			}
		})
	}
	wg.Wait()
	var hits int64
	for _, g := range groups {
		s := g.Stats()
		hits += s.LocalHits + s.RedisHits
		overtaken.Add(g.generations.Stats().Overtaken)
	}
	t.Logf("%d writes, %d hits, %d generations overtaken", revision.Load(), hits, overtaken.Load())
	if hits == 0 {
		t.Error("nothing was kept: this has shown nothing")
	}
}
