// Package redisclient opens Redis in the way that lock and cache need it.
package redisclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// Config is where Redis is.
type Config struct {
	URL string `env:"REDIS_URL,required"` // redis://[user:password@]host:port or rediss:// for TLS
	CA  string `env:"REDIS_CA"`           // PEM: who signs the certificate with TLS; empty: those whom the system trusts
}

// Open gives a client; it connects when it is used. A context's deadline ends a call, so that a Redis that is
// silent stalls nobody for longer than they chose to wait.
func Open(cfg Config) (*redis.Client, error) {
	options, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, fault.Newf(fault.Internal, "open redis", "REDIS_URL can't be read") // it may hold a password
	}
	if cfg.CA != "" && options.TLSConfig != nil {
		options.TLSConfig.RootCAs = x509.NewCertPool()
		if !options.TLSConfig.RootCAs.AppendCertsFromPEM([]byte(cfg.CA)) {
			return nil, fault.Newf(fault.Internal, "open redis", "REDIS_CA holds no certificate")
		}
		if net.ParseIP(options.TLSConfig.ServerName) != nil {
			trustSigner(options.TLSConfig)
		}
	}
	options.ContextTimeoutEnabled = true
	redis.SetLogger(murmur{}) // the library has one logger for all clients
	client := redis.NewClient(options)
	// A span says which command it is, and not with what: keys name people, values are theirs.
	err = redisotel.InstrumentTracing(client, redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false),
		redisotel.WithDialFilter(true))
	if err != nil {
		return nil, fault.New(fault.Internal, "open redis", err)
	}
	return client, nil
}

// trustSigner takes each certificate that the given authorities have signed, whatever its name: they are to sign for Redis
// alone. Memorystore is reached by IP address, and is known to have that in its certificate's common name
// (https://github.com/envoyproxy/ratelimit/pull/409), where Go looks for none. So what Go would verify is turned off, and
// the chain verified here, of resumed connections too.
func trustSigner(cfg *tls.Config) {
	cfg.InsecureSkipVerify = true //nolint:gosec // for what follows, which leaves out the name alone
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		chain := x509.VerifyOptions{Roots: cfg.RootCAs, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] { // the server always shows one
			chain.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(chain)
		return err
	}
}

// murmur takes what the library would print: it repeats what the callers are told by errors.
type murmur struct{}

func (murmur) Printf(ctx context.Context, format string, args ...any) {
	logging.From(ctx).DebugContext(ctx, "redis_says", slog.String("text", fmt.Sprintf(format, args...)))
}
