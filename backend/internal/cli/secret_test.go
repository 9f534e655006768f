package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// withInput runs the command with a standard input; what is typed is set for a terminal.
func withInput(t *testing.T, b *backendtest.Backend, input string, typed func(context.Context) ([]byte, error), args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := process(b, b.AdminToken, &stdout, &stderr, args)
	p.Stdin, p.InTerminal, p.ReadHidden = strings.NewReader(input), typed != nil, typed
	code := cli.Run(t.Context(), p)
	require.NotContains(t, stdout.String()+stderr.String(), "hunter22")
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	set := withInput(t, b, "hunter22\n", nil, "secret", "set", "token", "--description", "Push to the registry")
	require.Equal(t, "secret token has version 1\n", set.stdout, set.stderr)
	typed := func(context.Context) ([]byte, error) { return []byte("hunter22 typed"), nil }
	set = withInput(t, b, "", typed, "secret", "set", "token")
	require.Equal(t, "secret token has version 2\n", set.stdout)
	require.Equal(t, "Value of secret token: \n", set.stderr)
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, []byte("hunter22\nof lines\n"), 0o600))
	require.Zero(t, withInput(t, b, "", nil, "secret", "set", "accounts/default/secrets/key", "--from-file", file).code)

	list := headrace(t, b, b.AdminToken, "secret", "list").stdout
	require.Regexp(t, `(?m)^token +2 +\S.* Push to the registry$`, list, "a new value leaves the description")
	require.Regexp(t, `(?m)^key +1 `, list)
	show := headrace(t, b, b.AdminToken, "secret", "show", "token", "--output", "json").stdout
	require.Contains(t, show, `"version":`)
	require.NotContains(t, show, `"value":`)
	require.Equal(t, "deleted secret token\n", headrace(t, b, b.AdminToken, "secret", "delete", "token").stdout)
	gone := headrace(t, b, b.AdminToken, "secret", "show", "token")
	require.Equal(t, cli.ExitFailed, gone.code)
	require.Contains(t, gone.stderr, `secret "token" does not exist`)
}

func TestSecretValuesThatAreRefusedHere(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	for says, input := range map[string]string{
		"standard input: the value is empty":           "\n",
		"standard input: the value has 65537 bytes":    "hunter22" + strings.Repeat("x", 65529) + "\n",
		"standard input: the value has a NUL byte":     "hunter22\x00",
		`secret "to ken" has`:                          "",
		"unknown flag: --value":                        "",
		`accepts 1 arg(s), received 2`:                 "",
		"open /no/such/file: no such file or director": "",
	} {
		args := []string{"secret", "set", "token"}
		switch {
		case strings.Contains(says, "to ken"):
			args[2] = "to ken"
		case strings.Contains(says, "--value"):
			args = append(args, "--value=x")
		case strings.Contains(says, "received 2"):
			args = append(args, "x")
		case strings.Contains(says, "/no/such/file"):
			args = append(args, "--from-file", "/no/such/file")
		}
		got := withInput(t, b, input, nil, args...)
		require.Equal(t, cli.ExitUsage, got.code, says)
		require.Contains(t, got.stderr, says)
	}
	interrupted := func(context.Context) ([]byte, error) { return nil, errors.New("interrupted") }
	require.Equal(t, cli.ExitFailed, withInput(t, b, "", interrupted, "secret", "set", "token").code)
}
