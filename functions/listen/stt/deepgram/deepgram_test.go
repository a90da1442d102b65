package deepgram_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/shared/pipetest"
)

func TestWhatAStreamIsOpenedWith(t *testing.T) {
	var got url.Values
	var authorization string
	client := pipetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, authorization = r.URL.Query(), r.Header.Get("Authorization")
		w.WriteHeader(http.StatusTeapot)
	})
	r, err := deepgram.New(deepgram.Config{URL: "ws://local/v1/listen?mip_opt_out=true", Key: "secret", Client: client})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	common := url.Values{
		"mip_opt_out": {"true"}, "model": {"nova-3"}, "encoding": {"linear16"}, "channels": {"1"}, "punctuate": {"true"},
		"smart_format": {"true"}, "no_delay": {"true"}, "diarize": {"true"},
	}
	tests := []struct {
		options stt.Options
		want    url.Values
	}{
		{
			stt.Options{Language: "en-ZA", SampleRate: 16000, Interim: true, Vocabulary: []string{" Omi ", "omi", "", "New  York"}},
			url.Values{
				"language": {"en"}, "sample_rate": {"16000"}, "interim_results": {"true"}, "endpointing": {"300"},
				"keyterm": {"Omi", "New York"},
			},
		},
		{
			stt.Options{Language: stt.Multi, SampleRate: 8000},
			url.Values{
				"language": {"multi"}, "sample_rate": {"8000"}, "interim_results": {"false"}, "endpointing": {"100"},
			},
		},
	}
	for _, test := range tests {
		maps.Copy(test.want, common)
		if _, err := r.Open(t.Context(), test.options); err == nil {
			t.Fatal("Open: no error from a teapot")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v: query (-want +got):\n%s", test.options, diff)
		}
		if want := "Token secret"; authorization != want {
			t.Errorf("Authorization: got %q, want %q", authorization, want)
		}
	}
}

func TestVocabularyStaysWithinTheServersBounds(t *testing.T) {
	var got []string
	client := pipetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.Query()["keyterm"]
		w.WriteHeader(http.StatusTeapot)
	})
	r, err := deepgram.New(deepgram.Config{URL: "ws://local/v1/listen", Client: client})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	var short, long []string
	for i := range 300 {
		short = append(short, fmt.Sprintf("a%d", i))
		long = append(long, fmt.Sprintf("terminology %d", i))
	}
	tests := []struct {
		name       string
		vocabulary []string
		want       int
	}{
		{"many", short, 100},
		{"long", long, 83}, // 6 tokens each
		{"one too long", []string{strings.Repeat("ä", 400), "short"}, 1},
	}
	for _, test := range tests {
		o := options
		o.Vocabulary = test.vocabulary
		if _, err := r.Open(t.Context(), o); err == nil {
			t.Fatal("Open: no error from a teapot")
		}
		if len(got) != test.want {
			t.Errorf("%s: %d keyterms, want %d", test.name, len(got), test.want)
		}
	}
}

func TestLanguages(t *testing.T) {
	all, err := deepgram.New(deepgram.Config{})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	some, err := deepgram.New(deepgram.Config{Languages: []string{"en-US", "fr"}})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	tests := []struct {
		language  string
		all, some bool
	}{
		{"en", true, false},
		{"en-US", true, true},
		{"EN_us", true, true},
		{"fr-BE", true, true},
		{"zh-Hant-TW", true, false},
		{"multi", true, false},
		{"auto", false, false},
		{"tlh", false, false},
		{"", false, false},
		{"-", false, false},
		{"e", false, false},
	}
	for _, test := range tests {
		if got := all.Supports(test.language); got != test.all {
			t.Errorf("Supports(%q) = %v, want %v", test.language, got, test.all)
		}
		if got := some.Supports(test.language); got != test.some {
			t.Errorf("Supports(%q) = %v with two languages, want %v", test.language, got, test.some)
		}
	}
}

func TestUnusableAddress(t *testing.T) {
	for _, address := range []string{"ftp://local", "api.deepgram.com/v1/listen", "ws://a b/"} {
		if _, err := deepgram.New(deepgram.Config{URL: address}); err == nil {
			t.Errorf("New with URL %q: no error", address)
		}
	}
}

