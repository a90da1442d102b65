// Package fault gives an error its kind and its severity where they are known, and answers in one table what
// the kind means to whoever is waiting: an HTTP client, a WebSocket client, or Pub/Sub.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what went wrong in the terms of whoever has to act on it.
type Kind uint8

// The kinds. Busy, NotFound, Conflict and Superseded are expected outcomes: they are answered, not alerted on.
const (
	Internal        Kind = iota // a fault of ours; the zero value, for an error that says nothing else
	Invalid                     // the request can't be understood; sending it again won't help
	Unauthenticated             // no token, or one that doesn't hold
	Expired                     // the token was good once, or can't be checked now: refresh and come again
	Revoked                     // the token was taken back
	Forbidden                   // known, and not allowed
	NotFound                    // there is no such thing, or not any more
	Conflict                    // somebody else wrote in between
	Busy                        // held by another
	Unsupported                 // a codec, rate or language that nothing here can take
	TooLarge                    // over a size limit
	Overloaded                  // over a rate or capacity limit: later
	Unavailable                 // a dependency doesn't answer: later
	Superseded                  // a newer session of the device has taken over
)

// Severity says how much somebody should care. Critical is reported to Error Reporting and alerts.
type Severity uint8

// The severities, from the one nobody is told about to the one that wakes somebody.
const (
	Low Severity = iota
	Medium
	High
	Critical
)

// Error is an error with its kind. Op names the operation that failed, once per package border; Reason, where
// set, is a sentence for the person at the other end and holds no secrets.
type Error struct {
	Kind     Kind
	Severity Severity
	Op       string
	Reason   string
	Err      error
}

func (e *Error) Error() string {
	switch {
	case e.Err != nil && e.Op != "":
		return e.Op + ": " + e.Err.Error()
	case e.Err != nil:
		return e.Err.Error()
	case e.Op != "":
		return e.Op + ": " + e.reason()
	default:
		return e.reason()
	}
}

func (e *Error) reason() string {
	if e.Reason != "" {
		return e.Reason
	}
	return e.Kind.String()
}

func (e *Error) Unwrap() error { return e.Err }

// New gives err a kind, with the kind's usual severity. It gives nil for a nil err.
func New(kind Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Severity: kind.entry().severity, Op: op, Err: err}
}

// Newf is a new error of a kind whose text is also the reason that the person at the other end is given.
func Newf(kind Kind, op, format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	return &Error{Kind: kind, Severity: kind.entry().severity, Op: op, Reason: reason}
}

// Wrap names the operation around err and keeps its kind, severity and reason. It gives nil for a nil err.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Severity: SeverityOf(err), Op: op, Reason: ReasonOf(err), Err: err}
}

// Escalate sets the severity of err, for the caller who knows that it matters more, or less, than its kind says.
func Escalate(severity Severity, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Severity: severity, Reason: ReasonOf(err), Err: err}
}

// KindOf is the kind of the outermost Error in err's chain. A deadline or a cancellation without a kind is
// Unavailable, since both pass; anything else is Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Unavailable
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// SeverityOf is the severity of the outermost Error in err's chain, or its kind's usual one.
func SeverityOf(err error) Severity {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Severity
	}
	return KindOf(err).entry().severity
}

// ReasonOf is the sentence meant for the person at the other end, or the name of the kind: never the text of an
// error that was not written for them.
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.reason()
	}
	return KindOf(err).String()
}
