package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// keys is the key set of an issuer, which says through the context what came of it: what the verifier above it returns
// is only text.
type keys struct{ remote *oidc.RemoteKeySet }

type checkKey struct{}

// check is what is known of a token's signature.
type check struct {
	asked  bool  // the key set was
	unread error // it could not be read
	signed bool  // by a key of the set
}

func newKeys(ctx context.Context, url string) *keys {
	// Without keep-alive: the next read is hours away.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	client := &http.Client{Transport: &recent{next: transport}, Timeout: 5 * time.Second}
	return &keys{oidc.NewRemoteKeySet(oidc.ClientContext(ctx, client), url)}
}

// VerifySignature implements oidc.KeySet.
func (k *keys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.remote.VerifySignature(ctx, jwt)
	if c, ok := ctx.Value(checkKey{}).(*check); ok {
		c.asked, c.signed = true, err == nil
		// RemoteKeySet wraps what kept it from reading the keys; that no key fits has no cause.
		c.unread = errors.Unwrap(err)
	}
	return payload, err
}

// How long an answer for the keys is good for. RemoteKeySet asks anew for each token that none of its keys fits, so
// anybody could have it ask all day. This long it may take until a new key is known, or that a fault has passed.
const (
	recentKeys  = 10 * time.Second
	recentFault = time.Second
)

const maxKeys = 1 << 20 // bytes

// recent is a transport for one address that answers again what it has got recently, faults too.
type recent struct {
	next http.RoundTripper

	mu   sync.Mutex
	at   time.Time // zero before the first
	body []byte
	err  error
}

// RoundTrip implements http.RoundTripper. Any status but 200 is an error.
func (t *recent) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	good := recentKeys
	if t.err != nil {
		good = recentFault
	}
	if t.at.IsZero() || time.Since(t.at) >= good {
		t.body, t.err = t.get(r)
		t.at = time.Now()
	}
	if t.err != nil {
		return nil, t.err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(t.body)),
		Body: io.NopCloser(bytes.NewReader(t.body)),
	}, nil
}

func (t *recent) get(r *http.Request) ([]byte, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxKeys))
}
