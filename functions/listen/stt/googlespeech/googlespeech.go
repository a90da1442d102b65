// Package googlespeech recognises speech with Google Cloud Speech-to-Text v2, streaming:
// https://cloud.google.com/speech-to-text/v2/docs.
//
// The service takes a stream for five minutes, with 25 kB of audio in a message, as long as audio flows, and it makes
// words final when it likes or when the stream is half-closed. So a stream here is a row of calls, one at a time: a
// call begins with the first audio that isn't final and is half-closed by Finalize, in which way nothing is open while
// nobody speaks. Where there is no pause for minutes, the next call takes over at the end of a final, or in the worst
// case in the middle of speech, and hears again what isn't final.
package googlespeech

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	speech "cloud.google.com/go/speech/apiv2"
	"cloud.google.com/go/speech/apiv2/speechpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"earshot.dev/functions/listen/stt"
)

// Name is the recogniser's name in errors and beside stored words.
const Name = "google"

// The defaults of a Config.
const (
	DefaultLocation    = "global"
	DefaultRecognizer  = "_" // the implicit one, which has no settings of its own
	DefaultModel       = "long"
	DefaultConnections = 4
	DefaultSilence     = 10 * time.Second
)

// readLimit bounds one message, in bytes: with diarization it holds all words of a call, about 150 kB of them.
const readLimit = 512 << 10

// Config says where the service is and how it is used.
type Config struct {
	Project     string        // the project that pays
	Location    string        // global, a multi-region or a region; DefaultLocation if empty
	Recognizer  string        // DefaultRecognizer if empty
	Model       string        // DefaultModel if empty
	Languages   []string      // BCP 47, what the model at the location understands; those of the model long if nil
	Multi       []string      // the codes sent for stt.Multi; auto for chirp models, else stt.Multi isn't supported
	Diarization bool          // ask who speaks; models that can't tell in streams refuse to be asked
	Connections int           // each carries 100 calls at a time; DefaultConnections if zero
	Silence     time.Duration // how long the service may take for what it must do; DefaultSilence if zero
}

// Recognizer opens streams.
type Recognizer struct {
	config    Config
	client    *speech.Client
	languages languages
}

var _ stt.Recognizer = (*Recognizer)(nil)

// New makes a client of the service. The options are for tests; without them it finds its credentials by itself.
func New(ctx context.Context, c Config, options ...option.ClientOption) (*Recognizer, error) {
	c.Location = cmp.Or(c.Location, DefaultLocation)
	c.Recognizer = cmp.Or(c.Recognizer, DefaultRecognizer)
	c.Model = cmp.Or(c.Model, DefaultModel)
	c.Connections = cmp.Or(c.Connections, DefaultConnections)
	c.Silence = cmp.Or(c.Silence, DefaultSilence)
	if c.Languages == nil {
		c.Languages = long
	}
	if c.Multi == nil && strings.HasPrefix(c.Model, "chirp") {
		c.Multi = []string{"auto"}
	}
	options = append([]option.ClientOption{
		option.WithGRPCConnectionPool(c.Connections),
		option.WithGRPCDialOption(grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(readLimit))),
		// So that a connection which leads nowhere is noticed while calls are open.
		option.WithGRPCDialOption(grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: c.Silence})),
	}, options...)
	if c.Location != DefaultLocation {
		endpoint := option.WithEndpoint(c.Location + "-speech.googleapis.com:443")
		options = append([]option.ClientOption{endpoint}, options...)
	}
	client, err := speech.NewClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("googlespeech: %w", err)
	}
	return &Recognizer{config: c, client: client, languages: newLanguages(c.Languages)}, nil
}

// Close closes the connections. Streams have to be closed before.
func (r *Recognizer) Close() error { return r.client.Close() }

// Name is "google".
func (r *Recognizer) Name() string { return Name }

// Supports reports whether the model understands the language, in this region or in another.
func (r *Recognizer) Supports(language string) bool { return r.codes(language) != nil }

