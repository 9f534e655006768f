package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
)

var errNo = errors.New("no")

func text(text string) func(string) error {
	return func(temporary string) error { return os.WriteFile(temporary, []byte(text), 0o600) }
}

// holds checks that the directory has the file alone, and what is in it.
func holds(t *testing.T, path, text string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, text, string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.ErrorIs(t, durable.Create(path, func(string) error { return errNo }), errNo)
	require.NoFileExists(t, path)
	require.NoError(t, durable.Create(path, text("one")))
	holds(t, path, "one")
	require.ErrorIs(t, durable.Create(path, func(string) error { t.Error("work for nothing"); return nil }), fs.ErrExist)
	holds(t, path, "one")
}

func TestCreateTakesNoNameThatSomebodyMadeMeanwhile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	err := durable.Create(path, func(temporary string) error {
		return errors.Join(text("mine")(temporary), os.WriteFile(path, []byte("theirs"), 0o600))
	})
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, path)
	holds(t, path, "theirs")
}

func TestReplace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, durable.Replace(path, text("one")))
	require.ErrorIs(t, durable.Replace(path, func(string) error { return errNo }), errNo)
	holds(t, path, "one")
	require.NoError(t, durable.Replace(path, text("two")))
	holds(t, path, "two")
}
