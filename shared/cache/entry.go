package cache

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"earshot.dev/shared/fault"
)

// The first byte of an entry says what it is.
const (
	tagValue      = 'v'
	tagRefreshing = 'r' // a value that somebody is loading again
	tagNotFound   = 'n'
	tagLease      = 'l'
)

// A value's JSON comes after a head of a fixed length: the tag, the version, when to refresh it (unix milliseconds),
// and what tells it from any other entry there ever was.
const (
	versionLength = 19
	refreshLength = 13
	headLength    = 1 + versionLength + refreshLength + 26
)

// refreshAfter is how much of its time a value lasts before the next reader has it loaded again. Whatever is asked
// for so often never ends, and nobody waits for it.
const refreshAfter = 0.8

// entry is what is stored under a key, and for how long. It is empty for what isn't to be kept.
type entry struct {
	bytes []byte
	ttl   time.Duration
}

// encode makes the entry of an answer.
func (q *Query[T]) encode(ctx context.Context, a answer[T]) entry {
	switch {
	case fault.Is(a.err, fault.NotFound):
		return entry{append([]byte{tagNotFound}, fault.ReasonOf(a.err)...), q.negativeTTL}
	case a.err != nil:
		return entry{}
	}
	body, err := json.Marshal(a.value)
	if err != nil {
		q.remote.complain(ctx, "cache_unencodable", fault.New(fault.Internal, "encode", err))
		return entry{}
	}
	ttl := q.ttl
	if p, ok := any(a.value).(Perishable); ok {
		ttl = min(ttl, p.KeepFor())
	}
	ttl = jittered(ttl)
	var version int64
	if v, ok := any(a.value).(Versioned); ok {
		version = v.Version()
	}
	refresh := time.Now().Add(time.Duration(refreshAfter * float64(ttl)))
	return entry{append(head(tagValue, version, refresh), body...), ttl}
}

func head(tag byte, version int64, refresh time.Time) []byte {
	return fmt.Appendf(make([]byte, 0, headLength), "%c%0*d%0*d%s",
		tag, versionLength, max(version, 0), refreshLength, refresh.UnixMilli(), rand.Text())
}

func (q *Query[T]) decode(entry []byte) (answer[T], error) {
	a := answer[T]{size: len(entry)}
	switch tag := entry[0]; tag {
	case tagValue, tagRefreshing:
		if len(entry) < headLength {
			return a, fmt.Errorf("a value of %d bytes has no head", len(entry))
		}
		return a, json.Unmarshal(entry[headLength:], &a.value)
	case tagNotFound:
		a.err = fault.Newf(fault.NotFound, "load "+q.name, "%s", entry[1:])
		return a, nil
	default:
		return a, fmt.Errorf("an entry can't begin with %q", tag)
	}
}

// due says whether it is time to refresh the value of an entry, which is whole, and nobody is at it.
func due(entry []byte) bool {
	if entry[0] != tagValue {
		return false
	}
	at, err := strconv.ParseInt(string(entry[1+versionLength:1+versionLength+refreshLength]), 10, 64)
	return err == nil && time.Now().UnixMilli() >= at
}

// refreshing is the head of an entry whose value is being loaded again: no other has it.
func refreshing(old []byte) []byte {
	taken := head(tagRefreshing, 0, time.Now())
	copy(taken[1:1+versionLength], old[1:])
	return taken
}

// jittered is up to a tenth less than ttl.
func jittered(ttl time.Duration) time.Duration { return ttl - mathrand.N(ttl/10+1) }
