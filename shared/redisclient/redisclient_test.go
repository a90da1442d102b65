package redisclient

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Memorystore's certificates are signed by authorities that no system trusts.
func TestCertificateAuthority(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer server.Close()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for _, tt := range []struct {
		name, ca string
		trusted  bool
	}{
		{"given", authority, true},
		{"the system's", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is there at once
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			shaken := make(chan error, 1)
			go func() {
				conn, err := listener.Accept()
				_ = listener.Close() // there is no second connection
				if err == nil {
					err = tls.Server(conn, server.TLS).HandshakeContext(t.Context())
					_ = conn.Close() // the handshake is what is asked for
				}
				shaken <- err
				cancel() // no second try
			}()
			rdb, err := Open(Config{URL: "rediss://" + listener.Addr().String(), CA: tt.ca})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = rdb.Close() }() // it has no connection
			if err := rdb.Ping(ctx).Err(); err == nil {
				t.Error("there is no Redis, and it answered")
			}
			if err := <-shaken; (err == nil) != tt.trusted {
				t.Errorf("got %v, want trusted %v", err, tt.trusted)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no URL": {URL: "secret@nowhere"},
		"no CA":  {URL: "rediss://user:secret@127.0.0.1:6379", CA: "secret"},
	} {
		if _, err := Open(cfg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error that gives nothing away", name, err)
		}
	}
}
