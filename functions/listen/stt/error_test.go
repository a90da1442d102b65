package stt_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/shared/fault"
)

func TestFailureDecidesKindAndSeverity(t *testing.T) {
	tests := []struct {
		failure  stt.Failure
		name     string
		kind     fault.Kind
		severity fault.Severity
	}{
		{stt.Unavailable, "unavailable", fault.Unavailable, fault.Medium},
		{stt.Credentials, "credentials", fault.Unavailable, fault.Critical},
		{stt.Quota, "quota", fault.Unavailable, fault.High},
		{stt.UnsupportedLanguage, "unsupported language", fault.Unsupported, fault.Low},
		{stt.Rejected, "rejected", fault.Internal, fault.High},
		{stt.Malformed, "malformed", fault.Unavailable, fault.High},
		{stt.Silent, "silent", fault.Unavailable, fault.Medium},
		{stt.Stopped, "stopped", fault.Unavailable, fault.Medium},
		{stt.HalfOpen, "half open", fault.Unavailable, fault.Medium},
		{stt.Failure(200), "unavailable", fault.Unavailable, fault.Medium},
	}
	for _, test := range tests {
		err := fmt.Errorf("session: %w", stt.Fail("echo", test.failure, io.ErrUnexpectedEOF))
		if got := test.failure.String(); got != test.name {
			t.Errorf("Failure(%d) is called %q, want %q", test.failure, got, test.name)
		}
		if got := fault.KindOf(err); got != test.kind {
			t.Errorf("%s: kind %v, want %v", test.name, got, test.kind)
		}
		if got := fault.SeverityOf(err); got != test.severity {
			t.Errorf("%s: severity %v, want %v", test.name, got, test.severity)
		}
		if got, want := stt.FailureOf(err).String(), test.name; got != want {
			t.Errorf("FailureOf: %q, want %q", got, want)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v doesn't hold its cause", test.name, err)
		}
	}
}

func TestFailureOfAnythingElseIsUnavailable(t *testing.T) {
	if got := stt.FailureOf(io.EOF); got != stt.Unavailable {
		t.Errorf("FailureOf(io.EOF) = %v, want %v", got, stt.Unavailable)
	}
}

func TestFailureIsNoEnd(t *testing.T) {
	err := stt.Fail("echo", stt.Unavailable, fmt.Errorf("read frame: %w", io.EOF))
	if errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v passes for the end of a stream", err)
	}
}

func TestErrorSaysWhoAndWhy(t *testing.T) {
	err := stt.Fail("echo", stt.Credentials, errors.New("HTTP 401"))
	if got, want := err.Error(), "credentials: echo: HTTP 401"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
