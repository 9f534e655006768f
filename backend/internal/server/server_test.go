package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/certificate/certtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
	"github.com/headrace/terraform-provider-headrace/backend/web"
)

func whoAmI(t *testing.T, c *client.Client) error {
	t.Helper()
	_, err := c.Server.WhoAmI(t.Context(), &v1.WhoAmIRequest{})
	return err
}

func TestFirstStartMakesATokenThatOnlyItsOwnerReads(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	path := filepath.Join(b.DataDir, "admin.token")
	for path, mode := range map[string]os.FileMode{
		b.DataDir: 0o700, path: 0o600, filepath.Join(b.DataDir, "headrace.db"): 0o600, filepath.Join(b.DataDir, "headrace.db-wal"): 0o600,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	require.NoError(t, whoAmI(t, b.Admin()))
	accounts, err := b.Admin().Accounts.ListAccounts(t.Context(), &v1.ListAccountsRequest{})
	require.NoError(t, err)
	require.Equal(t, "accounts/default", accounts.GetAccounts()[0].GetName())

	token := b.AdminToken
	b.Restart()
	require.Equal(t, token, b.AdminToken, "a restart keeps it")
	require.NoError(t, whoAmI(t, b.Admin()))
	leftovers, err := filepath.Glob(path + ".*")
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

// The crash of a first start may leave the file with an empty database.
func TestTokenFileThatDoesNotWorkIsReplaced(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, b *backendtest.Backend, path string){
		"an empty database": func(t *testing.T, b *backendtest.Backend, _ string) {
			t.Helper()
			removeDatabase(t, b.DataDir)
			// The storage gets its identity after the token.
			require.NoError(t, os.RemoveAll(filepath.Join(b.DataDir, "identity")))
			require.NoError(t, os.WriteFile(filepath.Join(b.DataDir, "headrace.db"), nil, 0o600))
		},
		"another token": func(t *testing.T, _ *backendtest.Backend, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte("hr_other\n"), 0o600))
		},
		"half a file": func(t *testing.T, _ *backendtest.Backend, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := backendtest.Start(t)
			b.Stop()
			damage(t, b, filepath.Join(b.DataDir, "admin.token"))
			b.Restart()
			require.NoError(t, whoAmI(t, b.Admin()))
		})
	}
}

func removeDatabase(t *testing.T, dataDir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dataDir, "headrace.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.NoError(t, os.Remove(file))
	}
}

// Who moved the database, or forgot to mount it, keeps the token that goes with it.
func TestLostDatabaseIsNotReplacedByAnEmptyOne(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Stop()
	removeDatabase(t, b.DataDir)
	cfg := config.Default()
	cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = b.DataDir, "127.0.0.1:0", "127.0.0.1:0"
	for range 2 {
		_, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
		require.ErrorContains(t, err, "has no headrace.db, but still admin.token, artifacts, logs, identity: put the database back, or remove these to start empty")
	}
	// A copy that did not end leaves an empty file; executions were there before.
	require.NoError(t, os.WriteFile(filepath.Join(b.DataDir, "headrace.db"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(b.DataDir, "logs", "log"), nil, 0o600))
	_, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
	require.ErrorContains(t, err, "has an empty headrace.db, but still admin.token, artifacts, logs, identity: put the database back")
	text, err := os.ReadFile(filepath.Join(b.DataDir, "admin.token"))
	require.NoError(t, err)
	require.Equal(t, b.AdminToken, strings.TrimSpace(string(text)))
	for _, name := range []string{"admin.token", "artifacts", "logs", "identity"} {
		require.NoError(t, os.RemoveAll(filepath.Join(b.DataDir, name)))
	}
	b.Restart()
	require.NoError(t, whoAmI(t, b.Admin()))
}

// Who forgets database-url after migrate-store does not do everything a second time.
func TestMovedDatabaseStartsNoServer(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Stop()
	mark := filepath.Join(b.DataDir, "headrace.db.moved")
	require.NoError(t, os.WriteFile(mark, []byte("headrace at db.example.com:5432\n"), 0o600))
	cfg := config.Default()
	cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = b.DataDir, "127.0.0.1:0", "127.0.0.1:0"
	_, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
	require.ErrorContains(t, err, "moved its database to PostgreSQL, headrace at db.example.com:5432, ")
	require.ErrorContains(t, err, "set database-url")
	require.ErrorContains(t, err, "remove "+mark)
	require.NoError(t, os.Remove(mark))
	b.Restart()
	require.NoError(t, whoAmI(t, b.Admin()))
}

func TestRevokedAdminTokenStaysRevoked(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	old := b.AdminToken
	other := b.Client(b.Token("ann", nil, backendtest.Binding("*", v1.Role_ROLE_ADMIN)))
	list, err := other.Accounts.ListTokens(t.Context(), &v1.ListTokensRequest{})
	require.NoError(t, err)
	_, err = other.Accounts.RevokeToken(t.Context(), &v1.RevokeTokenRequest{Name: list.GetTokens()[0].GetName()})
	require.NoError(t, err)
	b.Restart()
	require.Equal(t, codes.Unauthenticated, status.Code(whoAmI(t, b.Client(old))))
	require.NotEqual(t, old, b.AdminToken)
	require.NoError(t, whoAmI(t, b.Admin()))
}

func TestDataDirectoryHasOneServer(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	cfg := config.Default()
	cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = b.DataDir, "127.0.0.1:0", "127.0.0.1:0"
	_, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
	require.ErrorContains(t, err, "in use by another headraced (process "+strconv.Itoa(os.Getpid())+")")
	b.Restart()
}

func TestFailedStartLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := config.Default()
	cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", taken.Addr().String()
	_, err = server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
	require.EqualError(t, err, "http-listen: "+cfg.HTTPListen+" is in use: stop the other program, or choose another address with --http-listen")
	require.NoError(t, taken.Close())
	b := backendtest.Start(t, backendtest.WithDataDir(cfg.DataDir))
	require.NoError(t, whoAmI(t, b.Admin()))
}

