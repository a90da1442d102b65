// Package cache answers repeated questions without asking the database again: a [Query] looks in this process, then
// in Redis, and only then calls its loader. Redis is for speed and never the only place of a fact: flushed, slow,
// full or down, answers stay right and come from the loader.
//
// # Layers
//
// The first layer holds decoded values in this process: few, and for seconds. It gives a value to all callers
// alike, so nobody may change what Get returned. The second is Redis, under cache:{name}:v{version}:{key}, where
// an entry is one of
//
//	v<JSON>      a value, for TTL
//	n<reason>    there is no such thing, for NegativeTTL
//	l<token>     a lease: somebody is loading
//
// Errors other than [fault.NotFound] are never kept. A change of the JSON's shape is a new Version.
//
// # One load at a time
//
// Callers in one process that miss the same key share one load. Across processes, whoever misses takes the key's
// lease before loading; the others wait for the value, for a second at most, and then load for themselves. The load
// has its own deadline and outlives the caller that began it: one who gives up doesn't fail those who still wait. A
// loader that panics is an error to all of them.
//
// Of different keys 64 are loaded at once in a process, whatever Queries they are of; others wait for their turn. So the
// loads of a process are bounded where Redis can't be reached, and each question is one. What this process
// holds answers then too, for LocalTTL as ever; but that of a [Group] doesn't, since a write by another couldn't be known of.
//
// # No stale value comes back
//
// A writer calls [Query.Invalidate] after its commit, which deletes the entry. A loader that read before the commit
// can't put the old value back, since Redis takes a value only in exchange for the lease under which it was loaded,
// and the lease was deleted (the scheme of "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1). The lease is
// random, so that an entry that was flushed, evicted or expired in between is not mistaken for the old one. A
// shared load whose lease is gone answers only those who asked before it began.
//
// So a Get that begins after Invalidate has returned sees the write, or a later one, except:
//
//   - in another process, up to LocalTTL, in its first layer. A LocalTTL of 0 has no first layer: the choice where
//     people must see their own change at once, whichever instance answers;
//   - while Redis can't be reached: for the length of one load in flight elsewhere; and if the deletion itself did
//     not get through within a second, what Redis holds stays visible to other processes until the deletion, which is repeated in
//     the background and once more when the process ends, succeeds: at most for TTL. The process that wrote doesn't look
//     there meanwhile;
//   - where Redis fails over to a replica that had not heard of the deletion yet: at most for TTL.
//
// Invalidate asks Redis whatever befell the calls before it, and returns after 1.1 s at most, Update after 1.3 s. Who has
// several keys of several Queries forgotten does so at once, and waits for no more than that. While Redis does nothing that
// it is asked to, the next writers of a Query don't insist: Invalidate takes 0.1 s then, and Update 0.3 s.
package cache
