package server

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesOfCredentialsAreHiddenFromCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("secret"), 0o600))
		return path
	}
	environment := map[string]string{"HOME": dir, "PGSERVICEFILE": filepath.Join(dir, "missing"), "AWS_CA_BUNDLE": file("ca")}
	for _, variable := range []string{
		"PGPASSFILE", "PGSSLKEY", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	} {
		environment[variable] = file(variable)
	}
	want := []string{file("my key"), file("my passwords"), file(".pgpass")}
	query := url.Values{"sslkey": {want[0]}, "passfile": {want[1]}, "sslrootcert": {environment["AWS_CA_BUNDLE"]}, "application_name": {dir}}
	for variable, path := range environment {
		if filepath.Base(path) == variable {
			want = append(want, path)
		}
	}
	got := credentialFiles("postgres://ann@db/headrace?"+query.Encode(), func(name string) string { return environment[name] })
	require.ElementsMatch(t, want, got)
	require.Empty(t, credentialFiles("", func(string) string { return "" }))
}
