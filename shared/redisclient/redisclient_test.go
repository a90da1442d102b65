package redisclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// Memorystore's certificates are signed by authorities that no system trusts, and have the address in their common name
// alone, where Go looks for no name.
func TestCertificateAuthority(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	unnamed := ours.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "127.0.0.1"}})
	named := ours.sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	for _, tt := range []struct {
		name        string
		certificate tls.Certificate
		host, ca    string
		trusted     bool
	}{
		{"given", named, "127.0.0.1", ours.pem, true},
		{"the system's", named, "127.0.0.1", "", false},
		{"no address in it", unnamed, "127.0.0.1", ours.pem, true},
		{"no address in it, and signed by another", unnamed, "127.0.0.1", theirs.pem, false},
		{"no address in it, and the system's", unnamed, "127.0.0.1", "", false},
		{"no name in it", unnamed, "localhost", ours.pem, false},
		{"by name", named, "localhost", ours.pem, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := shake(t, tt.certificate, tt.host, tt.ca); (err == nil) != tt.trusted {
				t.Errorf("got %v, want trusted %v", err, tt.trusted)
			}
		})
	}
}

// shake has a client connect to a server that shows a certificate, and gives how the handshake went for the server.
func shake(t *testing.T, certificate tls.Certificate, host, ca string) error {
	t.Helper()
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
			cfg := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
			err = tls.Server(conn, cfg).HandshakeContext(t.Context())
			_ = conn.Close() // the handshake is what is asked for
		}
		shaken <- err
		cancel() // no second try
	}()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	rdb, err := Open(Config{URL: "rediss://" + net.JoinHostPort(host, port), CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rdb.Close() }() // it has no connection
	if err := rdb.Ping(ctx).Err(); err == nil {
		t.Error("there is no Redis, and it answered")
	}
	return <-shaken
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// sign gives a server's certificate for the names of a template.
func (a authority) sign(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template.SerialNumber, template.NotAfter = big.NewInt(2), time.Now().Add(time.Hour)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
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
