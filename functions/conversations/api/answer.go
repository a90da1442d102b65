package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"strings"

	"earshot.dev/shared/account"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// The names of what is logged.
const (
	requestFailed     = "request_failed"
	endNotAnnounced   = "end_not_announced"
	pendingNotCleared = "pending_not_cleared"
	limitNotShared    = "limit_not_shared"
)

// maxBody is what a request may bring, in bytes.
const maxBody = 64 << 10

// request is one of a user who is known.
type request struct {
	*http.Request
	uid     string
	profile account.Profile
}

// answer is what a request is answered with. The zero value is 200, and null.
type answer struct {
	status int // 0: 200
	body   any
	header http.Header

	// photos, where there are any, gives the body instead, which is large, and the room that it takes. body then is what
	// tells it from any other.
	photos func(ctx context.Context) (body any, taken *room, err error)
}

type handle func(ctx context.Context, r request) (answer, error)

// handler is what stands before each handle: who it is, how often they come, and what is said in the end.
func (a *API) handler(h handle) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		uid, signedIn, err := a.User(r)
		var profile account.Profile
		if err == nil {
			r = r.WithContext(logging.With(r.Context(), slog.String("uid", uid)))
			if err = a.limits.admit(r.Context(), uid, 1); err == nil {
				profile, err = a.Reader.Admit(r.Context(), uid, signedIn)
			}
		}
		var reply answer
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			reply, err = h(r.Context(), request{r, uid, profile})
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		a.write(w, r, reply)
	}
}

// write sends an answer. One to a GET has a tag made from its octets, or where it has photos from what names them, and is
// not sent to who has it.
func (a *API) write(w http.ResponseWriter, r *http.Request, reply answer) {
	header := w.Header()
	maps.Copy(header, reply.header)
	header.Set("Cache-Control", "private, no-cache") // keep it, but ask
	if reply.status == http.StatusNoContent {
		w.WriteHeader(reply.status)
		return
	}
	var body bytes.Buffer
	if err := encode(&body, reply.body); err != nil {
		fail(w, r, err)
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		sum := sha256.Sum256(body.Bytes())
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		header.Set("ETag", tag)
		if has(r.Header.Values("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if reply.photos != nil {
		whole, taken, err := reply.photos(r.Context())
		if err == nil {
			defer taken.shrink(0)
			body.Reset()
			err = encode(&body, whole)
			taken.shrink(body.Cap())
		}
		if err != nil {
			header.Del("ETag")
			fail(w, r, err)
			return
		}
	}
	header.Set("Content-Type", "application/json")
	if reply.status != 0 {
		w.WriteHeader(reply.status)
	}
	if reply.photos != nil {
		a.send(w, body.Bytes())
		return
	}
	_, _ = w.Write(body.Bytes()) // a client that has gone needs no answer
}

func encode(into *bytes.Buffer, body any) error {
	return fault.New(fault.Internal, "encode answer", json.NewEncoder(into).Encode(body))
}

// has reports whether the lists of If-None-Match name the tag (RFC 9110, section 13.1.2).
func has(lists []string, tag string) bool {
	for _, list := range lists {
		for candidate := range strings.SplitSeq(list, ",") {
			if c := strings.TrimPrefix(strings.TrimSpace(candidate), "W/"); c == tag || c == "*" {
				return true
			}
		}
	}
	return false
}

// fail answers with an error, and logs it where it isn't the client's.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = fault.Newf(fault.TooLarge, "read body", "the body has over %d bytes", tooLarge.Limit)
	}
	status := fault.KindOf(err).HTTPStatus()
	if fault.SeverityOf(err) > fault.Low && status != http.StatusTooManyRequests {
		logging.Error(r.Context(), requestFailed, err, slog.String("method", r.Method), slog.String("path", r.URL.Path))
	}
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	fault.WriteProblem(w, status, fault.ReasonOf(err))
}

// refuse answers where no route is: the mux says whether it is the path or the method that isn't known.
func refuse(w http.ResponseWriter, r *http.Request, mux http.Handler) {
	said := &heard{header: http.Header{}, status: http.StatusOK}
	mux.ServeHTTP(said, r)
	if said.status != http.StatusMethodNotAllowed {
		fault.WriteProblem(w, http.StatusNotFound, "there is nothing at this path")
		return
	}
	w.Header().Set("Allow", said.header.Get("Allow"))
	fault.WriteProblem(w, said.status, "this path takes "+said.header.Get("Allow"))
}

// heard keeps the status and the header of an answer that goes nowhere.
type heard struct {
	header http.Header
	status int
}

func (h *heard) Header() http.Header         { return h.header }
func (h *heard) WriteHeader(status int)      { h.status = status }
func (h *heard) Write(p []byte) (int, error) { return len(p), nil }

// id is the conversation's of the path.
func (r request) id() (string, error) {
	if id := r.PathValue("id"); conversation.ValidName(id) {
		return id, nil
	}
	return "", fault.Newf(fault.NotFound, "read path", "there is no such conversation")
}

// decode reads the JSON that a request brought.
func (r request) decode(into any) error {
	const op = "read body"
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fault.Newf(fault.Unsupported, op, "the body has to be application/json")
	}
	err := json.NewDecoder(r.Body).Decode(into)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || err == nil {
		return err
	}
	return fault.Newf(fault.Invalid, op, "the body is not the JSON that is wanted")
}
