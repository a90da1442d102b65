// Package e2e tests everything together: the production binaries as processes of their own, real sockets, a real
// redis-server, the real client libraries. The speech is made of numbered words, and the recogniser is exact, so
// that each word that is lost or doubled shows.
package e2e
