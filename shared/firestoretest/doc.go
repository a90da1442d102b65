// Package firestoretest is a Firestore server in this process, for tests and the local run, as pstest is for Pub/Sub
// and httptest for HTTP. It speaks google.firestore.v1 over gRPC on a local port to the real clients, and passes the
// integration suite of the Go client (scripts/firestore-suite).
//
// # What holds
//
// A commit is whole or not at all, and has a time of its own, later than any before. Each document keeps its
// versions for an hour, so a read, a query or a transaction sees the database as it was at one time. A write may
// demand that a document exists, doesn't, or is still the version of a certain update time; a write that changes
// nothing keeps the update time. Transactions are serializable: what a transaction read is looked at again when it
// commits, and if any of it changed the commit is ABORTED, and the client tries again. Nothing waits for a lock, so
// nothing can deadlock. (Firestore's server clients lock what a transaction reads, so there the other writer may be
// the one who waits or fails; what is committed is serializable either way.)
//
// With [Options.File] a commit is in the file, whole, before it is answered.
//
// # For tests
//
// [Server.Inject] has calls fail, wait, or lose their answers; [Server.Bill] says what Firestore would bill;
// [Options.Indexes] refuses queries for which no composite index was made.
//
// # What is left out
//
// Pipelines, the Write stream of mobile clients, explaining of queries, security rules, and time-to-live policies.
// Indexes that Firestore wants for nearest-vector queries and sums, and exemptions from indexes, are not asked for.
package firestoretest
