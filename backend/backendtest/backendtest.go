// Package backendtest starts a whole backend inside a test, on a temporary
// directory and free ports, for the tests of the provider, of the command line
// and of the server itself. It must never be in a binary.
package backendtest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// stopTimeout is how long a backend may take to stop before the test fails.
const stopTimeout = 30 * time.Second

// Backend is a running backend. Its fields stay the same over Restart.
type Backend struct {
	// Endpoint and HTTPAddr are host:port on this machine.
	Endpoint string
	HTTPAddr string
	// HooksAddr is host:port for deliveries, empty unless WithHooks is given.
	HooksAddr string
	// AdminToken is an admin's of all accounts.
	AdminToken string
	DataDir    string

	tb      testing.TB
	config  config.Config
	options server.Options
	cancel  context.CancelFunc
	done    chan error
}

// Option changes what Start starts.
type Option func(*config.Config, *server.Options)

// WithConfig changes the configuration. The data directory and the addresses
// are the test's own already.
func WithConfig(change func(*config.Config)) Option {
	return func(cfg *config.Config, _ *server.Options) { change(cfg) }
}

// WithHooks makes the backend listen for deliveries.
func WithHooks() Option {
	return WithConfig(func(cfg *config.Config) { cfg.HooksListen = "127.0.0.1:0" })
}

// WithKinds adds types of actions and rules, with their executors, to the built-in ones.
func WithKinds(kinds ...server.Kind) Option {
	return func(_ *config.Config, options *server.Options) {
		options.Kinds = append(options.Kinds, kinds...)
	}
}

// WithGitHub lets a server on this machine stand for GitHub, to which sources with a token of
// their own connect.
func WithGitHub(base string) Option {
	return func(_ *config.Config, options *server.Options) { options.GitHub = base }
}

// WithType adds a type of actions whose work is an attempt, which always succeeds. It is for
// tests of clients, to which only the declaration matters.
func WithType(declared pipeline.Type) Option {
	return WithKinds(server.Kind{Type: declared, Attempt: succeeding{}})
}

type succeeding struct{}

// Execute implements action.AttemptExecutor.
func (succeeding) Execute(context.Context, action.Attempt, action.Workspace) action.Result {
	return action.Result{}
}

// WithDataDir uses a directory of the caller's instead of a fresh one.
func WithDataDir(dir string) Option {
	return func(cfg *config.Config, _ *server.Options) { cfg.DataDir = dir }
}

// Start starts a backend and stops it when the test ends. It is safe in parallel
// tests. The account "default" exists.
func Start(tb testing.TB, opts ...Option) *Backend {
	tb.Helper()
	cfg := config.Default()
	cfg.GRPCListen, cfg.HTTPListen = "127.0.0.1:0", "127.0.0.1:0"
	// Tests want to end; those about the grace set it.
	cfg.ShutdownGrace = 0
	// Most tests are not about isolation, and a developer may not have it.
	if _, err := exec.LookPath("bwrap"); err != nil {
		cfg.Isolation = runner.IsolationNone
	}
	options := server.Options{
		Version: "test",
		Log:     hclog.New(&hclog.LoggerOptions{Name: "headraced", Level: hclog.Debug, Output: testLog{tb}}),
	}
	for _, opt := range opts {
		opt(&cfg, &options)
	}
	if cfg.DataDir == config.Default().DataDir {
		cfg.DataDir = filepath.Join(tb.TempDir(), "headrace-data")
	}
	b := &Backend{tb: tb, config: cfg, options: options, DataDir: cfg.DataDir}
	b.start()
	tb.Cleanup(b.Stop)
	return b
}

func (b *Backend) start() {
	b.tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.New(ctx, b.config, b.options)
	if err != nil {
		cancel()
		require.NoError(b.tb, err, "start a backend")
	}
	b.Endpoint, b.HTTPAddr, b.HooksAddr = s.GRPCAddr(), s.HTTPAddr(), s.HooksAddr()
	// The next start listens where clients know it.
	b.config.GRPCListen, b.config.HTTPListen, b.config.HooksListen = b.Endpoint, b.HTTPAddr, b.HooksAddr
	token, err := os.ReadFile(filepath.Join(b.DataDir, "admin.token"))
	if err != nil {
		cancel()
		require.NoError(b.tb, err, "read the admin token")
	}
	b.AdminToken = strings.TrimSpace(string(token))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.cancel, b.done = cancel, done
}

// Stop stops the backend and fails the test where that is not clean. A stopped
// backend stays stopped until Restart.
func (b *Backend) Stop() {
	b.tb.Helper()
	if b.cancel == nil {
		return
	}
	b.cancel()
	b.cancel = nil
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case err := <-b.done:
		require.NoError(b.tb, err, "stop the backend")
	case <-timer.C:
		b.tb.Fatalf("the backend did not stop within %s", stopTimeout)
	}
}

// Restart stops the backend and starts it again on the same data and addresses.
func (b *Backend) Restart() {
	b.tb.Helper()
	b.Stop()
	b.awaitFree(b.Endpoint)
	b.awaitFree(b.HTTPAddr)
	if b.HooksAddr != "" {
		b.awaitFree(b.HooksAddr)
	}
	b.start()
}

// awaitFree waits until an address can be listened on. The system may give its port to a
// connection of another process while the backend is stopped.
func (b *Backend) awaitFree(address string) {
	b.tb.Helper()
	require.Eventually(b.tb, func() bool {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			return false
		}
		return listener.Close() == nil
	}, stopTimeout, 20*time.Millisecond, "another process keeps %s", address)
}

// Client returns a client with a token, which is empty for a stranger. Its
// account is "default". It is closed when the test ends.
func (b *Backend) Client(token string) *client.Client {
	b.tb.Helper()
	c, err := client.Dial(client.Config{Endpoint: b.Endpoint, Token: token}, "backendtest")
	require.NoError(b.tb, err)
	b.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Admin returns a client with the admin's token.
func (b *Backend) Admin() *client.Client {
	b.tb.Helper()
	return b.Client(b.AdminToken)
}

// Binding returns a role in an account, for Token; the account is "*" for all.
func Binding(account string, role headracev1.Role) *headracev1.RoleBinding {
	return &headracev1.RoleBinding{Account: account, Role: role}
}

// Token returns a fresh token. Accounts that it is bound to have to exist.
func (b *Backend) Token(principal string, groups []string, bindings ...*headracev1.RoleBinding) string {
	b.tb.Helper()
	resp, err := b.Admin().Accounts.CreateToken(b.tb.Context(), &headracev1.CreateTokenRequest{
		Token: &headracev1.Token{Principal: principal, Groups: groups, Bindings: bindings},
	})
	require.NoError(b.tb, err, "make a token for %s", principal)
	return resp.GetSecret()
}

// Account makes an account.
func (b *Backend) Account(name string) {
	b.tb.Helper()
	_, err := b.Admin().Accounts.CreateAccount(b.tb.Context(), &headracev1.CreateAccountRequest{
		Account: &headracev1.Account{Name: client.AccountName(name)},
	})
	require.NoError(b.tb, err, "make account %s", name)
}

// testLog writes the server's log into the test's.
type testLog struct{ tb testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.tb.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
