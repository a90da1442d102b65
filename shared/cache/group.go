package cache

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Group is a Query with many keys for each owner, all of which are forgotten at once: the lists of a user, whatever
// their filters, when one of the user's things has changed. A key has the owner's generation in it, which is random
// and forgotten in place of the keys: what was kept under it is out of reach then, and ends with its TTL. The
// guarantees are those of Query, for the generation.
type Group[T any] struct {
	generations *Query[string]
	members     *Query[T]

	outage *Query[T]    // keeps nothing; in the place of members while Redis can't say which generation it is
	epoch  atomic.Int64 // of what outage has under way
}

// generationTTL is long: a new generation costs a load of all that is asked for.
const generationTTL = 24 * time.Hour

// NewGroup returns a Group over the loader, like [New]. An owner holds no slash. Since a key under a generation
// never means anything else, a LocalTTL costs no freshness.
func NewGroup[T any](client *redis.Client, o Options, load func(ctx context.Context, owner, key string) (T, error)) *Group[T] {
	generations := Options{Name: o.Name + "-generation", Version: o.Version, TTL: generationTTL}
	// The owner and the key stand around the generation, or the epoch.
	member := func(ctx context.Context, path string) (T, error) {
		owner, path, _ := strings.Cut(path, "/")
		_, key, _ := strings.Cut(path, "/")
		return load(ctx, owner, key)
	}
	return &Group[T]{
		generations: New(client, generations, func(context.Context, string) (string, error) { return rand.Text(), nil }),
		members:     New(client, o, member),
		outage:      New(nil, Options{Name: o.Name}, member),
	}
}

// Get is [Query.Get] for a key of the owner.
func (g *Group[T]) Get(ctx context.Context, owner, key string) (T, error) {
	generation, reached, err := g.generations.get(ctx, owner)
	switch {
	case err != nil:
		var none T
		return none, err
	case reached:
		return g.members.Get(ctx, owner+"/"+generation+"/"+key)
	default:
		return g.outage.Get(ctx, owner+"/"+strconv.FormatInt(g.epoch.Load(), 10)+"/"+key)
	}
}

// Peek is [Query.Peek] for a key of the owner.
func (g *Group[T]) Peek(ctx context.Context, owner, key string) (T, bool) {
	generation, ok := g.generations.Peek(ctx, owner)
	if !ok {
		var none T
		return none, false
	}
	return g.members.Peek(ctx, owner+"/"+generation+"/"+key)
}

// Invalidate is [Query.Invalidate] for all keys of the owner.
func (g *Group[T]) Invalidate(ctx context.Context, owner string) {
	g.generations.Invalidate(ctx, owner)
	g.epoch.Add(1) // for every owner: all it costs is that a load is not shared
}

// Stats are those of the keys. Loads of generations are none of the database.
func (g *Group[T]) Stats() Stats {
	s, o := g.members.Stats(), g.outage.Stats()
	s.Shared, s.Misses, s.Loads, s.LoadErrors = s.Shared+o.Shared, s.Misses+o.Misses, s.Loads+o.Loads, s.LoadErrors+o.LoadErrors
	s.RedisErrors += g.generations.Stats().RedisErrors
	return s
}

// Close is [Query.Close].
func (g *Group[T]) Close() {
	g.generations.Close()
	g.members.Close()
	g.outage.Close()
}
