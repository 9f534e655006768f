package runner_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// TestSecretsAreHidden holds that an attempt gets the secrets of its own account, and that
// nothing that it leaves behind shows them.
func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		values, err := workspace.Secrets(ctx, []string{"token"})
		if err != nil {
			return action.CredentialsFailure(err)
		}
		value := values["token"]
		_, _ = io.WriteString(workspace.Log, value[:10])
		_, _ = fmt.Fprintf(workspace.Log, "%s %s\n", value[10:], base64.StdEncoding.EncodeToString([]byte("user:"+value)))
		return action.Result{
			Summary: "used " + value, Variables: map[string]string{"TOKEN": value, "LENGTH": fmt.Sprint(len(value))},
			Revision:   &action.Revision{ID: value, Summary: value, URL: "https://" + value + "@example.com", Author: value},
			ExternalID: value, ExternalURL: "https://example.com/" + value,
		}
	}), func(c *runner.Config) {
		c.Secrets = func(_ context.Context, of action.Scope, names []string) (map[string]string, error) {
			return map[string]string{names[0]: "sentinel-of-" + of.Account}, nil
		}
	})
	result, log := bench.Run(t, runnertest.Attempt("action-1"))
	require.Equal(t, "**** dXNlcjp****\n", log, "the base64 of user: and of the bits that it shares a character with")
	require.Equal(t, action.Result{
		Summary: "used ****", Variables: map[string]string{"TOKEN": "****", "LENGTH": "19"},
		Revision:   &action.Revision{ID: "****", Summary: "****", URL: "https://****@example.com", Author: "****"},
		ExternalID: "****", ExternalURL: "https://example.com/****",
	}, result)
}

// TestRunnerWithoutSecrets holds that an action which wants secrets fails and says why.
func TestRunnerWithoutSecrets(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, executor(func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		if _, err := workspace.Secrets(ctx, nil); err != nil {
			return action.Failed(action.JobFailed, "none was asked for")
		}
		_, err := workspace.Secrets(ctx, []string{"token"})
		return action.CredentialsFailure(err)
	}), nil)
	result, _ := bench.Run(t, runnertest.Attempt("action-1"))
	require.Equal(t, &action.Failure{Code: action.ConfigurationError, Message: "this runner cannot use secrets"}, result.Failure)
}
