package seal_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
	"gocloud.dev/secrets"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
)

// keyURL makes a key file.
func keyURL(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "storage.key")
	require.NoError(t, seal.NewKeyFile(path))
	return blob.DirectoryURL(path)
}

func ring(t *testing.T, dir, key string) *seal.Ring {
	t.Helper()
	objects, err := blob.Open(t.Context(), blob.DirectoryURL(dir), seal.Part)
	require.NoError(t, err)
	wrap, err := seal.OpenKey(t.Context(), key)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(objects.Close(), wrap.Close())) })
	return seal.NewRing(objects, wrap)
}

func open(t *testing.T, dir, key string) *seal.Keys {
	t.Helper()
	keys, err := ring(t, dir, key).Open(t.Context())
	require.NoError(t, err)
	return keys
}

func sealed(t *testing.T, keys *seal.Keys, name, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := keys.Seal(name, &out)
	require.NoError(t, err)
	_, err = io.Copy(w, strings.NewReader(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func unseal(ctx context.Context, keys *seal.Keys, name string, from io.Reader) (string, error) {
	plain, err := keys.Unseal(ctx, name, from)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(plain)
	return string(text), err
}

// long is longer than several segments.
var long = strings.Repeat("0123456789abcdef", 20_000)

func TestSealing(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), keyURL(t)
	keys := open(t, dir, key)
	for _, text := range []string{"", "short", long} {
		object := sealed(t, keys, "logs/a", text)
		require.NotContains(t, string(object), "short")
		require.NotContains(t, string(object), "0123456789abcdef")
		// Also by who opens the keys later.
		got, err := unseal(t.Context(), open(t, dir, key), "logs/a", bytes.NewReader(object))
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
}

func TestWhatIsNotAsSealedIsDamaged(t *testing.T) {
	t.Parallel()
	keys := open(t, t.TempDir(), keyURL(t))
	object := sealed(t, keys, "logs/a", long)
	flipped := bytes.Clone(object)
	flipped[len(object)/2] ^= 1
	for what, test := range map[string]struct {
		name   string
		object []byte
	}{
		"another name":     {"logs/b", object},
		"half of it":       {"logs/a", object[:len(object)/2]},
		"whole segments":   {"logs/a", object[:19+2*64<<10]},
		"no last byte":     {"logs/a", object[:len(object)-1]},
		"a byte more":      {"logs/a", append(bytes.Clone(object), 0)},
		"a bit":            {"logs/a", flipped},
		"its header alone": {"logs/a", object[:21]},
		"no segment":       {"logs/a", object[:19+40]},
		"other keys":       {"logs/a", sealed(t, open(t, t.TempDir(), keyURL(t)), "logs/a", long)},
	} {
		_, err := unseal(t.Context(), keys, test.name, bytes.NewReader(test.object))
		require.ErrorIs(t, err, blob.ErrDamaged, what)
	}
	// A reader that fails is no damage.
	broken := errors.New("broken")
	_, err := unseal(t.Context(), keys, "logs/a", io.MultiReader(bytes.NewReader(object[:len(object)/2]), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, blob.ErrDamaged)
}

// What was stored before encryption was turned on is read as it is.
func TestPlainObjects(t *testing.T) {
	t.Parallel()
	keys := open(t, t.TempDir(), keyURL(t))
	for _, text := range []string{"", "a", "\x00", long, string(make([]byte, 1024))} {
		got, err := unseal(t.Context(), keys, "logs/a", strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
}

func TestServersThatStartAtOnceAgree(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), keyURL(t)
	all, failed := make([]*seal.Keys, 8), make([]error, 8)
	rings := make([]*seal.Ring, len(all))
	for i := range rings {
		rings[i] = ring(t, dir, key)
	}
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			all[i], failed[i] = rings[i].Open(t.Context())
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(failed...))
	for _, keys := range all {
		got, err := unseal(t.Context(), keys, "a", bytes.NewReader(sealed(t, all[0], "a", "text")))
		require.NoError(t, err)
		require.Equal(t, "text", got)
	}
}

// What is made in place of lost keys would seal what is lost when they are put back.
func TestLostKeysAreNotReplaced(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), keyURL(t)
	plain, err := blob.Open(t.Context(), blob.DirectoryURL(dir), "artifacts")
	require.NoError(t, err)
	for _, name := range []string{"a", "b/c"} {
		require.NoError(t, plain.Put(t.Context(), name, strings.NewReader(name)))
	}
	logs, err := blob.Open(t.Context(), blob.DirectoryURL(dir), "logs")
	require.NoError(t, err)
	keys, err := ring(t, dir, key).Open(t.Context(), plain, logs)
	require.NoError(t, err, "encryption is turned on where plain objects are")
	require.NoError(t, logs.Sealed(keys).Put(t.Context(), "d/e", strings.NewReader("text")))

	lost, back := filepath.Join(dir, seal.Part), filepath.Join(dir, "copy")
	require.NoError(t, os.Rename(lost, back))
	_, err = ring(t, dir, key).Open(t.Context(), plain, logs)
	require.ErrorContains(t, err, "d/e")
	require.ErrorContains(t, err, "put keys/ back")
	wrap, wrapErr := seal.OpenKey(t.Context(), key)
	require.NoError(t, wrapErr)
	defer func() { require.NoError(t, wrap.Close()) }()
	require.EqualError(t, ring(t, dir, key).Rotate(t.Context(), plain, logs), err.Error())
	require.EqualError(t, ring(t, dir, key).Rewrap(t.Context(), wrap, plain, logs), err.Error())
	require.ErrorContains(t, keys.Check(t.Context()), "this server still has them", "an empty directory")
	require.NoError(t, os.RemoveAll(lost))
	require.ErrorContains(t, keys.Check(t.Context()), "put keys/ back from the backup before it is stopped")
	require.NoError(t, os.Rename(back, lost))
	require.NoError(t, keys.Check(t.Context()))
	_, err = ring(t, dir, key).Open(t.Context(), plain, logs)
	require.NoError(t, err)

	require.NoError(t, os.RemoveAll(lost))
	require.NoError(t, logs.Delete(t.Context(), "d/e"))
	require.ErrorContains(t, ring(t, dir, key).Rotate(t.Context(), plain, logs), "nothing is encrypted: the first start of a server")
	_, err = ring(t, dir, key).Open(t.Context(), plain, logs)
	require.NoError(t, err, "nothing is encrypted any more")
}

func TestAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, keyURL(t))
	_, err := ring(t, dir, keyURL(t)).Open(t.Context())
	require.ErrorContains(t, err, "another key than they were wrapped with")
	require.ErrorContains(t, err, "keys/0000000001")
}

func TestRotate(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), keyURL(t)
	running := open(t, dir, key)
	old := sealed(t, running, "a", "old")
	require.NoError(t, ring(t, dir, key).Rotate(t.Context()))
	started := open(t, dir, key)
	newer := sealed(t, started, "a", "new")
	require.NotEqual(t, old[:19], newer[:19], "sealed by the same data key")
	for _, keys := range []*seal.Keys{running, started} {
		for text, object := range map[string][]byte{"old": old, "new": newer} {
			got, err := unseal(t.Context(), keys, "a", bytes.NewReader(object))
			require.NoError(t, err)
			require.Equal(t, text, got)
		}
	}
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	dir, key, other := t.TempDir(), keyURL(t), keyURL(t)
	running := open(t, dir, key)
	old := sealed(t, running, "a", "old")
	wrap, err := seal.OpenKey(t.Context(), other)
	require.NoError(t, err)
	defer func() { require.NoError(t, wrap.Close()) }()
	require.NoError(t, ring(t, dir, key).Rewrap(t.Context(), wrap))

	_, err = ring(t, dir, key).Open(t.Context())
	require.ErrorContains(t, err, "another key")
	started := open(t, dir, other)
	for _, object := range [][]byte{old, sealed(t, started, "a", "old")} {
		for _, keys := range []*seal.Keys{running, started} {
			got, err := unseal(t.Context(), keys, "a", bytes.NewReader(object))
			require.NoError(t, err)
			require.Equal(t, "old", got)
		}
	}
}

