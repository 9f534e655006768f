package runner_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// vault hands out one token. Its account is part of it, to see whose it is.
type vault struct{ account string }

func (v vault) Open(context.Context, string) (string, error) { return "", nil }

func (v vault) Git(_ context.Context, connection, repository string) (gitauth.Remote, error) {
	return gitauth.Remote{URL: "https://example.com/" + repository, Password: "sentinel-of-" + v.account + "-" + connection}, nil
}

// TestCredentialsAreHidden holds that an attempt gets the credentials of its own account, and
// that neither its log nor its result shows them, in whatever pieces they are written.
func TestCredentialsAreHidden(t *testing.T) {
	t.Parallel()
	for name, failed := range map[string]bool{"success": false, "failure": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bench := runnertest.Start(t, executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
				_, _ = io.WriteString(workspace.Log, "before\n")
				remote, err := workspace.Credentials.Git(ctx, "forge", "acme/web")
				if err != nil {
					return action.CredentialsFailure(err)
				}
				_, _ = fmt.Fprintf(workspace.Log, "token %s", remote.Password[:10])
				_, _ = fmt.Fprintf(workspace.Log, "%s\n", remote.Password[10:])
				if failed {
					return action.Failed(action.JobFailed, "length %d, refused %s", len(remote.Password), remote.Password)
				}
				return action.Result{Summary: fmt.Sprintf("length %d, used %s", len(remote.Password), remote.Password)}
			}), func(c *runner.Config) {
				c.Credentials = func(of action.Scope) action.Credentials { return vault{of.Account} }
			})
			result, log := bench.Run(t, runnertest.Attempt("action-1"))
			require.Equal(t, "before\ntoken ****\n", log)
			if failed {
				require.Equal(t, "length 25, refused ****", result.Failure.Message)
			} else {
				require.Equal(t, "length 25, used ****", result.Summary)
			}
		})
	}
}

// TestRunnerWithoutConnections holds that an action which wants credentials fails and says why.
func TestRunnerWithoutConnections(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		_, err := workspace.Credentials.Git(ctx, "forge", "acme/web")
		return action.CredentialsFailure(err)
	}), nil)
	result, _ := bench.Run(t, runnertest.Attempt("action-1"))
	require.Equal(t, &action.Failure{Code: action.ConfigurationError, Message: "this runner cannot use connections"}, result.Failure)
}
