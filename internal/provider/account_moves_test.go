package provider_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestRefreshMovesNoAccount refreshes a pipeline while the provider's account is another
// one, which must not let a later plan that does not refresh delete it. Each command is a
// run of Terraform of its own, as at a user's.
func TestRefreshMovesNoAccount(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	backend.Account("prod")
	moved := terraform{configuration: providerProgram(t), backend: backend}.in(t, filepath.Join("testdata", "moves"))
	inProd := moved
	inProd.variables = map[string]string{"account": "prod"}
	refused := func(message string, arguments ...string) {
		t.Helper()
		output := flat(moved.fails(t, arguments...))
		require.Contains(t, output, `accounts/prod/pipelines/web is in account "prod"`+message)
		require.Contains(t, output, `The provider's account is "default" now`)
		require.Contains(t, output, `To delete it, set the provider's account to "prod" again`)
		require.Contains(t, output, `or keep the resource in the configuration with account = "prod"`)
		_, err := backend.API.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: "accounts/prod/pipelines/web"})
		require.NoError(t, err, "the pipeline stays")
	}
	const tookIt, unrecorded = ", which it took from the provider.", ". Whether its configuration set account is not recorded"

	inProd.do(t, "apply", "-auto-approve")
	moved.do(t, "apply", "-refresh-only", "-auto-approve")
	refused(tookIt, "destroy", "-refresh=false", "-auto-approve")
	refused(tookIt, "plan", "-refresh=false", "-var", "keep=false", "-target", "headrace_pipeline.web")
	refused(tookIt, "apply", "-auto-approve", "-var", "keep=false")

	// The resource names the account, which changes nothing and is in no record. A destroy
	// follows, at once or from a plan file.
	moved.do(t, "plan", "-detailed-exitcode", "-var", "own=prod")
	moved.do(t, "apply", "-auto-approve", "-var", "own=prod")
	moved.do(t, "plan", "-destroy", "-out", "destroy.plan", "-var", "own=prod")
	refused(tookIt, "destroy", "-refresh=false", "-auto-approve", "-var", "own=prod")
	moved.do(t, "apply", "destroy.plan")

	inProd.do(t, "apply", "-auto-approve")
	moved = moved.in(t, filepath.Join("testdata", "moves"))
	inProd.directory = moved.directory
	imports := filepath.Join(moved.directory, "import.tf")
	require.NoError(t, os.WriteFile(imports, []byte("import {\n  to = headrace_pipeline.web[0]\n  id = \"web\"\n}\n"), 0o600))
	inProd.do(t, "apply", "-auto-approve", "-var", "own=prod")
	require.NoError(t, os.Remove(imports))
	moved.do(t, "apply", "-auto-approve", "-var", "own=prod")
	refused(unrecorded, "apply", "-auto-approve", "-var", "keep=false")
	moved.do(t, "destroy", "-auto-approve", "-var", "own=prod", "-target", "headrace_pipeline.web[0]")
}
