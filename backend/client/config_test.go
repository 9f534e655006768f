package client_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
)

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(tokenFile, []byte("from-file\n"), 0o600))
	emptyFile := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(emptyFile, []byte("\n"), 0o600))

	tests := map[string]struct {
		env      map[string]string
		explicit client.Config
		want     client.Config
		wantErr  string
	}{
		"defaults": {
			want: client.Config{Endpoint: "127.0.0.1:7480", Account: "default"},
		},
		"environment fills what is left out": {
			env: map[string]string{
				"HEADRACE_ENDPOINT": "ci.example.com:7480", "HEADRACE_ACCOUNT": "dev", "HEADRACE_TOKEN": "secret",
				"HEADRACE_CA_CERT_FILE": "ca.pem", "HEADRACE_CLIENT_CERT_FILE": "c.pem", "HEADRACE_CLIENT_KEY_FILE": "k.pem",
			},
			explicit: client.Config{Account: "prod"},
			want: client.Config{
				Endpoint: "ci.example.com:7480", Account: "prod", Token: "secret",
				CACertFile: "ca.pem", ClientCertFile: "c.pem", ClientKeyFile: "k.pem",
			},
		},
		"insecure from the environment": {
			env:  map[string]string{"HEADRACE_INSECURE": "true"},
			want: client.Config{Endpoint: "127.0.0.1:7480", Account: "default", Insecure: true},
		},
		"insecure must be a boolean": {
			env:     map[string]string{"HEADRACE_INSECURE": "yes please"},
			wantErr: `HEADRACE_INSECURE is "yes please": use true or false`,
		},
		"token file": {
			env:  map[string]string{"HEADRACE_TOKEN_FILE": tokenFile},
			want: client.Config{Endpoint: "127.0.0.1:7480", Account: "default", Token: "from-file", TokenFile: tokenFile},
		},
		"an explicit token file wins over the environment's token": {
			env:      map[string]string{"HEADRACE_TOKEN": "other"},
			explicit: client.Config{TokenFile: tokenFile},
			want:     client.Config{Endpoint: "127.0.0.1:7480", Account: "default", Token: "from-file", TokenFile: tokenFile},
		},
		"an explicit token is not replaced by a token file": {
			env:      map[string]string{"HEADRACE_TOKEN_FILE": filepath.Join(t.TempDir(), "absent")},
			explicit: client.Config{Token: "mine"},
			want:     client.Config{Endpoint: "127.0.0.1:7480", Account: "default", Token: "mine"},
		},
		"two tokens may be two people": {
			env:     map[string]string{"HEADRACE_TOKEN": "sesame", "HEADRACE_TOKEN_FILE": tokenFile},
			wantErr: "both HEADRACE_TOKEN and HEADRACE_TOKEN_FILE are set, and may stand for different people; unset one",
		},
		"an explicit token file decides between two tokens": {
			env:      map[string]string{"HEADRACE_TOKEN": "other", "HEADRACE_TOKEN_FILE": "absent"},
			explicit: client.Config{TokenFile: tokenFile},
			want:     client.Config{Endpoint: "127.0.0.1:7480", Account: "default", Token: "from-file", TokenFile: tokenFile},
		},
		"an explicit token decides between two tokens": {
			env:      map[string]string{"HEADRACE_TOKEN": "other", "HEADRACE_TOKEN_FILE": tokenFile},
			explicit: client.Config{Token: "mine"},
			want:     client.Config{Endpoint: "127.0.0.1:7480", Account: "default", Token: "mine"},
		},
		"missing token file": {
			explicit: client.Config{TokenFile: filepath.Join(t.TempDir(), "absent")},
			wantErr:  "read the token: open ",
		},
		"empty token file": {
			explicit: client.Config{TokenFile: emptyFile},
			wantErr:  "is empty",
		},
		"a token with a line break inside is not shown": {
			explicit: client.Config{Token: "abc\ndef"},
			wantErr:  "the token has characters that no token has",
		},
		"certificate without key": {
			explicit: client.Config{ClientCertFile: "c.pem"},
			wantErr:  "client_cert_file and client_key_file belong together",
		},
		"insecure with certificates": {
			explicit: client.Config{CACertFile: "ca.pem", Insecure: true},
			wantErr:  "insecure means plaintext",
		},
		"a URL is no endpoint": {
			explicit: client.Config{Endpoint: "https://ci.example.com"},
			wantErr:  "is a URL: use host:port alone",
		},
		"an endpoint needs a port": {
			explicit: client.Config{Endpoint: "ci.example.com"},
			wantErr:  "is not host:port",
		},
		"an endpoint needs a host": {
			explicit: client.Config{Endpoint: ":7480"},
			wantErr:  "names no host",
		},
		"an endpoint needs a port number": {
			explicit: client.Config{Endpoint: "localhost:99999"},
			wantErr:  "has no valid port",
		},
		"a socket needs a path": {
			explicit: client.Config{Endpoint: "unix:"},
			wantErr:  "names no socket",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client.FromEnvironment(func(key string) string { return test.env[key] }, test.explicit)
			if test.wantErr != "" {
				require.ErrorContains(t, err, test.wantErr)
				require.NotContains(t, err.Error(), "abc\ndef")
				require.NotContains(t, err.Error(), "sesame")
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestSegment(t *testing.T) {
	t.Parallel()
	name := client.ExecutionName("dev", "web", "42")
	require.Equal(t, "accounts/dev/pipelines/web/executions/42", name)
	require.Equal(t, "web", client.Segment(name, "pipelines"))
	require.Equal(t, "42", client.Segment(name, "executions"))
	require.Empty(t, client.Segment(name, "stages"))
	require.Empty(t, client.Segment("accounts/pipelines/pipelines/web", "web"), "an id is not a collection")
}
