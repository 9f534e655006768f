package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/certificate/certtest"
)

// bench is a source, its files, its clock and its log.
type bench struct {
	*Source
	t     *testing.T
	files Files
	now   time.Time
	log   bytes.Buffer
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newBench(t *testing.T, notAfter time.Time) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, now: begin, files: Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}}
	b.write(b.files.Cert, notAfter)
	var err error
	b.Source, err = Load(Config{
		Files: b.files, Clock: func() time.Time { return b.now }, Log: hclog.New(&hclog.LoggerOptions{Output: &b.log}),
	})
	require.NoError(t, err)
	return b
}

// write writes a new key and its certificate to a file and the key's file.
func (b *bench) write(cert string, notAfter time.Time) {
	b.t.Helper()
	certtest.Write(b.t, certtest.Files{Cert: cert, Key: b.files.Key}, begin, notAfter)
}

// logged returns what was logged since it was last called.
func (b *bench) logged() string {
	text := b.log.String()
	b.log.Reset()
	return text
}

func TestExpiryIsAnnounced(t *testing.T) {
	t.Parallel()
	b := newBench(t, begin.Add(15*24*time.Hour))
	require.Empty(t, b.logged())
	b.now = begin.Add(24*time.Hour + time.Minute)
	b.look()
	require.Contains(t, b.logged(), "[WARN]  The certificate expires soon")
	b.now = b.now.Add(23 * time.Hour)
	b.look()
	require.Empty(t, b.logged(), "once a day")
	b.now = b.now.Add(time.Hour)
	b.look()
	require.Contains(t, b.logged(), "expires soon")
	b.now = begin.Add(15 * 24 * time.Hour)
	b.look()
	require.Contains(t, b.logged(), "[ERROR] The certificate has expired")
	b.now = begin.Add(-2 * time.Hour)
	b.look()
	require.Contains(t, b.logged(), "not valid yet")

	b.now = begin
	require.Contains(t, newBench(t, begin).logged(), "has expired", "a start says so too")
}

func TestChangedFilesAreLoaded(t *testing.T) {
	t.Parallel()
	b := newBench(t, begin.Add(365*24*time.Hour))
	served := func() []byte {
		conf, err := b.GRPC().GetConfigForClient(nil)
		require.NoError(t, err)
		certificate, err := b.HTTP().GetCertificate(&tls.ClientHelloInfo{})
		require.NoError(t, err)
		require.Equal(t, conf.Certificates[0].Certificate[0], certificate.Certificate[0])
		return certificate.Certificate[0]
	}
	first := served()
	b.look()
	require.Empty(t, b.logged())

	// The key is there, its certificate is not yet.
	next := filepath.Join(t.TempDir(), "next.pem")
	b.write(next, begin.Add(700*24*time.Hour))
	b.look()
	require.Empty(t, b.logged(), "a writer may be between two files")
	require.Equal(t, first, served())
	for range 3 {
		b.look()
	}
	require.Regexp(t, `^[^\n]*\[ERROR\] The certificate cannot be loaded; the one before stays in use[^\n]*\n$`, b.logged())
	b.Reload()
	require.Contains(t, b.logged(), "cannot be loaded", "somebody asked")
	require.NoError(t, os.Rename(next, b.files.Cert))
	b.look()
	require.Contains(t, b.logged(), "A new certificate is in use")
	require.NotEqual(t, first, served())
	require.Equal(t, begin.Add(700*24*time.Hour), b.NotAfter().UTC())

	b.Reload()
	require.Contains(t, b.logged(), "has not changed")
	require.NoError(t, os.Remove(b.files.Cert))
	b.look()
	b.look()
	require.Contains(t, b.logged(), "cannot be loaded")
	require.NotEqual(t, first, served())
}

func TestAuthoritiesOfClientsAreLoadedToo(t *testing.T) {
	t.Parallel()
	b := newBench(t, begin.Add(365*24*time.Hour))
	files := b.files
	files.ClientCA = filepath.Join(t.TempDir(), "ca.pem")
	text, err := os.ReadFile(files.Cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.ClientCA, text, 0o600))
	s, err := Load(Config{Files: files, Clock: func() time.Time { return begin }, Log: hclog.NewNullLogger()})
	require.NoError(t, err)
	pool := func() *x509.CertPool {
		conf, err := s.GRPC().GetConfigForClient(nil)
		require.NoError(t, err)
		require.Equal(t, tls.RequireAndVerifyClientCert, conf.ClientAuth)
		return conf.ClientCAs
	}
	first := pool()
	require.NoError(t, os.WriteFile(files.ClientCA, append(text, text...), 0o600))
	s.look()
	require.NotSame(t, first, pool())
	require.NoError(t, os.WriteFile(files.ClientCA, []byte("nothing"), 0o600))
	_, err = Load(s.config)
	require.ErrorContains(t, err, "holds no PEM certificate")
}
