package casetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

// TestTriggersOfTerraform pushes to a private repository that a trigger of Terraform watches,
// with real Terraform, programs and git over HTTP.
func TestTriggersOfTerraform(t *testing.T) {
	t.Parallel()
	const password = "sentinel-password-31d4"
	programs := build(t)
	host := gittest.NewHost(t)
	forge := host.HTTP()
	forge.Allow("x-access-token", password)
	repository := host.Repository("acme/web")
	repository.Make(gittest.Commit{Branch: "main", Message: "First", Files: map[string]string{"README": "web\n"}})
	repository.SetDefault("main")
	work, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(work, os.DirFS(filepath.Join("testdata", "triggers"))))
	server := startServer(t, programs, data, nil)
	command := script(t, programs, work, server.endpoint, server.token(t), "run.sh")
	command.Env = append(command.Env, "TF_VAR_endpoint="+forge.Base(), "TF_VAR_password="+password, "REPOSITORY="+repository.Dir)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	server.stop(t)
	requireWithout(t, "the output of the script", string(output), password)
}
