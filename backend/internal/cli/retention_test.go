package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithConfig(func(c *config.Config) { c.RetentionCount = 1 }))
	declare(t, b)
	run := func(args ...string) result {
		t.Helper()
		got := headrace(t, b, b.AdminToken, args...)
		require.Equal(t, cli.ExitOK, got.code, "%v: %s", args, got.stderr)
		return got
	}
	alice := b.Token("alice", nil, backendtest.Binding("default", headracev1.Role_ROLE_APPROVER))
	run("run", "web")
	require.Eventually(t, func() bool {
		return headrace(t, b, alice, "approve", "web#1").code == cli.ExitOK
	}, time.Minute, 20*time.Millisecond)
	run("execution", "watch", "web#1")
	for range 3 {
		require.Equal(t, cli.ExitFailed, headrace(t, b, b.AdminToken, "run", "web", "--follow", "--var", "Word=broken").code)
	}
	require.NotEmpty(t, run("logs", "web#2").stdout)

	planned := run("retention", "apply", "--dry-run").stdout
	require.Contains(t, planned, "web#2")
	require.Contains(t, planned, "web#3")
	require.NotContains(t, planned, "web#1", "each stage succeeded with it last")
	require.NotContains(t, planned, "web#4", "it is the newest")
	require.Contains(t, planned, "2 executions")
	require.NotEmpty(t, run("logs", "web#2").stdout, "a dry run removes nothing")

	applied := run("retention", "apply").stdout
	require.Equal(t, strings.Split(planned, "\nwould")[0], strings.Split(applied, "\nremoved")[0], "as was said")
	gone := headrace(t, b, b.AdminToken, "logs", "web#2")
	require.Equal(t, cli.ExitFailed, gone.code)
	require.Contains(t, gone.stderr, "removed by retention on")
	require.Contains(t, run("execution", "show", "web#2").stdout, "removed by retention at")
	require.Contains(t, headrace(t, b, b.AdminToken, "execution", "retry", "web#3").stderr, "removed by retention on")
	require.NotEmpty(t, run("logs", "web#4").stdout)
	require.Contains(t, run("logs", "web#1", "Ship").stdout, "shipped world")

	run("rollback", "web", "Deploy", "--to", "1")
	require.Eventually(t, func() bool {
		return strings.Contains(headrace(t, b, b.AdminToken, "logs", "web#5").stdout, "shipped world")
	}, time.Minute, 20*time.Millisecond)
	require.Contains(t, run("retention", "apply").stdout, "1 executions", "the fourth is not the newest any more")

	// An admin of one account is not one of all.
	ann := b.Token("ann", nil, backendtest.Binding("default", headracev1.Role_ROLE_ADMIN))
	require.Equal(t, cli.ExitNoAccess, headrace(t, b, ann, "retention", "apply").code)
}
