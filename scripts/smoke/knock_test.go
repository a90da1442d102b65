package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// What is deployed in place of our services, or half of it, is told from them.
func TestKnock(t *testing.T) {
	text, err := os.ReadFile("../../functions/conversations/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		status int
		body   string
	}
	for _, tt := range []struct {
		name, path string // of the answer that is another
		answer     answer
		want       string
	}{
		{"as it should be", "", answer{}, ""},
		{"listen is another service", listenPath, answer{http.StatusOK, "hello"}, "want 426"},
		{"listen isn't there", listenPath, answer{http.StatusNotFound, ""}, "want 426"},
		{"conversations shows all to everybody", conversationsPath, answer{http.StatusOK, "[]"}, "want 401"},
		{"conversations is closed by Cloud Run", conversationsPath, answer{http.StatusForbidden, ""}, "want 401"},
		{"conversations describes nothing", "/openapi.json", answer{http.StatusNotFound, ""}, "want 200"},
		{"conversations describes itself in HTML", "/openapi.json", answer{http.StatusOK, "<html>"}, "invalid character"},
		{"conversations describes another service", "/openapi.json", answer{http.StatusOK, `{"openapi":"3.1.0","paths":{"/pets":{}}}`}, "describes something else"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := map[string]answer{
				listenPath: {http.StatusUpgradeRequired, ""}, conversationsPath: {http.StatusUnauthorized, "{}"},
				"/openapi.json": {http.StatusOK, string(text)},
			}
			if tt.path != "" {
				maps.Copy(answers, map[string]answer{tt.path: tt.answer})
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					t.Error("got a token, want none")
				}
				w.WriteHeader(answers[r.URL.Path].status)
				_, _ = w.Write([]byte(answers[r.URL.Path].body)) // the client says whether it came
			}))
			defer server.Close()
			err := knock(t.Context(), server.URL, server.URL)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Where tokens are another issuer's, nothing is said and nobody is asked to sign; the knocking counts all the same.
func TestAnotherIssuer(t *testing.T) {
	status := http.StatusUpgradeRequired
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			t.Error("got a session, want none")
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	o := options{Listen: server.URL, Issuer: "https://issuer.example", Account: "earshot-build@p1.iam.gserviceaccount.com"}
	if err := run(t.Context(), o); err != nil {
		t.Errorf("got %v, want that it is skipped", err)
	}
	status = http.StatusBadGateway
	if err := run(t.Context(), o); err == nil {
		t.Error("got no error where listen isn't there")
	}
}

func TestStrange(t *testing.T) {
	const account = "earshot-build@p1.iam.gserviceaccount.com"
	for issuer, want := range map[string]bool{
		"": false, "https://securetoken.google.com/p1": false,
		"https://securetoken.google.com/p2": true, "https://issuer.example": true,
	} {
		if got := strange(issuer, account); got != want {
			t.Errorf("%q: got %v, want %v", issuer, got, want)
		}
	}
}
