package cache

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// local is the layer in this process. It hides otter, and isn't generic as a Query is, since whoever sees an
// otter.Cache compiles it anew, which takes longer than all the rest of a function.
type local interface {
	get(key string) (kept, bool)
	put(key string, a kept)
	remove(key string)
	close()
}

// kept is an answer, of whatever type.
type kept interface {
	weight() int    // the size of its entry, in bytes
	negative() bool // there is no value
}

type otterLocal struct{ answers *otter.Cache[string, kept] }

func newLocal(bytes int, ttl, negativeTTL time.Duration) local {
	return otterLocal{otter.Must(&otter.Options[string, kept]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(key string, a kept) uint32 { return uint32(len(key) + a.weight()) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, kept]) time.Duration {
			if e.Value.negative() {
				return min(ttl, negativeTTL)
			}
			return ttl
		}),
	})}
}

func (l otterLocal) get(key string) (kept, bool) { return l.answers.GetIfPresent(key) }

func (l otterLocal) put(key string, a kept) { l.answers.Set(key, a) }

func (l otterLocal) remove(key string) { l.answers.Invalidate(key) }

func (l otterLocal) close() { l.answers.StopAllGoroutines() }
