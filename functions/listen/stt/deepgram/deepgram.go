// Package deepgram recognises speech with Deepgram's streaming API, or with any server that speaks its protocol:
// https://developers.deepgram.com/reference/speech-to-text/listen-streaming.
package deepgram

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/stt"
)

// Name is the recogniser's name in errors and beside stored words.
const Name = "deepgram"

// The defaults of a Config.
const (
	DefaultURL     = "wss://api.deepgram.com/v1/listen"
	DefaultModel   = "nova-3"
	DefaultSilence = 10 * time.Second
)

const (
	// readLimit bounds one message, in bytes: a result with a thousand words has about 150 kB.
	readLimit = 512 << 10
	// refusalLimit bounds what is read of a refusal's body, in bytes.
	refusalLimit = 1 << 10
)

// Config says where the server is and how it is used.
type Config struct {
	URL       string        // ws, wss, http or https; DefaultURL if empty. Its query is sent too
	Key       string        // the API key
	Model     string        // DefaultModel if empty
	Languages []string      // BCP 47 and stt.Multi, what the model at URL understands; Nova-3's if nil
	Silence   time.Duration // audio unanswered for so long means that the server is gone; DefaultSilence if zero. Below 5 s it needs interim results
	Client    *http.Client  // http.DefaultClient if nil
}

// Recognizer opens streams at one server.
type Recognizer struct {
	config    Config
	url       *url.URL
	languages languages
}

var _ stt.Recognizer = (*Recognizer)(nil)

// New fails if the URL can't be used.
func New(c Config) (*Recognizer, error) {
	c.URL = cmp.Or(c.URL, DefaultURL)
	c.Model = cmp.Or(c.Model, DefaultModel)
	c.Silence = cmp.Or(c.Silence, DefaultSilence)
	address, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("deepgram: %w", err)
	}
	switch address.Scheme {
	case "ws", "wss", "http", "https":
	default:
		return nil, fmt.Errorf("deepgram: no WebSocket URL: %q", c.URL)
	}
	spoken := c.Languages
	if spoken == nil {
		spoken = nova3
	}
	return &Recognizer{config: c, url: address, languages: newLanguages(spoken)}, nil
}

// Name is "deepgram".
func (r *Recognizer) Name() string { return Name }

// Supports reports whether the model understands the language itself, or the language without its region.
func (r *Recognizer) Supports(language string) bool {
	_, ok := r.languages.code(language)
	return ok
}

// Open connects. A context that ends before the server has answered shows in the error's chain.
func (r *Recognizer) Open(ctx context.Context, o stt.Options) (stt.Stream, error) {
	code, ok := r.languages.code(o.Language)
	if !ok {
		return nil, stt.Fail(Name, stt.UnsupportedLanguage, fmt.Errorf("language %q", o.Language))
	}
	if o.SampleRate <= 0 {
		return nil, stt.Fail(Name, stt.Rejected, fmt.Errorf("sample rate %d", o.SampleRate))
	}
	conn, response, err := websocket.Dial(ctx, r.address(code, o), &websocket.DialOptions{
		HTTPClient: r.config.Client,
		HTTPHeader: http.Header{"Authorization": {"Token " + r.config.Key}},
	})
	if err != nil {
		return nil, refused(response, err)
	}
	conn.SetReadLimit(readLimit)
	return newStream(conn, o.SampleRate, r.config.Silence), nil
}

// address is the URL of a stream. What the parameters mean is at the protocol's own page.
func (r *Recognizer) address(language string, o stt.Options) string {
	q := r.url.Query()
	q.Set("model", r.config.Model)
	q.Set("language", language)
	q.Set("encoding", "linear16")
	q.Set("sample_rate", strconv.Itoa(o.SampleRate))
	q.Set("channels", "1")
	q.Set("interim_results", strconv.FormatBool(o.Interim))
	q.Set("punctuate", "true")
	q.Set("smart_format", "true")
	q.Set("no_delay", "true") // don't hold words back for the sake of smart_format
	q.Set("diarize", "true")
	// Milliseconds of silence that end an utterance. Deepgram asks for 100 where speakers change languages,
	// https://developers.deepgram.com/docs/multilingual-code-switching.
	q.Set("endpointing", "300")
	if language == stt.Multi {
		q.Set("endpointing", "100")
	}
	for _, term := range keyterms(o.Vocabulary) {
		q.Add("keyterm", term)
	}
	address := *r.url
	address.RawQuery = q.Encode()
	return address.String()
}

