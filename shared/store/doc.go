// Package store keeps conversations, usage and settings in Firestore behind small methods. It is the only
// package that knows the documents' layout, and the only one that imports the Firestore client.
//
//	users/{uid}                                      account.Profile
//	users/{uid}/devices/{device}                     conversation.Device
//	users/{uid}/conversations/{cid}                  conversation.Conversation
//	users/{uid}/conversations/{cid}/pages/{000000}   transcript.Page
//	users/{uid}/conversations/{cid}/photos/{id}      conversation.Photo
//	users/{uid}/deleted/{cid}                        that it is, of an id that a client gave
//	users/{uid}/usage/{h2026-11-23T10|d…|m…}         usage.Totals; the hour's also by conversation
//	users/{uid}/webhooks/{type}                      account.Webhook
//	users/{uid}/deliveries/{id}                      account.Delivery
//
// # The chain
//
// Every change of a stored conversation goes through Commit, CommitPhoto or Delete, and all demand that the document is
// still the one the caller knows, by its update time. So each version has one successor. A caller that is
// refused with fault.Conflict, or that never gets an answer (fault.Unavailable), doesn't know whether its own
// commit is in the chain: the client library sends a commit again by itself when the connection breaks, and the
// second try is refused because the first took effect. It must read back and look for its mark, the session's
// flush number or the claim's token. Store never guesses for it.
//
// # Errors
//
// Errors are fault kinds: NotFound, Conflict, Unavailable for whatever may pass, Internal for what is a bug.
package store