// Who may write to the bucket and kept older data keys does not get them used again.
func TestOlderKeysInTheirPlaceAreRefused(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), keyURL(t)
	first := open(t, dir, key)
	old := sealed(t, first, "a", "old")
	at := func(number string) string { return filepath.Join(dir, seal.Part, number) }
	kept, err := os.ReadFile(at("0000000001"))
	require.NoError(t, err)
	require.NoError(t, ring(t, dir, key).Rotate(t.Context()))
	running := open(t, dir, key)
	newer := sealed(t, running, "a", "new")

	require.NoError(t, os.WriteFile(at("0000000009"), kept, 0o400))
	_, err = ring(t, dir, key).Open(t.Context())
	require.ErrorContains(t, err, "keys/0000000009: it holds the data keys that were written as keys/0000000001")
	require.ErrorContains(t, ring(t, dir, key).Rotate(t.Context()), "keys/0000000009")
	require.FileExists(t, at("0000000002"), "the newest are still there")
	require.NoError(t, os.Remove(at("0000000009")))
	got, err := unseal(t.Context(), open(t, dir, key), "a", bytes.NewReader(newer))
	require.NoError(t, err)
	require.Equal(t, "new", got)

	// In their own place, with the newest gone: a server that runs does not take them.
	require.NoError(t, os.Rename(at("0000000002"), filepath.Join(dir, "copy")))
	require.NoError(t, os.WriteFile(at("0000000001"), kept, 0o400))
	other := sealed(t, open(t, t.TempDir(), keyURL(t)), "a", "other")
	_, err = unseal(t.Context(), running, "a", bytes.NewReader(other))
	require.ErrorContains(t, err, "put keys/0000000002 back")
	require.NotErrorIs(t, err, blob.ErrDamaged)
	require.Equal(t, newer[:19], sealed(t, running, "a", "new")[:19], "sealed by the same data key")
	for text, object := range map[string][]byte{"old": old, "new": newer} {
		got, err := unseal(t.Context(), running, "a", bytes.NewReader(object))
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
}

