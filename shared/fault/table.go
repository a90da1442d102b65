package fault

import "net/http"

// entry is what a kind means to each who may be waiting for an answer.
type entry struct {
	name     string
	severity Severity
	http     int // status of an HTTP answer
	close    int // close code of a WebSocket, RFC 6455 section 7.4 and 4000..4999 of our own
	push     int // status of a Pub/Sub push: 2xx acknowledges, anything else has the message delivered again
}

// table is the one place where a kind gets its consequences. A push is acknowledged only if it is done: a
// message that can't be understood gets 400, so that it ends in the dead letter topic, where it can be seen.
var table = [...]entry{
	Internal:        {"internal", High, http.StatusInternalServerError, 1011, http.StatusServiceUnavailable},
	Invalid:         {"invalid", Low, http.StatusBadRequest, 1008, http.StatusBadRequest},
	Unauthenticated: {"unauthenticated", Low, http.StatusUnauthorized, 1008, http.StatusUnauthorized},
	Expired:         {"expired", Low, http.StatusUnauthorized, 4001, http.StatusUnauthorized},
	Revoked:         {"revoked", Low, http.StatusUnauthorized, 4004, http.StatusUnauthorized},
	Forbidden:       {"forbidden", Low, http.StatusForbidden, 1008, http.StatusForbidden},
	NotFound:        {"not found", Low, http.StatusNotFound, 1008, http.StatusServiceUnavailable},
	Conflict:        {"conflict", Low, http.StatusConflict, 1011, http.StatusServiceUnavailable},
	Busy:            {"busy", Low, http.StatusServiceUnavailable, 1013, http.StatusServiceUnavailable},
	Unsupported:     {"unsupported", Low, http.StatusUnsupportedMediaType, 1003, http.StatusBadRequest},
	TooLarge:        {"too large", Low, http.StatusRequestEntityTooLarge, 1009, http.StatusBadRequest},
	Overloaded:      {"overloaded", Medium, http.StatusTooManyRequests, 1013, http.StatusServiceUnavailable},
	Unavailable:     {"unavailable", Medium, http.StatusServiceUnavailable, 1011, http.StatusServiceUnavailable},
	Superseded:      {"superseded", Low, http.StatusConflict, 1001, http.StatusServiceUnavailable},
}

func (k Kind) entry() entry {
	if int(k) < len(table) {
		return table[k]
	}
	return table[Internal]
}

func (k Kind) String() string { return k.entry().name }

// HTTPStatus is the status of an HTTP answer.
func (k Kind) HTTPStatus() int { return k.entry().http }

// CloseCode is the close code of a WebSocket (functions/listen/wire/README.md).
func (k Kind) CloseCode() int { return k.entry().close }

// PushStatus is the status of the answer to a Pub/Sub push. There is no kind that acknowledges: what is done,
// or durably recorded as failed, is no error.
func (k Kind) PushStatus() int { return k.entry().push }

func (s Severity) String() string {
	switch s {
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	default:
		return "critical"
	}
}
