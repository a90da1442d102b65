package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	listenPath        = "/v4/listen"
	conversationsPath = "/v1/conversations"
)

// knock asks listen and conversations, if that has an address, without a token: both say what is wrong with that, and
// conversations describes itself to everybody.
func knock(ctx context.Context, listen, api string) error {
	if _, err := get(ctx, listen+listenPath, http.StatusUpgradeRequired); err != nil {
		return err
	}
	if api == "" {
		return nil
	}
	if _, err := get(ctx, api+conversationsPath, http.StatusUnauthorized); err != nil {
		return err
	}
	text, err := get(ctx, api+"/openapi.json", http.StatusOK)
	if err != nil {
		return err
	}
	var description struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &description); err != nil {
		return fmt.Errorf("%s/openapi.json: %w", api, err)
	}
	if _, ok := description.Paths[conversationsPath]; !ok || !strings.HasPrefix(description.OpenAPI, "3.") {
		return fmt.Errorf("%s/openapi.json describes something else: OpenAPI %q without %s", api, description.OpenAPI, conversationsPath)
	}
	return nil
}

// get gives the body of an answer, which has to have a status. An instance may have to start first.
func get(ctx context.Context, url string, status int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		return nil, fmt.Errorf("%s: got %s, want %d", url, response.Status, status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 1<<20))
}