// unnumbered wraps as headraced did before data keys had their number in them.
type unnumbered struct{ *secrets.Keeper }

func (u unnumbered) EncryptWithContext(ctx context.Context, plain, _ []byte) ([]byte, error) {
	return u.Encrypt(ctx, plain)
}

func (u unnumbered) DecryptWithContext(ctx context.Context, wrapped, _ []byte) ([]byte, error) {
	return u.Decrypt(ctx, wrapped)
}

func TestKeysWithoutTheirNumberAreRefused(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), keyURL(t)
	wrap, err := seal.OpenKey(t.Context(), key)
	require.NoError(t, err)
	defer func() { require.NoError(t, wrap.Close()) }()
	handle, err := keyset.NewHandle(streamingaead.AES256GCMHKDF1MBKeyTemplate())
	require.NoError(t, err)
	var wrapped bytes.Buffer
	require.NoError(t, handle.WriteWithContext(t.Context(), keyset.NewBinaryWriter(&wrapped), unnumbered{wrap}, nil))
	r := ring(t, dir, key)
	require.NoError(t, os.WriteFile(filepath.Join(dir, seal.Part, "0000000001"), wrapped.Bytes(), 0o400))
	_, err = r.Open(t.Context())
	require.ErrorContains(t, err, "keys/0000000001: an unreleased headraced wrapped these data keys")
	require.ErrorContains(t, err, "begin with an empty storage")
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "storage.key")
	require.NoError(t, seal.NewKeyFile(path))
	require.ErrorIs(t, seal.NewKeyFile(path), os.ErrExist)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = seal.OpenKey(t.Context(), blob.DirectoryURL(path))
	require.ErrorContains(t, err, "chmod 600 "+path)

	odd := filepath.Join(t.TempDir(), "odd.key")
	require.NoError(t, os.WriteFile(odd, []byte("geheim"), 0o600))
	for _, url := range []string{blob.DirectoryURL(odd), "base64key://geheim", "geheim", "://geheim"} {
		_, err = seal.OpenKey(t.Context(), url)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "geheim")
	}
}