func TestRefusalsAreToldApart(t *testing.T) {
	tests := []struct {
		status int
		body   string
		want   stt.Failure
		text   string
	}{
		{400, `{"err_code":"Bad Request","err_msg":"Bad Request: No such model/language/tier combination found."}`, stt.UnsupportedLanguage, "No such model"},
		{400, `{"err_code":"INVALID_QUERY_PARAMETER","err_msg":"Failed"}`, stt.Rejected, "INVALID_QUERY_PARAMETER Failed"},
		{401, `{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}`, stt.Credentials, "HTTP 401: INVALID_AUTH Invalid credentials."},
		{401, `{"category":"UNAUTHORIZED","message":"No.","details":"At all."}`, stt.Credentials, "UNAUTHORIZED No. At all."},
		{402, `{"err_code":"ASR_PAYMENT_REQUIRED"}`, stt.Credentials, "ASR_PAYMENT_REQUIRED"},
		{403, `{"err_code":"INSUFFICIENT_PERMISSIONS"}`, stt.Credentials, "INSUFFICIENT"},
		{404, `not found`, stt.Rejected, "HTTP 404: an answer that isn't JSON"},
		{408, `{}`, stt.Unavailable, "408"},
		{414, ``, stt.Rejected, "414"},
		{429, `{"err_code":"TOO_MANY_REQUESTS"}`, stt.Quota, "429"},
		{500, strings.Repeat("x", 5000), stt.Unavailable, "500"},
		{502, `<html>`, stt.Unavailable, "502"},
		{503, `{"err_msg":"` + strings.Repeat("later ", 500) + `"}`, stt.Unavailable, "503"},
		{200, `{}`, stt.Unavailable, "200"},
	}
	for _, test := range tests {
		client := pipetest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body)) // the client's side is what is tested
		})
		r, err := deepgram.New(deepgram.Config{URL: "ws://local/v1/listen", Client: client})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		_, err = r.Open(t.Context(), options)
		if err == nil || stt.FailureOf(err) != test.want || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%d %.40s: got %v, want %v with %q", test.status, test.body, err, test.want, test.text)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%d: an error of %d bytes", test.status, len(err.Error()))
		}
	}
}

func TestNothingToDial(t *testing.T) {
	r, err := deepgram.New(deepgram.Config{URL: "ws://127.0.0.1:1/v1/listen", Client: &http.Client{Transport: &http.Transport{}}})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	tests := []struct {
		options stt.Options
		want    stt.Failure
	}{
		{options, stt.Unavailable},
		{stt.Options{Language: "tlh", SampleRate: 16000}, stt.UnsupportedLanguage},
		{stt.Options{Language: "en"}, stt.Rejected},
	}
	for _, test := range tests {
		if _, err := r.Open(t.Context(), test.options); err == nil || stt.FailureOf(err) != test.want {
			t.Errorf("%+v: got %v, want %v", test.options, err, test.want)
		}
	}
}

// A person's vocabulary is part of the address, and no error's text, which is logged, holds it.
func TestNoErrorTellsTheVocabulary(t *testing.T) {
	late, cancel := context.WithCancel(t.Context())
	cancel()
	broken := pipetest.Serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	tests := []struct {
		name   string
		ctx    context.Context
		client *http.Client
		want   string
	}{
		{"nobody there", t.Context(), &http.Client{Transport: &http.Transport{}}, "connection refused"},
		{"no answer", t.Context(), broken, "EOF"},
		{"given up", late, broken, "context canceled"},
	}
	for _, test := range tests {
		r, err := deepgram.New(deepgram.Config{URL: "ws://127.0.0.1:1/v1/listen", Client: test.client})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		o := options
		o.Vocabulary = []string{"Rumpelstiltskin"}
		_, err = r.Open(test.ctx, o)
		if err == nil || strings.Contains(err.Error(), "Rumpelstiltskin") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q and no vocabulary", test.name, err, test.want)
		}
		if cause := test.ctx.Err(); cause != nil && !errors.Is(err, cause) {
			t.Errorf("%s: got %v, want %v in its chain", test.name, err, cause)
		}
	}
}

func TestClosesAreToldApart(t *testing.T) {
	tests := []struct {
		code   websocket.StatusCode
		reason string
		want   stt.Failure
	}{
		{1000, "", stt.Unavailable}, // nobody asked for it
		{1001, "going", stt.Unavailable},
		{1008, "DATA-0000", stt.Rejected},
		{1009, "too big", stt.Rejected},
		{1011, "NET-0000", stt.Silent},
		{1011, "No response within the timeout window. See https://dpgr.am/net0000", stt.Silent},
		{1011, "NET-0001", stt.Unavailable},
		{1011, "", stt.Unavailable},
		{1013, "later", stt.Unavailable},
		{4999, "whatever", stt.Unavailable},
	}
	for _, test := range tests {
		stream := open(t, func(conn *websocket.Conn) {
			say(conn, hello)
			_ = conn.Close(test.code, test.reason) // the client's side is what is tested
		})
		if r, err := stream.Recv(t.Context()); err != nil || len(r.Words) != 1 {
			t.Errorf("%d: first got %+v, %v, want the word that was said before the close", test.code, r, err)
		}
		for range 2 { // the second time the same way
			_, err := stream.Recv(t.Context())
			if err == nil || stt.FailureOf(err) != test.want || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("%d %s: got %v, want %v", test.code, test.reason, err, test.want)
			}
		}
	}
}
