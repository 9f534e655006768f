package sealer_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

func openStore(t *testing.T) store.Store {
	t.Helper()
	opened, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened
}

// installation is what a data directory and a storage hold.
type installation struct {
	dir, key string
	store    store.Store
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	i := &installation{dir: t.TempDir(), key: filepath.Join(t.TempDir(), "storage.key"), store: openStore(t)}
	require.NoError(t, seal.NewKeyFile(i.key))
	return i
}

func (i *installation) file() string { return filepath.Join(i.dir, "secrets.key") }

// embedded is a server on SQLite without storage-key.
func (i *installation) embedded() *sealer.Sealer {
	return sealer.New(sealer.Config{KeyFile: i.file(), CreateKeyFile: true, Store: i.store})
}

func (i *installation) ring(t *testing.T) *seal.Ring {
	t.Helper()
	objects, err := blob.Open(t.Context(), blob.DirectoryURL(i.dir), seal.Part)
	require.NoError(t, err)
	wrap, err := seal.OpenKey(t.Context(), blob.DirectoryURL(i.key))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(objects.Close(), wrap.Close())) })
	return seal.NewRing(objects, wrap)
}

// encrypted is a server with storage-key, on any store.
func (i *installation) encrypted(t *testing.T) *sealer.Sealer {
	t.Helper()
	keys, err := i.ring(t).Open(t.Context())
	require.NoError(t, err)
	return sealer.New(sealer.Config{Ring: keys, KeyFile: i.file(), Store: i.store})
}

const name = "accounts/dev/secrets/token"

func sealed(t *testing.T, s *sealer.Sealer, text string) []byte {
	t.Helper()
	value, err := s.Seal(t.Context(), []byte(text), name)
	require.NoError(t, err)
	require.NotContains(t, string(value), text)
	return value
}

func requireOpens(t *testing.T, s *sealer.Sealer, value []byte, text string) {
	t.Helper()
	plain, err := s.Open(t.Context(), value, name)
	require.NoError(t, err)
	require.Equal(t, text, string(plain))
}

func TestSealing(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	long := strings.Repeat("0123456789abcdef", 8<<10)
	for what, server := range map[string]func() *sealer.Sealer{
		"key file":    i.embedded,
		"storage-key": func() *sealer.Sealer { return i.encrypted(t) },
	} {
		s := server()
		for _, text := range []string{"hunter22", long} {
			value := sealed(t, s, text)
			requireOpens(t, s, value, text)
			requireOpens(t, server(), value, text)
			require.NotEqual(t, value, sealed(t, s, text), "%s: equal values show", what)

			for changed, test := range map[string]struct {
				binding string
				value   []byte
			}{
				"another object": {"accounts/dev/secrets/other", value},
				"a bit":          {name, append(bytes.Clone(value[:len(value)-1]), value[len(value)-1]^1)},
				"its end":        {name, value[:len(value)-1]},
				"plain text":     {name, []byte("\x01hunter22")},
				"nothing":        {name, nil},
			} {
				_, err := s.Open(t.Context(), test.value, test.binding)
				require.ErrorIs(t, err, blob.ErrDamaged, "%s, %s", what, changed)
				require.NotContains(t, err.Error(), "hunter22")
			}
		}
	}
}

func TestKeyFileIsMadeWithTheFirstValue(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.embedded()
	_, err := os.Stat(i.file())
	require.ErrorIs(t, err, fs.ErrNotExist)
	var group sync.WaitGroup
	values, errs := make([][]byte, 8), make([]error, 8)
	for n := range values {
		group.Go(func() { values[n], errs[n] = s.Seal(t.Context(), []byte("hunter22"), name) })
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	info, err := os.Stat(i.file())
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	for _, value := range values {
		requireOpens(t, i.embedded(), value, "hunter22")
	}
}

// What a new key file would seal is lost when the old one is put back.
func TestLostKeyFileIsNotReplaced(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	value := sealed(t, i.embedded(), "hunter22")
	require.NoError(t, os.Rename(i.file(), i.file()+".away"))
	_, err := i.embedded().Seal(t.Context(), []byte("hunter22"), name)
	require.ErrorIs(t, err, sealer.ErrNoKey)
	require.ErrorContains(t, err, "put it back from the backup")
	_, err = i.embedded().Open(t.Context(), value, name)
	require.ErrorIs(t, err, sealer.ErrNoKey)

	require.NoError(t, seal.NewKeyFile(i.file()))
	_, err = i.embedded().Seal(t.Context(), []byte("hunter22"), name)
	require.ErrorContains(t, err, "not the one that values of this database are sealed with")
	_, err = i.embedded().Open(t.Context(), value, name)
	require.ErrorContains(t, err, "another key file")

	require.NoError(t, os.Rename(i.file()+".away", i.file()))
	requireOpens(t, i.embedded(), value, "hunter22")
	require.NoError(t, os.Chmod(i.file(), 0o644))
	_, err = i.embedded().Open(t.Context(), value, name)
	require.ErrorContains(t, err, "chmod 600")
}

func TestServersOnPostgresNeedTheStorageKey(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	value := sealed(t, i.embedded(), "hunter22")
	s := sealer.New(sealer.Config{KeyFile: i.file(), Store: i.store})
	_, err := s.Seal(t.Context(), []byte("hunter22"), name)
	require.ErrorIs(t, err, sealer.ErrNoKey)
	require.ErrorContains(t, err, "--storage-key")
	requireOpens(t, s, value, "hunter22")
	_, err = s.Open(t.Context(), sealed(t, i.encrypted(t), "hunter22"), name)
	require.ErrorContains(t, err, "set it to the key of the storage")
}

// The commands that rotate the storage key hold for values: old ones stay readable, and
// new ones use the new data key once a server has started with it.
func TestStorageKeyIsRotated(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	byFile := sealed(t, i.embedded(), "hunter22")
	running := i.encrypted(t)
	before := sealed(t, running, "hunter22")
	require.NoError(t, i.ring(t).Rotate(t.Context()))
	after := sealed(t, i.encrypted(t), "hunter22")
	require.NotEqual(t, before[:20], after[:20], "the same data key")

	other := filepath.Join(t.TempDir(), "other.key")
	require.NoError(t, seal.NewKeyFile(other))
	wrap, err := seal.OpenKey(t.Context(), blob.DirectoryURL(other))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, wrap.Close()) })
	requireOpens(t, running, after, "hunter22")
	require.NoError(t, i.ring(t).Rewrap(t.Context(), wrap))
	i.key = other
	for _, value := range [][]byte{byFile, before, after} {
		requireOpens(t, i.encrypted(t), value, "hunter22")
	}
}
