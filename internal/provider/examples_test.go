package provider_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const examples = "../../examples"

func TestMain(m *testing.M) {
	acctest.Main(m)
}

// TestExamples plans every example with real Terraform and the provider as a
// program of its own; those that are whole are applied too, and planned once more
// to see that nothing is left to do.
func TestExamples(t *testing.T) {
	t.Parallel()
	configuration := providerProgram(t)
	// Data sources read what somebody else made.
	others := filepath.Join(examples, "resources", "headrace_pipeline")
	variables := map[string]map[string]string{
		"resources/headrace_connection": {
			"github_app_key": privateKey(t), "gitlab_token": "hunter22", "deploy_key": privateKey(t),
		},
		"resources/headrace_webhook":     {"gitlab_token": "hunter22", "webhook_secret": "hunter22-of-the-webhook"},
		"resources/headrace_trigger":     {"gitlab_token": "hunter22", "webhook_secret": "hunter22-of-the-webhook"},
		"resources/headrace_secret":      {"registry_token": "hunter22"},
		"types/action_thirdparty_github": {"github_token": "ghp_0000000000000000000000000000example"},
		"guides/triggers":                {"gitea_token": "hunter22", "webhook_secret": "hunter22-of-the-webhook"},
		"guides/triggers_generic":        {"deploy_secret": "hunter22-of-the-webhook"},
		"guides/triggers_moved":          {"github_token": "ghp_0000000000000000000000000000example"},
		"guides/triggers_moved_webhook":  {"github_token": "ghp_0000000000000000000000000000example", "webhook_secret": "hunter22-of-the-webhook"},
		"guides/triggers_secret":         {"registry_token": "hunter22"},
		"quickstart":                     {"repository_url": "https://example.com/tally.git", "deploy_dir": "/srv/tally", "go_cache": "/var/cache/go"},
	}
	directories := exampleDirectories(t)
	require.GreaterOrEqual(t, len(directories), 12)
	for _, directory := range directories {
		name, err := filepath.Rel(examples, directory)
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t)
			run := terraform{configuration: configuration, backend: backend, variables: variables[name]}
			if strings.HasPrefix(name, "data-sources/") {
				run.in(t, others).do(t, "apply", "-auto-approve")
			}
			here := run.in(t, directory)
			here.do(t, "plan")
			if name != "quickstart" && name != "provider" {
				here.do(t, "apply", "-auto-approve")
				here.do(t, "plan", "-detailed-exitcode")
				here.do(t, "destroy", "-auto-approve")
			}
		})
	}
}

// privateKey returns a new key in PEM, which GitHub and SSH both take.
func privateKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// terraform runs Terraform on a copy of an example.
type terraform struct {
	configuration string
	backend       *acctest.Backend
	variables     map[string]string
	directory     string
}

// in returns the same for a copy of the directory.
func (tf terraform) in(t *testing.T, directory string) terraform {
	t.Helper()
	tf.directory = t.TempDir()
	sources, err := filepath.Glob(filepath.Join(directory, "*.tf"))
	require.NoError(t, err)
	for _, source := range sources {
		text, err := os.ReadFile(source)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(tf.directory, filepath.Base(source)), text, 0o600))
	}
	return tf
}

// do runs a command, which must succeed and, where asked for, find nothing to do. It
// returns what the command prints.
func (tf terraform) do(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := tf.run(t, arguments)
	require.NoErrorf(t, err, "%s:\n%s", strings.Join(arguments, " "), output)
	return output
}

// fails runs a command that must fail and returns what it prints.
func (tf terraform) fails(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := tf.run(t, arguments)
	require.Errorf(t, err, "%s:\n%s", strings.Join(arguments, " "), output)
	return output
}

func (tf terraform) run(t *testing.T, arguments []string) (string, error) {
	t.Helper()
	program := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if program == "" {
		program = "terraform"
	}
	flags := []string{"-no-color"}
	if arguments[0] != "validate" {
		// Every other command may ask for variables.
		flags = append(flags, "-input=false")
	}
	command := exec.CommandContext(t.Context(), program, slices.Insert(arguments, 1, flags...)...)
	command.Dir = tf.directory
	command.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+tf.configuration,
		client.EnvEndpoint+"="+tf.backend.Endpoint, client.EnvToken+"="+tf.backend.AdminToken)
	for name, value := range tf.variables {
		command.Env = append(command.Env, "TF_VAR_"+name+"="+value)
	}
	output, err := command.CombinedOutput()
	return string(output), err
}

// providerProgram builds the provider and returns a configuration of Terraform
// that uses it, also for examples that do not say where it comes from.
func providerProgram(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(directory, "terraform-provider-headrace"), "../..")
	// As make build does, so that both share Go's cache whatever the tests are built with.
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	require.NoErrorf(t, err, "%s", output)
	return rc(t, directory)
}

// rc returns a configuration of Terraform that uses the provider in a directory.
func rc(t *testing.T, directory string) string {
	t.Helper()
	configuration := filepath.Join(t.TempDir(), "terraform.rc")
	text := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    %[1]q = %[3]q\n    %[2]q = %[3]q\n  }\n  direct {}\n}\n",
		"registry.terraform.io/headrace/headrace", "hashicorp/headrace", directory)
	require.NoError(t, os.WriteFile(configuration, []byte(text), 0o600))
	return configuration
}

// exampleDirectories returns the directories that hold a configuration.
func exampleDirectories(t *testing.T) []string {
	t.Helper()
	var directories []string
	err := filepath.WalkDir(examples, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		sources, err := filepath.Glob(filepath.Join(at, "*.tf"))
		if len(sources) > 0 {
			directories = append(directories, at)
		}
		return err
	})
	require.NoError(t, err)
	return directories
}
