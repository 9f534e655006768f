package gitwatch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSilence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "objects", "pack")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	ticks := make(chan time.Time)
	w := start(t.Context(), time.Minute, dir, ticks)
	messages := w.Messages(io.Discard)
	wait := func(checks int) {
		for range checks {
			ticks <- time.Time{}
		}
	}
	// Each kind of progress comes just before it would have been too late.
	for _, progress := range []func() error{
		func() error {
			_, err := io.WriteString(messages, "remote: Counting objects:   1% (1/100)\r")
			return err
		},
		func() error { return os.WriteFile(file, []byte("PACK"), 0o600) },
		func() error { return os.WriteFile(file, []byte("PACK and more"), 0o600) },
		func() error { return os.Remove(file) },
	} {
		wait(checks - 1)
		require.NoError(t, w.Context().Err())
		require.NoError(t, progress())
	}
	for w.Context().Err() == nil {
		select {
		case ticks <- time.Time{}:
		case <-w.Context().Done():
		}
	}
	err := w.Stop(w.Context().Err())
	require.ErrorIs(t, err, ErrSilent)
	require.EqualError(t, err, "git made no progress for 1m0s: the server sent nothing")
}

// A command that ended by itself is not blamed for silence.
func TestStop(t *testing.T) {
	t.Parallel()
	own := errors.New("exit status 128")
	w := Start(t.Context(), Silence, t.TempDir())
	require.Equal(t, own, w.Stop(own))
	require.ErrorIs(t, w.Context().Err(), context.Canceled)
	require.NoError(t, Start(t.Context(), Silence, t.TempDir()).Stop(nil))

	ctx, cancel := context.WithCancel(t.Context())
	w = Start(ctx, Silence, t.TempDir())
	cancel()
	require.ErrorIs(t, w.Context().Err(), context.Canceled)
	require.Equal(t, context.Canceled, w.Stop(context.Canceled))
}

func TestMessages(t *testing.T) {
	t.Parallel()
	const said = "remote: Enumerating objects: 5, done.\n" +
		"remote: Counting objects:  50% (1/2)        \rremote: Counting objects: 100% (2/2), done.        \n" +
		"remote: Finding sources: 100% (11/11)\n" +
		"remote: Total 5 (delta 1), reused 0 (delta 0), pack-reused 0\n" +
		"remote: Branch protection: 3 rules\n" +
		"Receiving objects:  10% (1/10), 1.00 MiB | 2.00 MiB/s\rfatal: early EOF\n" +
		"Receiving objects: 100% (10/10), 1.00 MiB | 2.00 MiB/s, done.\nUnpacking objects: 100% (3/3), 250 bytes | 1.00 KiB/s, done.\n" +
		"From https://example.com/acme/web\n" +
		" * branch            main       -> FETCH_HEAD\n * [new branch]      x -> origin/x\n   1a2b3c..4d5e6f  main -> origin/main\n + 1a2b3c...4d5e6f x -> origin/x  (forced update)\n" +
		" ! [rejected]        x -> origin/x  (non-fast-forward)\n" +
		"Submodule 'lib' (https://example.com/lib) registered for path 'lib'\nCloning into '/src/lib'...\nSubmodule path 'lib': checked out 'abc'\n" +
		"Permission denied (publickey).\r\n" +
		"error: 401\nUnable: 100\nfatal: the end"
	const want = "remote: Branch protection: 3 rules\nfatal: early EOF\n ! [rejected]        x -> origin/x  (non-fast-forward)\n" +
		"Permission denied (publickey).\r\nerror: 401\nUnable: 100\nfatal: the end"
	for _, size := range []int{1, 7, len(said)} {
		w := Start(t.Context(), Silence, t.TempDir())
		var got bytes.Buffer
		messages := w.Messages(&got)
		for rest := said; rest != ""; {
			n := min(size, len(rest))
			_, err := io.WriteString(messages, rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.NoError(t, messages.Close())
		require.Equal(t, want, got.String())
		require.NoError(t, w.Stop(nil))
	}
}
