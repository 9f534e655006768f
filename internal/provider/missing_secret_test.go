package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestMissingSecretWarns holds that a plan warns of a secret that does not exist, at the
// argument that names it, and not of one that the same run creates.
func TestMissingSecretWarns(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	tf := terraform{configuration: providerProgram(t), backend: backend, directory: t.TempDir()}
	with := func(name string, edit *strings.Replacer) {
		text, err := os.ReadFile(filepath.Join("secret", "testdata", "both", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(tf.directory, name), []byte(edit.Replace(string(text))), 0o600))
	}
	// The pipeline names the secret by a variable here, so that it can be planned without it.
	variable := "variable \"secret\" {\n  default = \"token\"\n}\n"
	require.NoError(t, os.WriteFile(filepath.Join(tf.directory, "variables.tf"), []byte(variable), 0o600))
	with("pipeline.tf", strings.NewReplacer("headrace_secret.token.name", "var.secret"))
	said := joined(tf.do(t, "plan"))
	require.Contains(t, said, `secret "token" does not exist in account "default", so the action will fail`)
	require.Contains(t, said, "value = var.secret")
	require.Contains(t, said, "Create it before the next execution.")
	with("secret.tf", strings.NewReplacer())
	for _, command := range [][]string{{"plan"}, {"apply", "-auto-approve"}, {"plan", "-detailed-exitcode"}} {
		require.NotContains(t, joined(tf.do(t, command...)), "does not exist", command[0])
	}
}
