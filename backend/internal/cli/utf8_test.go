package cli_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// TestBytesThatAreNotUTF8 names the flag or argument that holds them. Terminals and files
// in Latin-1 send them.
func TestBytesThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"variable":  {[]string{"run", "web", "--var", "Good=é", "--var", "Name=caf\xe9"}, `--var is "Name=caf\xe9", which is not valid UTF-8 (byte 9 is 0xe9)`},
		"comment":   {[]string{"approve", "web", "--comment", "\xfcber"}, `--comment is "\xfcber"`},
		"reason":    {[]string{"execution", "override", "web", "--stage", "A", "--condition", "before-entry", "--reason", "\xe9"}, `--reason is "\xe9"`},
		"pipeline":  {[]string{"run", "w\xe9b"}, `argument 1 is "w\xe9b"`},
		"request":   {[]string{"api", "GetPipeline", "{\"name\": \"\xe9\"}"}, `argument 2 is`},
		"account":   {[]string{"run", "web", "--account", "d\xe9"}, `--account is "d\xe9"`},
		"requestid": {[]string{"run", "web", "--request-id", "a\xff"}, `--request-id is "a\xff"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := f.run(t, test.args...)
			require.Equal(t, cli.ExitUsage, got.code, got.stderr)
			require.Contains(t, got.stderr, test.want)
			require.Contains(t, got.stderr, "iconv")
		})
	}
	var stderr bytes.Buffer
	require.Equal(t, cli.ExitUsage, cli.Run(t.Context(), cli.Process{
		Args: []string{"pipeline", "list"}, Stdout: io.Discard, Stderr: &stderr,
		Getenv: func(name string) string { return map[string]string{"HEADRACE_ACCOUNT": "d\xe9"}[name] },
	}))
	require.Contains(t, stderr.String(), `account "d\xe9" has`)
	require.Contains(t, stderr.String(), "it comes from --account or HEADRACE_ACCOUNT")
	// Files are named by bytes.
	got := f.run(t, "api", "GetPipeline", "--file", t.TempDir()+"/\xe9")
	require.NotContains(t, got.stderr, "UTF-8")
}
