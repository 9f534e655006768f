package seal_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
)

func generations(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, seal.Part))
	require.NoError(t, err)
	for _, entry := range entries {
		if !entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

// Whoever has the old key, and all of the bucket, has nothing.
func TestRewrapLeavesNothingForTheOldKey(t *testing.T) {
	t.Parallel()
	dir, key, other := t.TempDir(), keyURL(t), keyURL(t)
	open(t, dir, key)
	require.NoError(t, ring(t, dir, key).Rotate(t.Context()))
	require.Equal(t, []string{"0000000002"}, generations(t, dir), "what was before goes with a rotation too")
	wrap, err := seal.OpenKey(t.Context(), other)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, wrap.Close()) })
	require.NoError(t, ring(t, dir, key).Rewrap(t.Context(), wrap))
	for _, name := range generations(t, dir) {
		alone := t.TempDir()
		wrapped, err := os.ReadFile(filepath.Join(dir, seal.Part, name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(alone, seal.Part), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(alone, seal.Part, name), wrapped, 0o600))
		_, err = ring(t, alone, key).Open(t.Context())
		require.ErrorContains(t, err, "another key", name)
	}
	open(t, dir, other)
}

// onlyWraps is a key of a service that lets us encrypt and not decrypt. It is a fake,
// since a key that is at hand here can do both.
type onlyWraps struct{}

var errDenied = errors.New("decrypt is denied")

func (onlyWraps) Encrypt(_ context.Context, plain []byte) ([]byte, error) { return plain, nil }
func (onlyWraps) Decrypt(context.Context, []byte) ([]byte, error)         { return nil, errDenied }
func (onlyWraps) Close() error                                            { return nil }
func (onlyWraps) ErrorAs(error, any) bool                                 { return false }
func (onlyWraps) ErrorCode(error) gcerrors.ErrorCode                      { return gcerrors.PermissionDenied }

// The data keys of before stay until those in their place were read: else everything
// that is encrypted would be lost with a key that can wrap alone.
func TestRewrapByAKeyThatCannotUnwrap(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), keyURL(t)
	object := sealed(t, open(t, dir, key), "a", "text")
	wrap := secrets.NewKeeper(onlyWraps{})
	t.Cleanup(func() { require.NoError(t, wrap.Close()) })
	err := ring(t, dir, key).Rewrap(t.Context(), wrap)
	require.ErrorContains(t, err, errDenied.Error())
	require.ErrorContains(t, err, "remove keys/0000000002")

	require.NoError(t, os.Remove(filepath.Join(dir, seal.Part, "0000000002")))
	got, err := unseal(t.Context(), open(t, dir, key), "a", bytes.NewReader(object))
	require.NoError(t, err)
	require.Equal(t, "text", got)
}
