// Package infralint holds infra/ and the code to each other: what a service asks of its environment is set there, and
// what is set up there is used by a service. It reads HCL and Go as they are written, and is only tests: run it with
//
//	go test ./scripts/infralint
//
// A rule looks in both directions, so that it fails when either side is changed alone; planted_test.go changes one
// side at a time and sees that it does. cloudbuild.yaml is held to Cloud Build's schema and to the scripts it calls.
//
// The rules read what the repository writes today: environment variables in struct tags, queries in chains of
// methods, one resource for each thing. What they can't read, they report.
package infralint
