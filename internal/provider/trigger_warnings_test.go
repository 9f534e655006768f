package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestTriggersThatNeverMatch holds that a plan warns of a filter that cannot match, at the
// filter and once, also without a server.
func TestTriggersThatNeverMatch(t *testing.T) {
	t.Parallel()
	const warning = `Warning: The entry of push 1 never matches (trigger "web")`
	configuration := providerProgram(t)
	tf := guard(t, configuration, acctest.Start(t))
	text, err := os.ReadFile(filepath.Join("trigger", "testdata", "never.tf"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(tf.directory, "main.tf"), text, 0o600))
	for name, said := range map[string]string{
		"without a server": tf.offline().says("plan", "-refresh=false"),
		"plan":             tf.says("plan"), "apply": tf.applies(), "second plan": tf.says("plan", "-detailed-exitcode"),
	} {
		require.Equal(t, 1, strings.Count(said, warning), name)
		require.Contains(t, said, "a push of a tag changes no files", name)
		require.Contains(t, said, `includes = ["web/**"]`, "%s: the argument is underlined", name)
	}
}
