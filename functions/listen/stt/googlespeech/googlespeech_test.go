package googlespeech_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/googlespeech"
	"earshot.dev/functions/listen/stt/stttest"
)

func TestSpeechWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		c := start(t, serve(t, s, googlespeech.Config{}))
		for n := range 12 {
			c.say(5*n+1, 5*n+5, 80*time.Millisecond)
			c.finalize()
			<-time.After(time.Duration(n) * 5 * time.Second)
		}
		c.heard(60)
		s.kept(t)
		if c.flushed != 12 || c.interim == 0 {
			t.Errorf("%d answers to Finalize and %d interim results, want 12 and some", c.flushed, c.interim)
		}
		if len(s.configs) != 12 {
			t.Errorf("%d calls, want one for each stretch of speech", len(s.configs))
		}
	})
}

// No pause for longer than a call may last, and words that never become final by themselves near its end.
func TestSpeechWithoutPauses(t *testing.T) {
	for _, gap := range []time.Duration{0, 350 * time.Millisecond} {
		t.Run(gap.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{}
				c := start(t, serve(t, s, googlespeech.Config{}))
				n := int(11*time.Minute/(stttest.WordDuration+gap)) + 1
				c.say(1, n, gap)
				c.heard(n)
				s.kept(t)
				if at := 4*time.Minute + 10*time.Second; len(s.configs) != 3 || s.longest > at {
					t.Errorf("%d calls, the longest of %v; want 3, each ended by a final before %v", len(s.configs), s.longest, at)
				}
				if c.longest >= 2*time.Second {
					t.Errorf("nothing was heard for %v", c.longest)
				}
				if more := s.audio - time.Duration(n)*(stttest.WordDuration+gap); more > 15*time.Second {
					t.Errorf("%v of audio went out twice", more)
				}
			})
		})
	}
}

// A service that makes nothing final makes way at the latest before its limit.
func TestNothingBecomesFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		var lasted time.Duration
		s.act = func(number int, rpc speechpb.Speech_StreamingRecognizeServer) (bool, error) {
			if number > 1 {
				return false, nil
			}
			begun := time.Now()
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				lasted = time.Since(begun)
			}()
			for {
				if _, err := rpc.Recv(); err != nil {
					return true, err
				}
				interim := stt.Result{Words: []stt.Word{{Text: "hm"}}, End: time.Since(begun)}
				if err := answer(rpc, interim, true); err != nil {
					return true, err
				}
			}
		}
		c := start(t, serve(t, s, googlespeech.Config{}))
		c.say(1, 1000, 80*time.Millisecond)
		if err := c.stream.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		c.listening.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.configs) != 2 || lasted < 4*time.Minute || lasted >= maxCall {
			t.Errorf("%d calls, the first of %v; want the second before %v", len(s.configs), lasted, maxCall)
		}
		s.kept(t)
		// What isn't final any more than the stream keeps is lost, what it keeps is heard.
		if !errors.Is(c.ended, net.ErrClosed) || len(c.finals) < 30 {
			t.Errorf("%d words, %v; want words again, and %v", len(c.finals), c.ended, net.ErrClosed)
		}
	})
}

func TestSilenceWithoutFinalize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		c := start(t, serve(t, s, googlespeech.Config{}))
		c.say(1, 3, 80*time.Millisecond)
		<-time.After(time.Minute)
		c.say(4, 6, 80*time.Millisecond)
		c.send(stttest.Silence(time.Minute)) // to which the service has nothing to say
		c.say(7, 9, 80*time.Millisecond)
		c.heard(9)
		s.kept(t)
	})
}

