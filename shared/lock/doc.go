// Package lock keeps two workers from doing the same work at the same time, across instances, with a key in Redis
// (lock:{name}, by github.com/bsm/redislock). It saves duplicate work; it does not make the work correct. Redis
// fails over asynchronously and a holder can be frozen for longer than its lock lasts, so whoever writes what the
// work came to must be fenced by the store: by the precondition on update time that every write here carries.
//
// What [Locker.Hold] promises:
//
//   - At most one function runs under a name, while Redis keeps what it was told and clocks run alike.
//   - A lock lasts for its TTL and is renewed each third of it. A renewal that is refused (Redis was flushed, or
//     failed over without the key) has lost the lock; one that gets no answer is tried again for as long as nobody
//     else can have it. Either way the context of the function ends, with [ErrLost] as its cause, before the TTL has
//     passed on the holder's own clock.
//   - A lock is released when the function is done, also if it panics and also if the caller's context has ended.
//     Only the holder's own token is removed, never the lock of whoever came after.
//   - A lock held by another is [fault.Busy]: an expected outcome, at once or after the wait that was asked for.
//   - A lock that Redis gave too late for the holder to hear of it is taken back in the background.
//   - If Redis can't be reached the function runs without the lock. That is logged once (lock_unavailable) and
//     counted. Every call to Redis has a deadline of its own, so that a silent Redis costs a moment, not the work.
package lock
