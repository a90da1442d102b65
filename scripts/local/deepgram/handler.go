// Package deepgram is the server's side of Deepgram's streaming protocol in front of an engine of one's own: a client
// made for Deepgram runs unchanged against localhost. It refuses what Deepgram refuses, with the same status and body.
package deepgram

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/coder/websocket"
	"github.com/google/uuid"
)

// readLimit bounds one message: two minutes of audio at 16 kHz, as one replayed after a failure may be.
const readLimit = 4 << 20

// Handler answers WS /v1/listen.
type Handler struct {
	Key    string // what clients send in Authorization: Token KEY
	Engine Engine
}

// query is what this server heeds of a request's parameters; it accepts all others.
type query struct {
	interim   bool
	punctuate bool
	diarize   bool
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	w.Header().Set("Dg-Request-Id", id)
	if r.URL.Path != "/v1/listen" {
		refuse(w, id, http.StatusNotFound, "NOT_FOUND", "There is nothing here but /v1/listen.")
		return
	}
	switch r.Header.Get("Authorization") {
	case "Token " + h.Key, "Bearer " + h.Key:
	default:
		refuse(w, id, http.StatusUnauthorized, "INVALID_AUTH", "Invalid credentials.")
		return
	}
	q, refused := h.parse(r)
	if refused != nil {
		refuse(w, id, http.StatusBadRequest, refused.Code, refused.Message)
		return
	}
	decoder, err := h.Engine.Open(r.Context())
	if err != nil {
		refuse(w, id, http.StatusServiceUnavailable, "Service Unavailable", "Please try again later.")
		slog.ErrorContext(r.Context(), "recogniser_unavailable", "error", err)
		return
	}
	defer decoder.Close()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		slog.WarnContext(r.Context(), "recogniser_not_upgraded", "error", err)
		return
	}
	conn.SetReadLimit(readLimit)
	c := &connection{
		id: id, conn: conn, query: q, rate: h.Engine.Rate(), decoder: decoder,
		queue: make(chan item, queueLength), active: make(chan struct{}, 1),
	}
	c.run()
}

func (h *Handler) parse(r *http.Request) (query, *refusal) {
	values := r.URL.Query()
	rate := strconv.Itoa(h.Engine.Rate())
	language := values.Get("language")
	if language == "" {
		language = "en"
	}
	switch {
	case values.Get("encoding") != "linear16":
		return query{}, &refusal{Code: "INVALID_QUERY_PARAMETER", Message: "The encoding must be linear16."}
	case values.Get("sample_rate") != rate:
		return query{}, &refusal{Code: "INVALID_QUERY_PARAMETER", Message: "The sample_rate must be " + rate + "."}
	case values.Has("channels") && values.Get("channels") != "1":
		return query{}, &refusal{Code: "INVALID_QUERY_PARAMETER", Message: "There can be one channel."}
	case !h.Engine.Supports(language):
		return query{}, &refusal{Code: "Bad Request", Message: "Bad Request: No such model/language/tier combination found."}
	}
	q := query{}
	for name, value := range map[string]*bool{"interim_results": &q.interim, "punctuate": &q.punctuate, "diarize": &q.diarize} {
		if !values.Has(name) {
			continue
		}
		on, err := strconv.ParseBool(values.Get(name))
		if err != nil {
			return query{}, &refusal{Code: "INVALID_QUERY_PARAMETER", Message: name + " is true or false."}
		}
		*value = on
	}
	return q, nil
}

func refuse(w http.ResponseWriter, requestID string, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that has gone needs no answer.
	_ = json.NewEncoder(w).Encode(refusal{Code: code, Message: message, RequestID: requestID})
}
