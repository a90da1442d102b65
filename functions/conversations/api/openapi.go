package api

import (
	_ "embed"
	"net/http"
)

// description is the API in the terms of OpenAPI 3.1. Tests hold all requests and answers against it.
//
//go:embed openapi.json
var description []byte

// describe is GET /openapi.json, for everybody.
func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(description) // a client that has gone needs no answer
}
