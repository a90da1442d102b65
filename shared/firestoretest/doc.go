// Package firestoretest is a Firestore server in this process, for tests and the local run, as pstest is for
// Pub/Sub and httptest for HTTP. It speaks google.firestore.v1 over gRPC on a local port to the real clients.
//
// # What holds
//
// A commit is whole or not at all, and has a time of its own, later than any before. Each document keeps its
// versions, so a read, a query or a transaction sees the database as it was at one time. A write may demand that
// a document exists, doesn't, or is still the version of a certain update time; a write that changes nothing
// keeps the update time. Transactions are serializable: what a transaction read is looked at again when it
// commits, and if any of it changed the commit is ABORTED, and the client tries again. Nothing waits for a lock,
// so nothing can deadlock.
//
// # What is left out
//
// Listen, PartitionQuery, sums and averages, vectors, pipelines, and security rules.
package firestoretest