func fetch(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := c.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(body)
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	require.NoError(t, whoAmI(t, b.Admin()))
	for _, path := range []string{"/healthz", "/readyz"} {
		code, body := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+path)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok\n", body)
	}
	_, body := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/metrics")
	require.Contains(t, body, `headrace_grpc_requests_total{code="OK",method="/headrace.v1.ServerService/WhoAmI"} 1`)
	require.Contains(t, body, "headrace_executions_live 0")
	require.Contains(t, body, `headrace_build_info{version="test"} 1`)
	code, _ := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/healthz/more")
	require.Equal(t, http.StatusNotFound, code)
}

func TestLoopbackAnswersOnlyToItsOwnNames(t *testing.T) {
	t.Parallel()
	ask := func(addr, host, path string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
		require.NoError(t, err)
		request.Host = host
		resp, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	b := backendtest.Start(t)
	for _, host := range []string{"localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:7481", "[::1]", "[::1]:7481"} {
		require.Equal(t, http.StatusOK, ask(b.HTTPAddr, host, "/metrics"), host)
	}
	for _, host := range []string{"evil.example", "evil.example:7481", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1"} {
		for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
			require.Equal(t, http.StatusForbidden, ask(b.HTTPAddr, host, path), host)
		}
	}
	open := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) {
		cfg.HTTPListen, cfg.AllowInsecureListen = "0.0.0.0:0", true
	}))
	_, port, err := net.SplitHostPort(open.HTTPAddr)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, ask("127.0.0.1:"+port, "metrics.example", "/metrics"))
}

// callByHTTP sends GetServerInfo as a browser does, and returns the code of the answer.
func callByHTTP(t *testing.T, c *http.Client, url string, change func(*http.Request)) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+v1.ServerService_GetServerInfo_FullMethodName, strings.NewReader("{}"))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Connect-Protocol-Version", "1")
	change(request)
	resp, err := c.Do(request)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// Calls are answered below the path of public-url, with or without it, and by its name.
func TestCallsByHTTPComeThroughProxies(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) { cfg.PublicURL = "https://CI.example.com/deploy" }))
	ask := func(path, host, origin, site string) int {
		return callByHTTP(t, http.DefaultClient, "http://"+b.HTTPAddr+path, func(r *http.Request) {
			if host != "" {
				r.Host = host
			}
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", site)
		})
	}
	for _, path := range []string{"", "/deploy"} {
		require.Equal(t, http.StatusOK, ask(path, "", "", ""))
		require.Equal(t, http.StatusOK, ask(path, "ci.example.com", "https://ci.example.com", ""))
		require.Equal(t, http.StatusOK, ask(path, "ci.example.com", "https://ci.example.com", "same-origin"))
		require.Equal(t, http.StatusOK, ask(path, "", "https://ci.example.com", ""), "the proxy has replaced the host")
		require.Equal(t, http.StatusForbidden, ask(path, "evil.example", "", ""))
		require.Equal(t, http.StatusForbidden, ask(path, "ci.example.com", "https://evil.example", "cross-site"))
		require.Equal(t, http.StatusForbidden, ask(path, "", "https://evil.example", ""))
	}
	require.GreaterOrEqual(t, ask("/deployment", "", "", ""), 400)
	code, _ := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/deploy/readyz")
	require.Equal(t, http.StatusOK, code)
}

