package webhook

import (
	"bytes"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"earshot.dev/shared/account"
	"earshot.dev/shared/fault"
)

// A receiver that doesn't answer in time, breaks the connection or isn't there may come back.
func TestNoAnswer(t *testing.T) {
	for name, set := range map[string]func(r *rig){
		"slow": func(r *rig) {
			if r.client.Timeout != 10*time.Second {
				panic("the timeout that follows would stand for another")
			}
			r.client.Timeout = 50 * time.Millisecond
			r.receiver.answer = func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() }
		},
		"broken off": func(r *rig) {
			r.receiver.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		},
		"nobody listens":   func(r *rig) { r.receiver.Close() },
		"no such host":     func(r *rig) { r.hook.URL = "http://receiver.invalid/?key=" + token },
		"endless headers":  func(r *rig) { r.receiver.answer = endlessHeaders },
		"TLS without cert": func(r *rig) { r.hook.URL = strings.Replace(r.hook.URL, "http:", "https:", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			set(r)
			if err := r.deliver(t); !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %v, want unavailable", err)
			}
			if want := (account.Delivery{Attempts: 1}); r.record() != want {
				t.Errorf("record: got %+v, want %+v", r.record(), want)
			}
		})
	}
}

func endlessHeaders(w http.ResponseWriter, _ *http.Request) {
	for range 20 {
		w.Header().Add("X-Filler", strings.Repeat("x", 10<<10))
	}
}

// An answer that is taken is taken however long its body is, and however slow.
func TestLongAnswer(t *testing.T) {
	r := newRig(t)
	r.client.Timeout = time.Second
	written := make(chan int64, 1)
	r.receiver.answer = func(w http.ResponseWriter, request *http.Request) {
		n := int64(0)
		defer func() { written <- n }()
		for chunk := bytes.Repeat([]byte("x"), 64<<10); request.Context().Err() == nil; {
			m, err := w.Write(chunk)
			n += int64(m)
			if err != nil {
				return
			}
		}
	}
	if err := r.deliver(t); err != nil || !r.record().Done {
		t.Errorf("got %v, record %+v", err, r.record())
	}
	if n := <-written; n > 64<<20 {
		t.Errorf("%d bytes of it were taken", n)
	}
}

// Webhooks that can't work are given up at once.
func TestUnusableSettings(t *testing.T) {
	for _, hook := range []account.Webhook{
		{URL: "ftp://example.com/" + token},
		{URL: "example.com/" + token},
		{URL: "http://[::1/" + token},
		{URL: "/" + token},
		{URL: "https://example.com/" + token, Secret: "whsec_*" + token},
	} {
		r := newRig(t)
		hook.Enabled = true
		r.hook = hook
		if err := r.deliver(t); err != nil {
			t.Errorf("%s: %v", hook.URL, err)
		}
		if want := (account.Delivery{Attempts: 1, Done: true, Failed: true}); r.record() != want {
			t.Errorf("%s: got %+v, want %+v", hook.URL, r.record(), want)
		}
	}
}

func TestUnsigned(t *testing.T) {
	r := newRig(t)
	r.hook.Secret = ""
	if err := r.deliver(t); err != nil {
		t.Fatal(err)
	}
	header := r.receiver.got[0].Header
	if header.Get("Webhook-Id") == "" || header.Get("Webhook-Timestamp") == "" || header.Get("Webhook-Signature") != "" {
		t.Errorf("headers: got %v; without a secret there is nothing to sign with", header)
	}
}

// Addresses inside are not reached, under whatever name, and the attempt is not repeated.
func TestPrivateAddressIsRefused(t *testing.T) {
	r := newRig(t)
	r.client.CloseIdleConnections()
	r.client = newClient(false)
	address, err := url.Parse(r.receiver.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		clear(r.store.deliveries)
		r.hook.URL = "http://" + host + ":" + address.Port() + "/?key=" + token
		if err := r.deliver(t); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if want := (account.Delivery{Attempts: 1, Done: true, Failed: true}); r.record() != want {
			t.Errorf("%s: got %+v, want %+v", host, r.record(), want)
		}
	}
	if len(r.receiver.got) != 0 {
		t.Errorf("it was reached %d times", len(r.receiver.got))
	}
}

func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.0.1": true, "172.32.0.1": true, "2606:4700::1111": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"0.0.0.0": false, "0.1.2.3": false, "100.64.0.1": false, "198.18.0.1": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false, "::": false, "::1": false, "::ffff:10.0.0.1": false,
		"::ffff:8.8.8.8": true, "fe80::1": false, "fe80::1%eth0": false, "fd20:ce::254": false, "ff02::1": false,
		"64:ff9b::a00:1": false, "2002:a00:1::": false, "2001:0:1::1": false, "2001:db8::1": false, "::10.0.0.1": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}
