package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"earshot.dev/shared/account"
	"earshot.dev/shared/fault"
)

const (
	postTimeout = 10 * time.Second // from the connection to the end of the answer
	maxAnswer   = 64 << 10         // bytes of headers, and of the body, that are read of an answer
)

// request is what a receiver is sent.
type request struct {
	hook account.Webhook
	uid  string
	id   string // webhook-id
	body []byte
	kind string // of the body, a media type; "" is JSON
	rate int    // of audio, in Hz; else 0
}

// newClient makes a client for addresses that strangers have chosen. It goes through no proxy, which would make the
// connection in its place, and it doesn't follow redirects: the receiver is the one that was named.
func newClient(allowPrivate bool) *http.Client {
	return &http.Client{
		Timeout: postTimeout,
		Transport: traced{&http.Transport{
			DialContext:            newDialer(allowPrivate).DialContext,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxAnswer,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a request once. It gives the status of the answer, 0 if none came. With an error the receiver has not
// taken it: fault.Unavailable, if it may yet; any other kind, if it never will. Errors name neither the address, which
// may hold a token, nor the secret.
func (s *Sender) post(ctx context.Context, r request) (status int, err error) {
	const op = "post"
	httpRequest, err := r.http(ctx, time.Now())
	if err != nil {
		return 0, err
	}
	answer, err := s.client.Do(httpRequest)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the address
		}
		if fault.Is(err, fault.Forbidden) {
			return 0, fault.Wrap(op, err)
		}
		return 0, fault.New(fault.Unavailable, op, err)
	}
	defer answer.Body.Close()
	// A body that was read to its end leaves a connection that can be used again; what is in it doesn't matter.
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	switch status = answer.StatusCode; {
	case status >= 200 && status < 300:
		return status, nil
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return status, fault.Newf(fault.Unavailable, op, "the receiver answered %d", status)
	default:
		return status, fault.Newf(fault.Invalid, op, "the receiver answered %d", status)
	}
}

// http makes the HTTP request of an attempt at the time. All attempts are alike but for the time and the signature,
// which covers the time.
func (r request) http(ctx context.Context, at time.Time) (*http.Request, error) {
	const op = "make request"
	address, err := url.Parse(r.hook.URL)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return nil, fault.Newf(fault.Invalid, op, "the webhook's address is no http or https URL")
	}
	if address.RawQuery != "" {
		address.RawQuery += "&"
	}
	if r.rate != 0 {
		address.RawQuery += "sample_rate=" + strconv.Itoa(r.rate) + "&"
	}
	address.RawQuery += "uid=" + url.QueryEscape(r.uid)
	httpRequest, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fault.Newf(fault.Invalid, op, "the webhook's address can't be used")
	}
	header := httpRequest.Header
	header.Set("Content-Type", cmp.Or(r.kind, "application/json"))
	header.Set("User-Agent", "Earshot-Webhook/1")
	header.Set(standardwebhooks.HeaderWebhookID, r.id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	if r.hook.Secret == "" { // a receiver of Omi's kind, that checks nothing
		return httpRequest, nil
	}
	signer, err := standardwebhooks.NewWebhook(r.hook.Secret)
	if err != nil {
		return nil, fault.Newf(fault.Invalid, op, "the webhook's secret is not in base64")
	}
	signature, err := signer.Sign(r.id, at, r.body)
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return httpRequest, nil
}