// The web UI is below the path of ui-url, and its assets are where its page says.
func TestBrowsersGetTheUI(t *testing.T) {
	t.Parallel()
	files, ok := web.Files()
	if !ok {
		t.Skip("built without the web UI")
	}
	built, err := fs.ReadFile(files, "index.html")
	require.NoError(t, err)
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) {
		cfg.PublicURL, cfg.UIURL = "https://hooks.example.com", "https://ci.example.com/deploy"
	}))
	script := regexp.MustCompile(`src="(assets/[^"]+)"`).FindSubmatch(built)
	require.NotNil(t, script)
	for _, path := range []string{"/deploy", "/deploy/", "/"} {
		code, page := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+path)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, strings.Replace(string(built), `<base href="/">`, `<base href="/deploy/">`, 1), page)
	}
	for _, path := range []string{"/deploy/", "/"} {
		code, text := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+path+string(script[1]))
		require.Equal(t, http.StatusOK, code)
		asset, err := fs.ReadFile(files, string(script[1]))
		require.NoError(t, err)
		require.Equal(t, string(asset), text)
	}
	code, _ := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/hooks/github/x")
	require.Equal(t, http.StatusNotFound, code)
}

// certificate makes a certificate for this machine and returns its files.
func certificate(t *testing.T) certtest.Files {
	t.Helper()
	dir := t.TempDir()
	files := certtest.Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	certtest.Write(t, files, time.Now(), time.Now().Add(time.Hour))
	return files
}

func TestTLSCoversBothAddressesAndKnowsItsClients(t *testing.T) {
	t.Parallel()
	own, clients := certificate(t), certificate(t)
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) {
		cfg.TLSCertFile, cfg.TLSKeyFile, cfg.TLSClientCAFile = own.Cert, own.Key, clients.Cert
	}))
	dial := func(cfg client.Config) error {
		cfg.Endpoint, cfg.Token = b.Endpoint, b.AdminToken
		c, err := client.Dial(cfg, "test")
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		return whoAmI(t, c)
	}
	require.NoError(t, dial(client.Config{CACertFile: own.Cert, ClientCertFile: clients.Cert, ClientKeyFile: clients.Key}))
	text, err := os.ReadFile(own.Cert)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	trusting := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	// Without the client's retries, which would only take time.
	for _, transport := range []credentials.TransportCredentials{insecure.NewCredentials(), credentials.NewTLS(trusting)} {
		conn, err := grpc.NewClient(b.Endpoint, grpc.WithTransportCredentials(transport))
		require.NoError(t, err)
		_, err = v1.NewServerServiceClient(conn).GetServerInfo(t.Context(), &v1.GetServerInfoRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "neither plaintext nor a stranger to the authority gets in")
		require.NoError(t, conn.Close())
	}
	transport := &http.Transport{TLSClientConfig: trusting}
	t.Cleanup(transport.CloseIdleConnections)
	code, body := fetch(t, &http.Client{Transport: transport}, "https://"+b.HTTPAddr+"/metrics")
	require.Equal(t, http.StatusOK, code)
	// Without a client certificate, HTTP refuses a call just as gRPC does.
	require.Equal(t, http.StatusUnauthorized, callByHTTP(t, &http.Client{Transport: transport}, "https://"+b.HTTPAddr, func(*http.Request) {}))
	pair, err := tls.LoadX509KeyPair(clients.Cert, clients.Key)
	require.NoError(t, err)
	withPair := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}}
	t.Cleanup(withPair.CloseIdleConnections)
	require.Equal(t, http.StatusOK, callByHTTP(t, &http.Client{Transport: withPair}, "https://"+b.HTTPAddr, func(*http.Request) {}))
	block, _ := pem.Decode(text)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	_, value, ok := strings.Cut(body, "\nheadrace_certificate_not_after_timestamp_seconds ")
	require.True(t, ok, body)
	expiry, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
	require.NoError(t, err)
	require.Equal(t, parsed.NotAfter.Unix(), int64(expiry))
}

// buffer is a log that tests read while the server writes.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

func TestLogSaysWhereTheTokenIsAndNeverTheToken(t *testing.T) {
	t.Parallel()
	var log buffer
	cfg := config.Default()
	cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
	s, err := server.New(t.Context(), cfg, server.Options{
		Version: "test", Log: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace}),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	path := filepath.Join(cfg.DataDir, "admin.token")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	token := strings.TrimSpace(string(text))
	c, err := client.Dial(client.Config{Endpoint: s.GRPCAddr(), Token: token}, "test")
	require.NoError(t, err)
	made, err := c.Accounts.CreateToken(t.Context(), &v1.CreateTokenRequest{Token: &v1.Token{
		Principal: "ann", Bindings: []*v1.RoleBinding{backendtest.Binding("*", v1.Role_ROLE_VIEWER)},
	}})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	cancel()
	require.NoError(t, <-done, "a stop that was asked for is no error")
	require.Contains(t, log.text(), path)
	require.Contains(t, log.text(), "CreateToken")
	require.Contains(t, log.text(), "isolation=")
	require.Equal(t, os.Geteuid() == 0, strings.Contains(log.text(), "headraced runs as root"))
	require.NotContains(t, log.text(), token)
	require.NotContains(t, log.text(), made.GetSecret())
}

// As after a restore, to look before anything runs.
func TestServerWithoutARunner(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) { cfg.RunnerSlots = 0 }))
	require.Eventually(t, func() bool {
		status, _ := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/readyz")
		return status == http.StatusOK
	}, time.Minute, 10*time.Millisecond)
}
