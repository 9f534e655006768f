// Package certificate is the server's side of TLS: it loads the certificate, loads it again
// when its files change, and warns before it expires. It must never stop a server that runs.
package certificate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// warnBefore is when the certificate should have been renewed.
	warnBefore = 14 * 24 * time.Hour
	// warnEvery is how often the operator is reminded.
	warnEvery = 24 * time.Hour
	// lookEvery is how soon a changed file is found.
	lookEvery = 5 * time.Second
)

// Files are PEM files. Without ClientCA, clients are asked for no certificate.
type Files struct {
	Cert, Key, ClientCA string
}

// Config is what a Source needs.
type Config struct {
	Files Files
	Clock func() time.Time
	Log   hclog.Logger
}

// Source has the newest certificate that could be loaded.
type Source struct {
	config  Config
	current atomic.Pointer[loaded]

	// mu guards what follows, and lets one load at a time.
	mu sync.Mutex
	// failing and reported are the files that could not be loaded when they were last
	// looked at, and those of which the operator was told.
	failing, reported version
	// warned is what the operator was last warned of, and when.
	warned   state
	warnedAt time.Time
}

// version tells two contents of the files apart.
type version [sha256.Size]byte

// loaded is what was made of the files. It does not change.
type loaded struct {
	version             version
	certificate         tls.Certificate
	notBefore, notAfter time.Time
	// forGRPC requires client certificates if it has authorities; forWeb then takes them.
	forGRPC, forWeb *tls.Config
}

// Load loads the files.
func Load(config Config) (*Source, error) {
	contents, err := read(config.Files)
	if err != nil {
		return nil, err
	}
	first, err := contents.parse(config.Files)
	if err != nil {
		return nil, err
	}
	s := &Source{config: config}
	s.current.Store(first)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warn()
	return s, nil
}

// NotAfter returns when the certificate expires, or one of those that come with it.
func (s *Source) NotAfter() time.Time { return s.current.Load().notAfter }

// GRPC returns the configuration of the listener that asks for client certificates where
// there are authorities for them.
func (s *Source) GRPC() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().forGRPC, nil },
	}
}

// Web returns the configuration of the listener that probes and browsers share. Where there are
// authorities for client certificates, it verifies one that a client has, and takes clients
// without: its handlers decide what those may do.
func (s *Source) Web() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().forWeb, nil },
	}
}

// HTTP returns the configuration of listeners that ask for no client certificates:
// forges have none.
func (s *Source) HTTP() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &s.current.Load().certificate, nil },
	}
}

// Run loads the files whenever they change, and reminds of the expiry, until the context
// ends.
func (s *Source) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.look()
		}
	}
}

// Reload loads the files now, and says in the log what came of it.
func (s *Source) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if changed, at, err := s.load(); err != nil {
		s.report(at, err)
	} else if !changed {
		s.config.Log.Info("The certificate has not changed", "file", s.config.Files.Cert, "not_after", s.NotAfter())
	}
	s.warn()
}

// look loads files that have changed. Their writer may be between two of them, so files that
// do not fit are reported when they are found unchanged the next time.
func (s *Source) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, at, err := s.load()
	if err != nil && at == s.failing && at != s.reported {
		s.report(at, err)
	}
	if s.failing = (version{}); err != nil {
		s.failing = at
	}
	s.warn()
}

func (s *Source) report(at version, err error) {
	s.reported = at
	s.config.Log.Error("The certificate cannot be loaded; the one before stays in use", "error", err, "not_after", s.NotAfter())
}

// load uses the files if they have changed.
func (s *Source) load() (changed bool, at version, err error) {
	contents, err := read(s.config.Files)
	if err != nil {
		return false, sha256.Sum256([]byte(err.Error())), err
	}
	at = contents.version()
	if at == s.current.Load().version {
		return false, at, nil
	}
	next, err := contents.parse(s.config.Files)
	if err != nil {
		return false, at, err
	}
	s.current.Store(next)
	s.config.Log.Info("A new certificate is in use", "file", s.config.Files.Cert, "not_after", next.notAfter)
	return true, at, nil
}

// state is what can be wrong with the time of a certificate.
type state int

const (
	valid state = iota
	early
	expiring
	expired
)

// warn tells the operator once a day, and at once when it changes, that the certificate does
// not hold or will not for long.
func (s *Source) warn() {
	now, current := s.config.Clock(), s.current.Load()
	is := current.state(now)
	if is == s.warned && now.Sub(s.warnedAt) < warnEvery {
		return
	}
	s.warned, s.warnedAt = is, now
	details := []any{"file", s.config.Files.Cert, "not_before", current.notBefore, "not_after", current.notAfter}
	switch is {
	case expired:
		s.config.Log.Error("The certificate has expired, and clients refuse it: renew it, which needs no restart", details...)
	case early:
		s.config.Log.Error("The certificate is not valid yet, and clients refuse it: check the clock and the certificate", details...)
	case expiring:
		s.config.Log.Warn("The certificate expires soon: renew it, which needs no restart", append(details, "left", current.notAfter.Sub(now).Round(time.Hour))...)
	case valid:
	}
}

func (l *loaded) state(now time.Time) state {
	switch {
	case !now.Before(l.notAfter):
		return expired
	case now.Before(l.notBefore):
		return early
	case l.notAfter.Sub(now) < warnBefore:
		return expiring
	default:
		return valid
	}
}

// contents are what is in the files.
type contents struct{ cert, key, clientCA []byte }

func read(files Files) (c contents, err error) {
	if c.cert, err = os.ReadFile(files.Cert); err != nil {
		return c, fmt.Errorf("load tls-cert-file: %w", err)
	}
	if c.key, err = os.ReadFile(files.Key); err != nil {
		return c, fmt.Errorf("load tls-key-file: %w", err)
	}
	if files.ClientCA == "" {
		return c, nil
	}
	if c.clientCA, err = os.ReadFile(files.ClientCA); err != nil {
		return c, fmt.Errorf("load tls-client-ca-file: %w", err)
	}
	return c, nil
}

func (c contents) version() version {
	hash := sha256.New()
	for _, part := range [][]byte{c.cert, c.key, c.clientCA} {
		// Hashes take everything.
		_, _ = fmt.Fprintf(hash, "%d\n%s", len(part), part)
	}
	return version(hash.Sum(nil))
}

func (c contents) parse(files Files) (*loaded, error) {
	certificate, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("load tls-cert-file and tls-key-file: %s and %s: %w", files.Cert, files.Key, err)
	}
	l := &loaded{version: c.version(), certificate: certificate}
	for _, der := range certificate.Certificate {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("load tls-cert-file: %s: %w", files.Cert, err)
		}
		if l.notAfter.IsZero() || parsed.NotAfter.Before(l.notAfter) {
			l.notAfter = parsed.NotAfter
		}
		if parsed.NotBefore.After(l.notBefore) {
			l.notBefore = parsed.NotBefore
		}
	}
	l.forGRPC = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}
	l.forWeb = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	if files.ClientCA == "" {
		return l, nil
	}
	authorities := x509.NewCertPool()
	l.forGRPC.ClientCAs, l.forGRPC.ClientAuth = authorities, tls.RequireAndVerifyClientCert
	l.forWeb.ClientCAs, l.forWeb.ClientAuth = authorities, tls.VerifyClientCertIfGiven
	if !authorities.AppendCertsFromPEM(c.clientCA) {
		return nil, errors.New("load tls-client-ca-file: " + files.ClientCA + " holds no PEM certificate")
	}
	return l, nil
}