func TestFailuresAreToldApart(t *testing.T) {
	refuse := func(code codes.Code, text string) func(speechpb.Speech_StreamingRecognizeServer) error {
		return func(speechpb.Speech_StreamingRecognizeServer) error { return status.Error(code, text) }
	}
	result := func(final bool, end time.Duration, words ...*speechpb.WordInfo) func(speechpb.Speech_StreamingRecognizeServer) error {
		return func(rpc speechpb.Speech_StreamingRecognizeServer) error {
			response := &speechpb.StreamingRecognizeResponse{Results: []*speechpb.StreamingRecognitionResult{{
				IsFinal: final, ResultEndOffset: durationpb.New(end),
				Alternatives: []*speechpb.SpeechRecognitionAlternative{{Words: words}},
			}}}
			if err := rpc.Send(response); err != nil {
				return err
			}
			<-rpc.Context().Done()
			return nil
		}
	}
	tests := []struct {
		name string
		act  func(speechpb.Speech_StreamingRecognizeServer) error
		want stt.Failure
		gone time.Duration // at the latest
	}{
		{"wrong key", refuse(codes.Unauthenticated, "Request had invalid authentication credentials."), stt.Credentials, time.Second},
		{"no access", refuse(codes.PermissionDenied, "Cloud Speech-to-Text API has not been used in project p"), stt.Credentials, time.Second},
		{"over quota", refuse(codes.ResourceExhausted, "Quota exceeded for quota metric"), stt.Quota, time.Second},
		{"language", refuse(codes.InvalidArgument, `The language "en-US" is not supported by the model "long".`), stt.UnsupportedLanguage, time.Second},
		{"feature", refuse(codes.InvalidArgument, "Recognizer does not support feature: diarization"), stt.Rejected, time.Second},
		{"recogniser", refuse(codes.NotFound, "Unable to find Recognizer"), stt.Rejected, time.Second},
		{"down", refuse(codes.Unavailable, strings.Repeat("later ", 500)), stt.Unavailable, time.Second},
		{"a response over the limit", refuse(codes.ResourceExhausted, "grpc: received message larger than max (600000 vs. 524288)"), stt.Malformed, time.Second},
		{"broken", refuse(codes.Internal, "Internal error encountered."), stt.Unavailable, time.Second},
		{"ends unasked", func(speechpb.Speech_StreamingRecognizeServer) error { return nil }, stt.Unavailable, time.Second},
		{"timed out too early", refuse(codes.Aborted, "Max duration of 5 minutes reached for stream."), stt.Unavailable, time.Second},
		{"a result beyond all time", result(true, 2000*time.Hour), stt.Malformed, time.Second},
		{"a word before the start", result(true, time.Second, &speechpb.WordInfo{Word: "w", StartOffset: durationpb.New(-time.Second)}), stt.Malformed, time.Second},
		{"a time that is none", result(true, time.Second, &speechpb.WordInfo{Word: "w", EndOffset: &durationpb.Duration{Seconds: 1, Nanos: -5}}), stt.Malformed, time.Second},
		{
			"takes no audio",
			func(rpc speechpb.Speech_StreamingRecognizeServer) error { <-rpc.Context().Done(); return nil },
			stt.Silent, 25 * time.Second,
		},
		{
			"doesn't end", func(rpc speechpb.Speech_StreamingRecognizeServer) error {
				for {
					if _, err := rpc.Recv(); err != nil {
						<-rpc.Context().Done()
						return err
					}
				}
			},
			stt.Silent, 25 * time.Second,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{act: func(_ int, rpc speechpb.Speech_StreamingRecognizeServer) (bool, error) { return true, test.act(rpc) }}
				c := start(t, serve(t, s, googlespeech.Config{}))
				begin := time.Now()
				var talking sync.WaitGroup
				talking.Go(func() { c.say(1, 100, 80*time.Millisecond) })
				c.listening.Wait()
				took := time.Since(begin)
				talking.Wait()
				if failure := (*stt.Error)(nil); !errors.As(c.ended, &failure) || failure.Failure != test.want {
					t.Errorf("got %v, want %v", c.ended, test.want)
				}
				if took > test.gone || len(c.ended.Error()) > 300 {
					t.Errorf("took %v for an error of %d bytes; want %v and a short one", took, len(c.ended.Error()), test.gone)
				}
				if _, err := c.stream.Recv(t.Context()); !errors.Is(err, c.ended) {
					t.Errorf("the second time: %v, want %v", err, c.ended)
				}
				if err := c.stream.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

func TestWhatACallIsOpenedWith(t *testing.T) {
	long := strings.Repeat("x", 101)
	tests := []struct {
		name    string
		config  googlespeech.Config
		options stt.Options
		want    string // recogniser, model, codes, features, phrases
	}{
		{
			"defaults",
			googlespeech.Config{Project: "p"},
			stt.Options{Language: "en-ZA", Interim: true, Vocabulary: []string{" Omi ", "omi", "", long, "New  York"}},
			"projects/p/locations/global/recognizers/_ long [en-US] interim=true diarization=false [Omi New York]",
		},
		{
			"all set",
			googlespeech.Config{
				Project: "q", Location: "eu", Recognizer: "mine", Model: "chirp_3", Diarization: true,
			},
			stt.Options{Language: stt.Multi},
			"projects/q/locations/eu/recognizers/mine chirp_3 [auto] interim=false diarization=true []",
		},
		{
			"several languages",
			googlespeech.Config{Project: "p", Multi: []string{"en-US", "es-US"}},
			stt.Options{Language: stt.Multi},
			"projects/p/locations/global/recognizers/_ long [en-US es-US] interim=false diarization=false []",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{}
				test.options.SampleRate = stttest.Rate
				stream, err := serve(t, s, test.config).Open(t.Context(), test.options)
				if err != nil {
					t.Fatalf("Open: %v", err)
				}
				err = errors.Join(stream.Send(t.Context(), stttest.Word(1)), stream.CloseSend(t.Context()))
				for err == nil {
					_, err = stream.Recv(t.Context())
				}
				if !errors.Is(err, io.EOF) || stream.Close() != nil {
					t.Errorf("ended with %v, want %v", err, io.EOF)
				}
				m := s.configs[0]
				c := m.GetStreamingConfig().GetConfig()
				var phrases []string
				for _, set := range c.GetAdaptation().GetPhraseSets() {
					for _, p := range set.GetInlinePhraseSet().GetPhrases() {
						phrases = append(phrases, p.GetValue())
					}
				}
				got := fmt.Sprintf("%s %s %v interim=%v diarization=%v %v", m.GetRecognizer(), c.GetModel(), c.GetLanguageCodes(),
					m.GetStreamingConfig().GetStreamingFeatures().GetInterimResults(), c.GetFeatures().GetDiarizationConfig() != nil, phrases)
				if got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
			})
		})
	}
}

func TestLanguages(t *testing.T) {
	r := serve(t, &service{}, googlespeech.Config{})
	for language, want := range map[string]bool{
		"en": true, "EN_gb": true, "en-ZA": true, "de": true, "zh": true, "zh-Hant-TW": true, "nb": true,
		"multi": false, "tlh": false, "": false, "-": false, "e": false,
	} {
		if got := r.Supports(language); got != want {
			t.Errorf("Supports(%q) = %v, want %v", language, got, want)
		}
		if _, err := r.Open(t.Context(), stt.Options{Language: language, SampleRate: 16}); stt.FailureOf(err) == stt.UnsupportedLanguage == want {
			t.Errorf("Open(%q): %v", language, err)
		}
	}
}

func TestCloseWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, serve(t, &service{}, googlespeech.Config{}))
		c.say(1, 3, 0)
		if err := errors.Join(c.stream.Close(), c.stream.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
		c.listening.Wait()
		if !errors.Is(c.ended, net.ErrClosed) {
			t.Errorf("Recv: %v, want %v", c.ended, net.ErrClosed)
		}
		if err := c.stream.Send(t.Context(), stttest.Word(1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Send: %v, want %v", err, net.ErrClosed)
		}
	})
}
