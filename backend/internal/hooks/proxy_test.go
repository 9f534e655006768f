package hooks_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/servertest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
)

// nginx starts nginx with the server block of operations.md in front of an address, and
// returns its address and what its certificate is verified by.
func nginx(t *testing.T, upstream string) (string, *x509.CertPool) {
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
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```nginx\n")
	require.True(t, found, "operations.md has a sample")
	block, _, found := strings.Cut(rest, "```")
	require.True(t, found)

	dir := t.TempDir()
	roots := certificate(t, dir)
	address := servertest.FreeAddress(t)
	for from, to := range map[string]string{
		"listen 443 ssl": "listen " + address + " ssl", "http://127.0.0.1:7482": "http://" + upstream,
		"/etc/nginx/hooks.pem": filepath.Join(dir, "hooks.pem"), "/etc/nginx/hooks.key": filepath.Join(dir, "hooks.key"),
	} {
		require.Equal(t, 1, strings.Count(block, from), "the sample has %s", from)
		block = strings.ReplaceAll(block, from, to)
	}
	account, err := user.Current()
	require.NoError(t, err)
	conf := filepath.Join(dir, "nginx.conf")
	text := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n"
	if account.Uid == "0" {
		text = "user " + account.Username + ";\n" + text
	}
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += name + "_temp_path " + filepath.Join(dir, name) + ";\n"
	}
	require.NoError(t, os.WriteFile(conf, []byte(text+block+"}\n"), 0o600))
	process := servertest.Start(t, address, program, "-c", conf, "-p", dir, "-e", "stderr")
	t.Cleanup(process.Stop)
	return address, roots
}

// certificate writes a certificate of hooks.example.com and its key into a directory.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hooks.example.com"}, DNSNames: []string{"hooks.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hooks.pem"), public, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hooks.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(public))
	return roots
}

func TestDeliveriesPassNginxAsInTheDocumentation(t *testing.T) {
	t.Parallel()
	b := newBench(t, "127.0.0.1/32")
	address, roots := nginx(t, b.serve(nil))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			// Another address than the one of the proxy.
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	post := func(r *http.Request, body io.Reader) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://hooks.example.com"+r.URL.Path, body)
		require.NoError(t, err)
		request.Header = r.Header
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	liar := delivery(push)
	liar.Header.Set("X-Forwarded-For", "203.0.113.9")
	require.Equal(t, http.StatusAccepted, post(liar, strings.NewReader(push)))
	deliveries, _ := b.intake.got()
	require.Equal(t, "127.0.0.2", deliveries[0].Address, "what the sender claims to be is not believed")
	require.Equal(t, "203.0.113.9, 127.0.0.2", deliveries[0].Headers["X-Forwarded-For"])
	require.True(t, bytes.Equal([]byte(push), deliveries[0].Body), "the bytes are the same, since the signature covers them")

	largest := push[:len(push)-1] + `,"x":"` + strings.Repeat("x", 25<<20-len(push)-len(`,"x":""`)) + `"}`
	require.Len(t, largest, 25<<20)
	require.Equal(t, http.StatusAccepted, post(delivery(largest), strings.NewReader(largest)))
	// A body of unknown length comes in chunks.
	require.Equal(t, http.StatusAccepted, post(delivery(push), io.MultiReader(strings.NewReader(push))))
	forged := delivery(push)
	forged.Header.Set("X-Hub-Signature-256", "sha256="+sign("another"))
	require.Equal(t, http.StatusUnauthorized, post(forged, strings.NewReader(push)))
	elsewhere := delivery(push)
	elsewhere.URL.Path = "/metrics"
	require.Equal(t, http.StatusNotFound, post(elsewhere, strings.NewReader(push)))
}

func TestARealGiteaDelivers(t *testing.T) {
	t.Parallel()
	server := giteatest.Start(t)
	b := newBench(t)
	target := "http://" + b.serve(nil) + forge.Gitea.Path(path+"T")
	repository := server.Create("web")
	server.Hook(repository, target, secret, "json", "push", "create", "delete", "pull_request")
	server.Hook(repository, target+"x", secret, "json", "push")
	server.Hook(repository, target, "another secret", "form", "push")
	var made struct {
		Commit struct{ SHA string }
	}
	server.Call(http.MethodPost, "/repos/"+repository.FullName+"/contents/page.html", map[string]string{
		"content": "aGVsbG8=", "message": "Add a page", "branch": "main",
	}, &made)
	require.Eventually(t, func() bool {
		deliveries, refusals := b.intake.got()
		return len(deliveries) == 1 && len(refusals) == 1
	}, patience, 10*time.Millisecond)
	deliveries, refusals := b.intake.got()
	require.Equal(t, forge.SignatureInvalid, refusals[0].Reason)
	got := deliveries[0]
	require.Len(t, got.Signals, 1)
	require.Equal(t, "refs/heads/main", got.Signals[0].Ref)
	require.Equal(t, made.Commit.SHA, got.Signals[0].After)
	require.Equal(t, repository.ID, got.Signals[0].Repository.ID)
	require.NotEmpty(t, got.ID)
	for name := range got.Headers {
		require.NotContains(t, strings.ToLower(name), "signature")
	}

	server.Call(http.MethodPost, "/repos/"+repository.FullName+"/branches", map[string]string{"new_branch_name": "next"}, nil)
	server.Call(http.MethodDelete, "/repos/"+repository.FullName+"/branches/next", nil, nil)
	require.Eventually(t, func() bool {
		deliveries, _ := b.intake.got()
		for _, d := range deliveries {
			if d.Event == "delete" && len(d.Signals) == 1 && d.Signals[0].Ref == "refs/heads/next" {
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond, "the deletion of a branch")
}
