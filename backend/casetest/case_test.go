// Package casetest runs cases: what a user does with Terraform and the command line
// against a server, and what has to come of it. A case is a directory in testdata with
//
//   - main.tf, the configuration, whose variable work is the directory of the case,
//   - setup.sh, which makes what the configuration needs, such as a git repository,
//   - check.sh, which applies, runs and looks at what was said, with the functions of
//     testdata/lib.sh. It reports each fault with the function fault. The variable SILENT is
//     the address of a server that never answers.
//
// Each case runs in a copy of its directory, against a backend of its own, with the
// provider and headrace as real programs. To add one, add a directory.
package casetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/programtest"
)

// caseTimeout is how long a case may take before it fails.
const caseTimeout = 5 * time.Minute

const gitConfig = `[user]
	name = Me
	email = me@example.com
[init]
	defaultBranch = main
`

func TestCases(t *testing.T) {
	t.Parallel()
	programs := build(t)
	cases, err := filepath.Glob(filepath.Join("testdata", "*", "check.sh"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, check := range cases {
		directory := filepath.Dir(check)
		t.Run(filepath.Base(directory), func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			require.NoError(t, os.CopyFS(work, os.DirFS(directory)))
			// Commands of a case may look at what others of it left on this machine.
			backend := backendtest.Start(t, backendtest.WithConfig(func(c *config.Config) { c.Isolation = "none" }))
			command := script(t, programs, work, backend.Endpoint, backend.AdminToken, "check.sh")
			command.Env = append(command.Env, "SILENT="+silent(t))
			output, err := command.CombinedOutput()
			require.NoErrorf(t, err, "%s", output)
		})
	}
}

// silent returns the address of a server that never answers: the kernel accepts connections to
// it, and nobody else does.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

// script returns the setup of a case and another script of it, for a backend.
func script(t *testing.T, programs, work, endpoint, token, name string) *exec.Cmd {
	t.Helper()
	lib, err := filepath.Abs(filepath.Join("testdata", "lib.sh"))
	require.NoError(t, err)
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, "gitconfig"), []byte(gitConfig), 0o600))

	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, "bash", "-c", `. "$1"; . ./setup.sh; . "./$2"; [ "$faults" = 0 ]`, "bash", lib, name)
	command.Dir = work
	command.Env = []string{
		"PATH=" + programs + ":" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8",
		"GIT_CONFIG_GLOBAL=" + filepath.Join(home, "gitconfig"), "GIT_CONFIG_NOSYSTEM=1",
		"TF_CLI_CONFIG_FILE=" + filepath.Join(programs, "dev.tfrc"), "TF_VAR_work=" + work,
		"TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
		"HEADRACE_ENDPOINT=" + endpoint, "HEADRACE_TOKEN=" + token,
	}
	// A case that takes too long ends with all that it started.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	return command
}

// programs has the programs of this repository that all cases run.
var programs = programtest.Programs{Packages: []string{programtest.Provider, programtest.Headrace, programtest.Headraced}}

func TestMain(m *testing.M) { os.Exit(programs.Main(m.Run)) }

// build returns a directory with headrace, headraced, the provider, terraform and a configuration
// of Terraform that uses the provider.
func build(t *testing.T) string {
	t.Helper()
	built, directory := programs.Build(t), t.TempDir()
	for _, name := range []string{"headrace", "headraced", "terraform-provider-headrace"} {
		require.NoError(t, os.Symlink(filepath.Join(built, name), filepath.Join(directory, name)))
	}
	require.NoError(t, os.Symlink(terraform(t), filepath.Join(directory, "terraform")))
	require.NoError(t, os.WriteFile(filepath.Join(directory, "dev.tfrc"), []byte(fmt.Sprintf(
		"provider_installation {\n  dev_overrides {\n    %q = %q\n  }\n  direct {}\n}\n",
		"registry.terraform.io/headrace/headrace", directory)), 0o600))
	return directory
}

// terraform returns the path of Terraform or OpenTofu.
func terraform(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("TF_ACC_TERRAFORM_PATH"), "terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("the cases need Terraform or OpenTofu on PATH")
	return ""
}
