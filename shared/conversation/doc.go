// Package conversation holds what a conversation is and what may become of it, without any I/O.
//
// # Lifecycle
//
//	live -> ended -> finalizing -> completed | failed
//
// A conversation is live while words may join it, across sessions. It ends once: by the person, by silence, or
// by the sweep. Whoever finalizes it holds a claim for a time; a claim that has run out may be taken over.
// Every method that changes the status says whether it did, so that being told twice is no error.
//
// # Fencing
//
// A Conversation carries the update time of the stored document it was read from or written to. The store
// writes it back only if the document is still that one (store.Commit), so that of two who change the same
// conversation one is refused, re-reads, and decides again.
package conversation