// The bounds on keyterms, https://developers.deepgram.com/docs/keyterm: a hundred terms, 500 tokens in all. Over the
// bound the service stops transcribing without a word, so what doesn't fit is left out.
const (
	keytermLimit = 100
	tokenLimit   = 500
)

// keyterms is as much of the vocabulary as fits. Tokens are overestimated: a word begins one, every third ASCII
// character is another, every other byte is one.
func keyterms(vocabulary []string) []string {
	var terms []string
	seen := make(map[string]bool, len(vocabulary))
	tokens := 0
	for _, entry := range vocabulary {
		term := strings.Join(strings.Fields(entry), " ")
		if term == "" || seen[strings.ToLower(term)] {
			continue
		}
		cost := 1 + strings.Count(term, " ")
		ascii := 0
		for i := range len(term) {
			if term[i] < 0x80 {
				ascii++
			} else {
				cost++
			}
		}
		cost += ascii / 3
		if tokens+cost > tokenLimit {
			continue
		}
		seen[strings.ToLower(term)] = true
		tokens += cost
		if terms = append(terms, term); len(terms) == keytermLimit {
			break
		}
	}
	return terms
}

// refused is the failure behind an upgrade that didn't come about, by the status of the answer, if there was one,
// https://developers.deepgram.com/docs/errors.
func refused(response *http.Response, err error) error {
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		if request, ok := errors.AsType[*url.Error](err); ok {
			err = fmt.Errorf("dial: %w", request.Err) // what is around it repeats the address, with the person's vocabulary
		}
		return stt.Fail(Name, stt.Unavailable, err)
	}
	body, readErr := io.ReadAll(io.LimitReader(response.Body, refusalLimit))
	if readErr != nil {
		body = []byte(readErr.Error())
	}
	reason := refusalReason(body)
	err = fmt.Errorf("HTTP %d: %s", response.StatusCode, reason)
	switch code := response.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusPaymentRequired, code == http.StatusForbidden:
		return stt.Fail(Name, stt.Credentials, err)
	case code == http.StatusTooManyRequests:
		return stt.Fail(Name, stt.Quota, err)
	case code == http.StatusBadRequest && strings.Contains(reason, "No such model/language"):
		return stt.Fail(Name, stt.UnsupportedLanguage, err)
	case code == http.StatusRequestTimeout:
		return stt.Fail(Name, stt.Unavailable, err)
	case code >= 400 && code < 500:
		return stt.Fail(Name, stt.Rejected, err)
	}
	return stt.Fail(Name, stt.Unavailable, err)
}

// broken is the failure behind a connection that ended, by its close frame, if there was one,
// https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors.
func broken(err error) error {
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		if errors.Is(err, websocket.ErrMessageTooBig) {
			return stt.Fail(Name, stt.Malformed, err)
		}
		return stt.Fail(Name, stt.Unavailable, err)
	}
	reason := strings.ToUpper(closed.Reason)
	switch closed.Code {
	case websocket.StatusPolicyViolation, websocket.StatusUnsupportedData, websocket.StatusMessageTooBig,
		websocket.StatusInvalidFramePayloadData, websocket.StatusProtocolError: // DATA-0000 comes as the first of these
		return stt.Fail(Name, stt.Rejected, err)
	case websocket.StatusInternalError:
		// The server's own word for answers that stopped; NET-0001, for audio that stopped, is Unavailable.
		if strings.Contains(reason, "NET-0000") || strings.Contains(reason, "NET0000") {
			return stt.Fail(Name, stt.Silent, err)
		}
	}
	return stt.Fail(Name, stt.Unavailable, err)
}
