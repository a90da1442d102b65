// Package session is one live session: it reads audio, has it recognised, tells the client the words, and stores
// them.
//
// # Loops
//
// A session is a chain of four loops. Each ends when the one before it has, so that a session which is told to
// stop first finishes what it has taken in:
//
//	read -> (recogniser) -> receive -> transcribe -> write
//
// read owns the socket's reading side and feeds the intake, which decodes, finds speech and passes it on.
// receive takes the recogniser's results and gives them times. transcribe (scribe) owns the conversation and
// has it stored. write owns the socket's writing side.
//
// # Guarantees
//
// Final words are stored within a second as long as the store answers; until they are they are kept, and
// whatever the store says or doesn't say, each is stored once: see draft and scribe.commit. Run returns only
// when all goroutines of the session have. It gives one Reason out of a closed list.
package session
