// Package firestoretest is a Firestore server in this process, for tests and the local run, as pstest is for Pub/Sub
// and httptest for HTTP. It speaks google.firestore.v1 over gRPC on a local port to the real clients, and passes the
// integration suite of the Go client (scripts/firestore-suite) but for one part, which wants a client to miss a
// credentials file that none reads where an emulator is named. It has not been compared with Google's emulator, which
// is a download of its own; the tests of shared/store run against one where FIRESTORE_EMULATOR_HOST names it. Where the documentation is silent, the suites of
// Firestore's other clients were followed, as the comments say.
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
// # What a read takes
//
// A query reads no more than it gives, and a few entries at its bounds, whatever the collection holds: equalities, in,
// or and array-contains(-any) are looked up, and an order is followed up to the limit. So it is for RunQuery,
// aggregations, ListDocuments, listeners (each time something changes that they have, or would have), transactions,
// and reads of the past, which also pass over what was moved into their way since. What an index can't tell is
// filtered: !=, not-in, and conditions on fields beside those that the query orders by.
//
// For that there must be an index, and nobody declares one. The first query of its kind (the fields that it compares
// and orders by, and the collection) makes it, if there are more than 100 documents: it looks at all documents of the
// collection once, with all their versions, while nothing can be written (some 0.2 s for 100,000). The index is then
// kept for the life of the server, in memory, and brought up to date by every commit; it isn't in the file. No query
// in the order of names needs one, unless it wants a field equal to something. Aggregations and nearest-vector queries
// look at all that they are about, and a query for the collections of an id below some document looks at those
// elsewhere too.
//
// # For tests
//
// [Server.Inject] has calls fail, wait, or lose their answers; [Server.Bill] says what Firestore would bill;
// [Options.Indexes] refuses queries for which no composite index was made.
//
// # What is left out
//
// Pipelines, the Write stream of mobile clients, explaining of queries, security rules, and time-to-live policies.
// Indexes that Firestore wants for nearest-vector queries, sums and collection groups, and exemptions from indexes, are
// not asked for. Values of more than 1,500 bytes are indexed whole. The limit of 40,000 index entries is that of a document
// without composite indexes. Server timestamps have microseconds, and are the time of the commit.
package firestoretest
