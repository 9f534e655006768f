// Package nginxtest starts nginx as operations.md configures it, so that the examples there are
// tested. It must never be in a binary.
package nginxtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/servertest"
)

var (
	upstreams = regexp.MustCompile(`proxy_pass http://127\.0\.0\.1:\d+`)
	keys      = regexp.MustCompile(`/etc/nginx/\w+\.(pem|key)`)
)

// Start starts nginx with the server block of a name in operations.md in front of an address, and
// returns its own address and what its certificate is verified by. It skips the test if nginx is
// missing, or fails it if HEADRACE_TEST_NGINX is required. The test is in a package below
// backend/internal.
func Start(t *testing.T, name, upstream string) (address string, roots *x509.CertPool) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		// Debian's PATH of people who are not root lacks it.
		program, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		if os.Getenv("HEADRACE_TEST_NGINX") == "required" {
			t.Fatalf("HEADRACE_TEST_NGINX=required: %v", err)
		}
		t.Skipf("%v; apt-get install nginx-light installs it", err)
	}
	dir := t.TempDir()
	roots = certificate(t, dir, name)
	address = servertest.FreeAddress(t)
	block := sample(t, name)
	require.Equal(t, 1, strings.Count(block, "listen 443 ssl"))
	require.Regexp(t, upstreams, block)
	block = strings.ReplaceAll(block, "listen 443 ssl", "listen "+address+" ssl")
	block = upstreams.ReplaceAllString(block, "proxy_pass http://"+upstream)
	block = keys.ReplaceAllString(block, filepath.Join(dir, "server.$1"))
	account, err := user.Current()
	require.NoError(t, err)
	text := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n"
	if account.Uid == "0" {
		text = "user " + account.Username + ";\n" + text
	}
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	conf := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(conf, []byte(text+block+"}\n"), 0o600))
	process := servertest.Start(t, address, program, "-c", conf, "-p", dir, "-e", "stderr")
	t.Cleanup(process.Stop)
	return address, roots
}

// sample returns the server block of a name.
func sample(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	for _, rest := range strings.Split(string(page), "```nginx\n")[1:] {
		if block, _, found := strings.Cut(rest, "```"); found && strings.Contains(block, "server_name "+name+";") {
			return block
		}
	}
	require.Fail(t, "operations.md has no server block of "+name)
	return ""
}

// certificate writes a certificate of a name and its key into a directory.
func certificate(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "server.pem"), public, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "server.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(public))
	return roots
}
