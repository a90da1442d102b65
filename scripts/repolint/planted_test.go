package repolint

// planted are small trees, each file under its name between dashes. Lines that break the rule end in "// want", which
// the rule doesn't get to see; what concerns a file as a whole is wanted on its first line.
var planted = []struct{ name, rule, tree string }{
	{"domain packages import those before them", "imports", `
-- shared/transcript/transcript.go --
package transcript
import "earshot.dev/shared/fault" // want
-- shared/fault/fault.go --
package fault
import "earshot.dev/shared/transcript"
`},
	{"domain packages import no library, their tests may", "imports", `
-- shared/event/event.go --
package event
import "encoding/json"
import "github.com/google/uuid" // want
-- shared/event/event_test.go --
package event
import "github.com/google/go-cmp/cmp"
`},
	{"adapters don't know each other, nor any function", "imports", `
-- shared/store/store.go --
package store
import "earshot.dev/shared/cache" // want
import "earshot.dev/shared/event"
import "earshot.dev/shared/fault"
import "earshot.dev/shared/logging"
-- shared/lock/lock.go --
package lock
import "earshot.dev/functions/listen/wire" // want
import "github.com/bsm/redislock"
`},
	{"a function's packages know no adapter and no other function", "imports", `
-- functions/usage/aggregator/aggregator.go --
package aggregator
import "earshot.dev/functions/listen/wire" // want
import "earshot.dev/shared/store" // want
import "earshot.dev/shared/usage"
import "golang.org/x/sync/errgroup"
-- functions/listen/stt/deepgram/deepgram.go --
package deepgram
import "earshot.dev/functions/listen/stt"
`},
	{"a main knows what is shared and what is its own", "imports", `
-- functions/usage/main.go --
package main
import "earshot.dev/functions/listen/wire" // want
import "earshot.dev/functions/usage/aggregator"
import "earshot.dev/shared/store"
`},
	{"end-to-end tests and scripts know everything", "imports", `
-- functions/e2e/resume_test.go --
package e2e
import "earshot.dev/functions/listen/session"
import "earshot.dev/shared/store"
-- scripts/local/main.go --
package main
import "earshot.dev/functions/usage/aggregator"
`},
	{"tests have the servers, and no more adapters than their package", "imports", `
-- shared/store/store_test.go --
package store_test
import "earshot.dev/shared/firestoretest"
import "earshot.dev/shared/store"
-- functions/sweep/sweeper/sweeper_test.go --
package sweeper
import "earshot.dev/shared/firestoretest"
import "earshot.dev/shared/redistest"
import "earshot.dev/shared/store" // want
`},
	{"a package has a row in the table", "imports", `
-- shared/util/util.go --
package util // want
-- shared/store/paths/paths.go --
package paths
-- main.go --
package main // want
`},
	{"SDKs have owners", "owners", `
-- shared/store/store.go --
package store
import "cloud.google.com/go/firestore"
-- shared/cache/cache.go --
package cache
import "cloud.google.com/go/firestore/apiv1" // want
import "cloud.google.com/go/firestores"
-- shared/cache/cache_test.go --
package cache
import "cloud.google.com/go/firestore"
-- functions/usage/main.go --
package main
import _ "cloud.google.com/go/firestore" // want
`},
	{"servers are for tests and the local run", "owners", `
-- scripts/local/main.go --
package main
import "earshot.dev/shared/firestoretest"
-- scripts/stream/main.go --
package main
import "earshot.dev/shared/firestoretest" // want
import "earshot.dev/shared/redistest" // want
-- shared/firestoretest/query.go --
package firestoretest
import "earshot.dev/shared/firestoretest/index"
-- functions/e2e/resume_test.go --
package e2e
import "earshot.dev/shared/firestoretest"
`},
	{"cgo is for the local run and for codecs", "owners", `
-- scripts/local/sphinx/sphinx.go --
package sphinx
import "C"
-- functions/listen/audio/lc3.go --
package audio
import "C"
-- functions/listen/vad/gate.go --
package vad
import "C" // want
`},
	{"one file of a package has its comment", "package comment", `
-- none/a.go --
package none // want
-- one/a.go --
// Package one is commented once.
package one
-- one/b.go --
package one
-- one/a_test.go --
// Package one_test is another package.
package one_test
-- two/a.go --
// Package two is commented here
package two
-- two/b.go --
// and here.
package two // want
-- detached/a.go --
// This is about the file. // want

package detached
-- tests/a_test.go --
// Package tests holds nothing else.
package tests
`},
	{"a page that is cited exists, in the repository or beside the file", "cited pages", `
-- a/README.md --
Text.
-- a/a.go --
// Package a is described by README.md, and by a/README.md.
package a
// See design.md, section 3. // want
var a = 1 // as in b/README.md // want
// https://example.com/other.md is elsewhere.
var b = "x.md"
`},
	{"scripts print, the rest logs", "print", `
-- shared/a/a.go --
package a
import ("fmt"; "log")
func f() {
	fmt.Println() // want
	log.Fatalf("") // want
	println() // want
	fmt.Fprintln(w)
}
-- shared/a/b.go --
package a
import out "fmt"
var p = out.Printf // want
-- shared/a/a_test.go --
package a
import "fmt"
func TestA() { fmt.Print() } // want
func ExampleA() { fmt.Print() }
-- scripts/stream/main.go --
package main
import "fmt"
func main() { fmt.Println() }
`},
	{"tests don't sleep", "sleep in tests", `
-- a.go --
package a
import "time"
func f() { time.Sleep(1) }
-- a_test.go --
package a
import "time"
func f() {
	g(func() { time.Sleep(1) }) // want
	time.Now()
}
`},
	{"results are thrown away for a reason", "discarded result", `
-- a.go --
package a
func f() {
	_ = g() // want
	_ = g() // reason
	_ = g() // want
	// reason
	_, _ = g()
	_ = x
	v, _ := g()
	if _, _ = g( // want
	1); x {
	}
	_ = g(
	1) // reason
}
var _ I = I(nil)
`},
	{"configuration reads the environment", "environment", `
-- functions/usage/config.go --
package main
import "os"
var a = os.Getenv("A")
-- functions/usage/main.go --
package main
import "os"
import "github.com/caarlos0/env/v11"
var a, b = os.LookupEnv("A") // want
var c = env.ParseAs[T] // want
var d = os.Args
-- shared/lock/config.go --
package lock
import "os"
var a = os.Getenv("A") // want
-- scripts/local/main.go --
package main
import "os"
var a = os.Environ()
`},
}
