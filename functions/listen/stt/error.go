package stt

import (
	"errors"
	"fmt"
	"io"

	"earshot.dev/shared/fault"
)

// Failure says why a recogniser can't go on, in the terms of whoever decides what to do instead.
type Failure uint8

// The failures. All but UnsupportedLanguage and Rejected can be met by another recogniser with the same request.
const (
	Unavailable         Failure = iota // can't be reached, broke off, or failed by its own account: the zero value
	Credentials                        // the key is refused, or the account isn't paid for: nobody gets words until a person acts
	Quota                              // over the account's rate or number of streams: passes by itself
	UnsupportedLanguage                // it doesn't understand the language
	Rejected                           // it refuses the request or the audio as they are: trying again won't help
	Malformed                          // it said something that isn't its protocol
	Silent                             // audio went out, and no answer has ever come
	Stopped                            // it answered, and then no more, though audio went out
	HalfOpen                           // the connection takes what is sent, and nobody is at its other end
)

// failures is the one place where a failure gets its name and what it means to the client and the operator.
var failures = [...]struct {
	name     string
	kind     fault.Kind
	severity fault.Severity
}{
	Unavailable:         {"unavailable", fault.Unavailable, fault.Medium},
	Credentials:         {"credentials", fault.Unavailable, fault.Critical},
	Quota:               {"quota", fault.Unavailable, fault.High},
	UnsupportedLanguage: {"unsupported language", fault.Unsupported, fault.Low},
	Rejected:            {"rejected", fault.Internal, fault.High},
	Malformed:           {"malformed", fault.Unavailable, fault.High},
	Silent:              {"silent", fault.Unavailable, fault.Medium},
	Stopped:             {"stopped", fault.Unavailable, fault.Medium},
	HalfOpen:            {"half open", fault.Unavailable, fault.Medium},
}

func (f Failure) String() string {
	if int(f) < len(failures) {
		return failures[f].name
	}
	return failures[Unavailable].name
}

// Unanswered is Stopped of a recogniser that has answered before, else Silent.
func Unanswered(answered bool) Failure {
	if answered {
		return Stopped
	}
	return Silent
}

// Quiet reports whether the failure is that nothing came, and not that something did.
func (f Failure) Quiet() bool { return f == Silent || f == Stopped || f == HalfOpen }

// Error is a recogniser's failure. Its chain holds a *fault.Error, so that fault's table answers for it: Unsupported
// for a language, Internal for what we asked wrongly, else Unavailable; wrong credentials are critical.
type Error struct {
	Recognizer string // Recognizer.Name
	Failure    Failure
	Err        error // a *fault.Error around what happened
}

// Fail is the Error of a recogniser for what happened; err must not be nil. Where it holds io.EOF, as the error of a
// connection does that was cut, the Error holds io.ErrUnexpectedEOF instead: no failure passes for the end of a stream.
func Fail(recognizer string, failure Failure, err error) *Error {
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w (%v)", io.ErrUnexpectedEOF, err) //nolint:errorlint // it must not be found
	}
	if int(failure) >= len(failures) {
		failure = Unavailable
	}
	entry := failures[failure]
	kind := fault.New(entry.kind, recognizer, err)
	return &Error{Recognizer: recognizer, Failure: failure, Err: fault.Escalate(entry.severity, kind)}
}

func (e *Error) Error() string { return e.Failure.String() + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// FailureOf is the failure of the outermost Error in err's chain, or Unavailable where there is none.
func FailureOf(err error) Failure {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Failure
	}
	return Unavailable
}