// codes are the language codes that the service is sent, or nil.
func (r *Recognizer) codes(language string) []string {
	if language == stt.Multi {
		return r.config.Multi
	}
	if code, ok := r.languages.code(language); ok {
		return []string{code}
	}
	return nil
}

// Open connects to nothing yet: the service is called when there is audio, and what it has against us shows in Recv.
func (r *Recognizer) Open(ctx context.Context, o stt.Options) (stt.Stream, error) {
	codes := r.codes(o.Language)
	if codes == nil {
		return nil, stt.Fail(Name, stt.UnsupportedLanguage, fmt.Errorf("language %q", o.Language))
	}
	if o.SampleRate < 8000 || o.SampleRate > 48000 {
		return nil, stt.Fail(Name, stt.Rejected, fmt.Errorf("sample rate %d", o.SampleRate))
	}
	return newStream(context.WithoutCancel(ctx), r.client, r.request(codes, o), o.SampleRate, r.config.Silence), nil
}

// request is the first message of a call.
func (r *Recognizer) request(codes []string, o stt.Options) *speechpb.StreamingRecognizeRequest {
	features := &speechpb.RecognitionFeatures{EnableWordTimeOffsets: true, EnableAutomaticPunctuation: true}
	if r.config.Diarization {
		features.DiarizationConfig = &speechpb.SpeakerDiarizationConfig{}
	}
	return &speechpb.StreamingRecognizeRequest{
		Recognizer: fmt.Sprintf("projects/%s/locations/%s/recognizers/%s", r.config.Project, r.config.Location, r.config.Recognizer),
		StreamingRequest: &speechpb.StreamingRecognizeRequest_StreamingConfig{
			StreamingConfig: &speechpb.StreamingRecognitionConfig{
				Config: &speechpb.RecognitionConfig{
					DecodingConfig: &speechpb.RecognitionConfig_ExplicitDecodingConfig{
						ExplicitDecodingConfig: &speechpb.ExplicitDecodingConfig{
							Encoding:          speechpb.ExplicitDecodingConfig_LINEAR16,
							SampleRateHertz:   int32(o.SampleRate),
							AudioChannelCount: 1,
						},
					},
					Model:         r.config.Model,
					LanguageCodes: codes,
					Features:      features,
					Adaptation:    adaptation(o.Vocabulary),
				},
				StreamingFeatures: &speechpb.StreamingRecognitionFeatures{InterimResults: o.Interim},
			},
		},
	}
}

// The bounds on phrases, https://cloud.google.com/speech-to-text/v2/quotas allows more of them: a vocabulary that long
// helps no word in it.
const (
	phraseLimit    = 500
	characterLimit = 100 // of one phrase
)

// boost is how much more likely a phrase becomes, of at most 20; too much of it has words heard that nobody said.
const boost = 10

// adaptation is as much of the vocabulary as fits, or nil.
func adaptation(vocabulary []string) *speechpb.SpeechAdaptation {
	var phrases []*speechpb.PhraseSet_Phrase
	seen := make(map[string]bool, len(vocabulary))
	for _, entry := range vocabulary {
		phrase := strings.Join(strings.Fields(entry), " ")
		if phrase == "" || len([]rune(phrase)) > characterLimit || seen[strings.ToLower(phrase)] {
			continue
		}
		seen[strings.ToLower(phrase)] = true
		if phrases = append(phrases, &speechpb.PhraseSet_Phrase{Value: phrase}); len(phrases) == phraseLimit {
			break
		}
	}
	if phrases == nil {
		return nil
	}
	inline := &speechpb.SpeechAdaptation_AdaptationPhraseSet_InlinePhraseSet{
		InlinePhraseSet: &speechpb.PhraseSet{Phrases: phrases, Boost: boost},
	}
	return &speechpb.SpeechAdaptation{PhraseSets: []*speechpb.SpeechAdaptation_AdaptationPhraseSet{{Value: inline}}}
}
