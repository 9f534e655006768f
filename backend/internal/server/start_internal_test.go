package server

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

// A first start that refused a setting left a database and an admin token behind.
func TestWrongWritableDirectoryIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "no such file or directory; create the directory or remove the setting",
		file:                          "not a directory",
	} {
		cfg := config.Default()
		cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = filepath.Join(dir, "data"), "127.0.0.1:0", "127.0.0.1:0"
		cfg.Isolation, cfg.Writable = "none", config.Directories{path}
		_, err := New(t.Context(), cfg, Options{Log: hclog.NewNullLogger()})
		require.ErrorContains(t, err, "cannot make "+path+" writable for commands: "+want)
		require.NoDirExists(t, cfg.DataDir)
	}
}

func TestStartThatFailsClosesWhatItsStepsOpened(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	const lock, store, listener, bucket, mirrors = 1, 1, 1, 1, 1
	for name, test := range map[string]struct {
		fail   func(cfg *config.Config)
		says   string
		opened int
	}{
		"in the middle of listening": {
			func(cfg *config.Config) { cfg.HTTPListen = taken.Addr().String() },
			"http-listen", lock + store + listener,
		},
		"at the storage": {
			func(cfg *config.Config) { cfg.StorageURL = blob.DirectoryURL(file) },
			"storage-url", lock + store + 2*listener,
		},
		"at the calls": {
			func(cfg *config.Config) { cfg.TLSCertFile, cfg.TLSKeyFile = file, file },
			"tls-cert-file", lock + store + 2*listener + bucket + mirrors,
		},
		"at the runner": {
			func(cfg *config.Config) {
				require.NoError(t, os.Mkdir(cfg.DataDir, 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(cfg.DataDir, "work"), nil, 0o600))
			},
			"work directory", lock + store + 2*listener + bucket + mirrors,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Default()
			cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
			cfg.Isolation = "none"
			test.fail(&cfg)
			start := newStart(cfg, Options{Log: hclog.NewNullLogger()})
			_, err := start.run(t.Context())
			require.ErrorContains(t, err, test.says)
			require.Len(t, start.opened.all, test.opened)

			var closed, want []int
			for i, closer := range start.opened.all {
				want = append([]int{i}, want...)
				start.opened.all[i] = func() error {
					closed = append(closed, i)
					return closer()
				}
			}
			require.NoError(t, start.opened.close())
			require.Equal(t, want, closed, "what was opened last is closed first")

			cfg.HTTPListen, cfg.StorageURL, cfg.TLSCertFile, cfg.RunnerSlots = "127.0.0.1:0", "", "", 0
			s, err := New(t.Context(), cfg, Options{Log: hclog.NewNullLogger()})
			require.NoError(t, err, "the data directory is free again")
			require.NoError(t, s.opened.close())
		})
	}
}
