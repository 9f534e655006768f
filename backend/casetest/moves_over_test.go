package casetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

// TestPipelineMovesOver runs the stages of an aws_codepipeline, whose source is a
// CodeStarSourceConnection, through a connection to a private repository, with real Terraform,
// programs and git over HTTP. Neither the password of the connection nor the OAuthToken of the
// older source is in anything that the server keeps or says.
func TestPipelineMovesOver(t *testing.T) {
	t.Parallel()
	const password, oauthToken = "sentinel-password-77c1", "sentinel-oauth-90ab"
	programs := build(t)
	host := gittest.NewHost(t)
	forge := host.HTTP()
	forge.Allow("x-access-token", password)
	host.Repository("acme/web").Make(gittest.Commit{Branch: "main", Message: "First", Files: map[string]string{"README": "web\n"}})
	work, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(work, os.DirFS(filepath.Join("testdata", "moves-over"))))
	server := startServer(t, programs, data, nil)
	command := script(t, programs, work, server.endpoint, server.token(t), "run.sh")
	command.Env = append(command.Env, "TF_VAR_endpoint="+forge.Base(), "TF_VAR_password="+password, "OAUTH_TOKEN="+oauthToken)
	processes := watchProcesses(observed{credentials: []string{password}})
	output, err := command.CombinedOutput()
	require.Empty(t, processes.stop().found, "arguments of processes")
	require.NoError(t, err, "%s", output)
	server.stop(t)

	require.NotContains(t, read(t, filepath.Join(work, "build.log")), "credential")
	for _, directory := range []string{work, filepath.Dir(server.log), data} {
		require.NoError(t, filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			requireWithout(t, path, read(t, path), password)
			// Terraform keeps the configuration in its state, as the warning says.
			if !strings.HasPrefix(filepath.Base(path), "terraform.tfstate") {
				requireWithout(t, path, read(t, path), oauthToken)
			}
			return nil
		}))
	}
	requireWithout(t, "the output of the script", string(output), password)
}

// TestPushStartsMovedPipeline pushes to the repository of an aws_codepipeline with a trigger block,
// which no webhook can reach: polling finds the pushes, and the filters decide on them.
func TestPushStartsMovedPipeline(t *testing.T) {
	t.Parallel()
	const password = "sentinel-password-77c2"
	programs := build(t)
	host := gittest.NewHost(t)
	forge := host.HTTP()
	forge.Allow("x-access-token", password)
	repository := host.Repository("acme/web")
	repository.Make(gittest.Commit{Branch: "main", Message: "First", Files: map[string]string{"src/main": "first\n"}})
	work := t.TempDir()
	require.NoError(t, os.CopyFS(work, os.DirFS(filepath.Join("testdata", "moves-over-trigger"))))
	server := startServer(t, programs, filepath.Join(t.TempDir(), "data"), nil, "--poll-interval", "1s")
	command := script(t, programs, work, server.endpoint, server.token(t), "run.sh")
	command.Env = append(command.Env, "TF_VAR_endpoint="+forge.Base(), "TF_VAR_password="+password, "REPOSITORY="+repository.Dir)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	server.stop(t)
}
