package artifact_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

func open(tb testing.TB) (*artifact.Store, string) {
	tb.Helper()
	dir := tb.TempDir()
	return on(tb, blob.DirectoryURL(dir)), filepath.Join(dir, "artifacts")
}

// on opens the artifacts in the bucket of a URL.
func on(tb testing.TB, url string) *artifact.Store {
	tb.Helper()
	objects, err := blob.Open(tb.Context(), url, "artifacts")
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, objects.Close()) })
	return artifact.New(objects, tb.TempDir())
}

func write(tb testing.TB, dir, name, text string, mode fs.FileMode) {
	tb.Helper()
	path := filepath.Join(dir, name)
	require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(tb, os.Chmod(path, mode))
}

// list describes a tree: name, mode and content or target.
func list(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	require.NoError(tb, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(tb, err)
		name, err := filepath.Rel(dir, path)
		require.NoError(tb, err)
		info, err := entry.Info()
		require.NoError(tb, err)
		text := info.Mode().String()
		switch {
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			require.NoError(tb, err)
			text = "-> " + target
		case entry.Type().IsRegular():
			raw, err := os.ReadFile(path)
			require.NoError(tb, err)
			text += " " + string(raw)
		}
		if name != "." {
			all[name] = text
		}
		return nil
	}))
	return all
}

func TestStoreKeepsATree(t *testing.T) {
	t.Parallel()
	store, storeDir := open(t)
	dir := t.TempDir()
	write(t, dir, "bin/tool", "#!/bin/sh\n", 0o755)
	write(t, dir, "a/b/secret", "s", 0o400)
	write(t, dir, "a/\xff \n'ü", "odd name", 0o644)
	write(t, dir, "empty", "", 0o644)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "void"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(dir, "a/b"), 0o555))
	require.NoError(t, os.Symlink("../bin/tool", filepath.Join(dir, "a/link")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "outside")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "dir-outside")))

	stored, err := store.Store(t.Context(), "Built", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	require.Equal(t, "Built", stored.Name)
	info, err := os.Stat(filepath.Join(storeDir, stored.Digest[:2], stored.Digest[2:]))
	require.NoError(t, err)
	require.Equal(t, stored.Size, info.Size())

	into := t.TempDir()
	write(t, into, "other", "stays", 0o644)
	require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."))
	want := list(t, dir)
	want["other"] = "-rw-r--r-- stays"
	require.Equal(t, want, list(t, into))

	// Equal trees are one artifact, by whomever they were made.
	require.NoError(t, os.Remove(filepath.Join(into, "other")))
	again, err := store.Store(t.Context(), "Built", root(t, into), action.Files{Dir: "."})
	require.NoError(t, err)
	require.Equal(t, stored, again)

	stored.Digest = strings.Repeat("0", len(stored.Digest))
	require.ErrorContains(t, store.Fetch(t.Context(), stored.Artifact, root(t, t.TempDir()), "."), `fetch artifact "Built": the store holds no artifact sha256:`+stored.Digest)
}

// root opens a directory for the life of the test.
func root(tb testing.TB, dir string) *os.Root {
	tb.Helper()
	opened, err := os.OpenRoot(dir)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, opened.Close()) })
	return opened
}

// Commands may put anything instead of the directory that is stored.
func TestStoreTakesNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	server, dir := t.TempDir(), t.TempDir()
	write(t, server, "src/admin.token", "s3cret", 0o600)
	write(t, dir, "file", "", 0o600)
	for name, target := range map[string]string{"absolute": server, "relative": "../" + filepath.Base(server), "inside": "."} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
		for _, path := range []string{name, name + "/src"} {
			_, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: path})
			require.ErrorIs(t, err, action.ErrUnstorable, path)
			require.Error(t, store.Fetch(t.Context(), action.Artifact{}, root(t, dir), path))
		}
	}
	_, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "file"})
	require.ErrorIs(t, err, action.ErrUnstorable)
}

// Braces multiply: without a bound this would take hours.
func TestGlobOfTooManyAlternatives(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	dir := t.TempDir()
	write(t, dir, strings.Repeat("a", 40), "", 0o600)
	_, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: ".", Globs: []string{strings.Repeat("{,a}", 31) + "b"}})
	require.ErrorIs(t, err, action.ErrUnstorable)
	require.ErrorContains(t, err, "more than 64 patterns")
}

func TestStoreEndsWithItsContext(t *testing.T) {
	t.Parallel()
	store, storeDir := open(t)
	dir := t.TempDir()
	write(t, dir, "file", "", 0o600)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Store(ctx, "A", root(t, dir), action.Files{Dir: ".", Globs: []string{"*"}})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, list(t, filepath.Join(storeDir, "tmp")))
}

func TestGlobs(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	dir := t.TempDir()
	for _, name := range []string{"dist/app.js", "dist/css/a.css", "dist/css/deep/b.css", "src/main.go", "README.md", "pages/[slug].js", "pages/[id]/a.js", "pages/[id]/b.css"} {
		write(t, dir, name, name, 0o644)
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dist/void"), 0o755))
	for name, test := range map[string]struct{ globs, want []string }{
		"directory":               {[]string{"dist"}, []string{"dist", "dist/app.js", "dist/css", "dist/css/a.css", "dist/css/deep", "dist/css/deep/b.css", "dist/void"}},
		"with slashes":            {[]string{"./dist/css/"}, []string{"dist", "dist/css", "dist/css/a.css", "dist/css/deep", "dist/css/deep/b.css"}},
		"files of one":            {[]string{"dist/*.js"}, []string{"dist", "dist/app.js"}},
		"across":                  {[]string{"dist/**/*.css"}, []string{"dist", "dist/css", "dist/css/a.css", "dist/css/deep", "dist/css/deep/b.css"}},
		"several":                 {[]string{"*.md", "src/*"}, []string{"README.md", "src", "src/main.go"}},
		"brackets in a name":      {[]string{"pages/[slug].js"}, []string{"pages", "pages/[slug].js"}},
		"brackets in a directory": {[]string{"pages/[id]"}, []string{"pages", "pages/[id]", "pages/[id]/a.js", "pages/[id]/b.css"}},
		"brackets and wildcards":  {[]string{"pages/[id]/*.js"}, []string{"pages", "pages/[id]", "pages/[id]/a.js"}},
		"a class":                 {[]string{"[Rr]EADME.[m]d"}, []string{"README.md"}},
		"escaped brackets":        {[]string{`pages/\[slug\].*`}, []string{"pages", "pages/[slug].js"}},
		"braces":                  {[]string{"{src,dist}/*.{go,js}"}, []string{"dist", "dist/app.js", "src", "src/main.go"}},
		"everything":              {[]string{"**/*"}, []string{"README.md", "dist", "dist/app.js", "dist/css", "dist/css/a.css", "dist/css/deep", "dist/css/deep/b.css", "dist/void", "pages", "pages/[id]", "pages/[id]/a.js", "pages/[id]/b.css", "pages/[slug].js", "src", "src/main.go"}},
		"an empty one too":        {[]string{"dist/void"}, []string{"dist", "dist/void"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: ".", Globs: test.globs})
			require.NoError(t, err)
			into := t.TempDir()
			require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."))
			var names []string
			for name := range list(t, into) {
				names = append(names, name)
			}
			require.ElementsMatch(t, test.want, names)
		})
	}
	for glob, want := range map[string]string{
		"bin/**": `no file matches "bin/**"; the work directory holds "README.md", "dist", "pages", "src"`,
		"../x":   "leaves the work directory",
		"/etc/*": "not a glob relative",
		"[":      "not a valid pattern",
		"":       "not a glob relative",
	} {
		_, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: ".", Globs: []string{"dist", glob}})
		require.ErrorIs(t, err, action.ErrUnstorable)
		require.ErrorContains(t, err, want)
	}
	_, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "gone"})
	require.ErrorIs(t, err, action.ErrUnstorable)
}

func TestStoreRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	write(t, dir, "file", "x", 0o600)
	_, err = store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.ErrorIs(t, err, action.ErrUnstorable)
	require.ErrorContains(t, err, `"socket" is a socket`)
	_, err = store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: ".", Globs: []string{"file"}})
	require.NoError(t, err)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	_, err = store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: ".", Globs: []string{"p*"}})
	require.ErrorContains(t, err, `"pipe" is a named pipe`)
}

// Wherever a stored artifact is damaged, not one file of it is laid out.
func TestDamagedArtifactYieldsNothing(t *testing.T) {
	t.Parallel()
	store, storeDir := open(t)
	dir := t.TempDir()
	write(t, dir, "a", "first", 0o644)
	write(t, dir, "z", "last", 0o644)
	stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	path := filepath.Join(storeDir, stored.Digest[:2], stored.Digest[2:])
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, damage := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0), flip(good, 0), flip(good, len(good)/2), flip(good, len(good)-1)} {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.WriteFile(path, damage, 0o400))
		into := t.TempDir()
		require.ErrorContains(t, store.Fetch(t.Context(), stored.Artifact, root(t, into), "."), "is damaged")
		require.Empty(t, list(t, into))
	}
	// Storing the tree again heals it.
	_, err = store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	require.NoError(t, store.Fetch(t.Context(), stored.Artifact, root(t, t.TempDir()), "."))
}

func flip(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1
	return data
}

// A store that somebody else wrote to cannot make Fetch leave its directory.
func TestFetchNeverLeavesItsDirectory(t *testing.T) {
	t.Parallel()
	store, storeDir := open(t)
	outside := t.TempDir()
	file := func(name string) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	dir := func(name string) *tar.Header { return &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }
	link := func(name, target string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
	}
	for name, headers := range map[string][]*tar.Header{
		"parent":            {file("../x")},
		"parent inside":     {dir("a/"), file("a/../../x")},
		"absolute":          {file(filepath.Join(outside, "x"))},
		"through a symlink": {link("l", outside), file("l/x")},
		"a link inside too": {dir("d/"), link("l", "d"), file("l/x")},
		"dir over symlink":  {link("l", outside), dir("l/"), file("l/x")},
		"over a symlink":    {link("l", filepath.Join(outside, "x")), file("l")},
		"over a file":       {file("f"), file("f")},
		"a directory twice": {dir("d/"), dir("d/")},
		"hard link":         {{Typeflag: tar.TypeLink, Name: "h", Linkname: "/etc/passwd"}},
		"device":            {{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}},
		"named pipe":        {{Typeflag: tar.TypeFifo, Name: "p"}},
		"no parent":         {file("d/f")},
		"not clean":         {dir("d/"), file("d//f")},
		"itself":            {dir("./")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var raw bytes.Buffer
			w := tar.NewWriter(&raw)
			for _, header := range headers {
				require.NoError(t, w.WriteHeader(header))
			}
			require.NoError(t, w.Close())
			sum := sha256.Sum256(raw.Bytes())
			digest := hex.EncodeToString(sum[:])
			require.NoError(t, os.MkdirAll(filepath.Join(storeDir, digest[:2]), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(storeDir, digest[:2], digest[2:]), raw.Bytes(), 0o400))
			require.Error(t, store.Fetch(t.Context(), action.Artifact{Name: "A", Digest: digest, Size: int64(raw.Len())}, root(t, t.TempDir()), "."))
			require.Empty(t, list(t, outside))
		})
	}
	require.Error(t, store.Fetch(t.Context(), action.Artifact{Name: "A", Digest: "../../../etc/passwd"}, root(t, t.TempDir()), "."))
}

func TestRemove(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	dir := t.TempDir()
	write(t, dir, "a", "first", 0o644)
	stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
	require.NoError(t, err)
	require.NoError(t, store.Remove(t.Context(), stored.Digest))
	require.NoError(t, store.Remove(t.Context(), stored.Digest))
	require.ErrorContains(t, store.Fetch(t.Context(), stored.Artifact, root(t, t.TempDir()), "."), "the store holds no artifact")
	require.ErrorContains(t, store.Remove(t.Context(), "../"+stored.Digest), "not a SHA-256 digest")
}

func TestOpenRemovesUnfinishedArtifacts(t *testing.T) {
	t.Parallel()
	_, dir := open(t)
	write(t, dir, "tmp/put-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "half", 0o600)
	on(t, blob.DirectoryURL(filepath.Dir(dir)))
	require.Empty(t, list(t, filepath.Join(dir, "tmp")))
}

const benchSize = 256 << 20

func benchTree(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	block := make([]byte, benchSize/16)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for i := range 16 {
		write(b, dir, "d/f"+string(rune('a'+i)), string(block), 0o644)
	}
	return dir
}

// The limit that Store and Fetch are compared to: a plain copy that hashes.
func BenchmarkCopyWithHash(b *testing.B) {
	dir := benchTree(b)
	names, err := filepath.Glob(filepath.Join(dir, "d/*"))
	require.NoError(b, err)
	out := filepath.Join(b.TempDir(), "copy")
	b.SetBytes(benchSize)
	for b.Loop() {
		target, err := os.Create(out)
		require.NoError(b, err)
		hash := sha256.New()
		for _, name := range names {
			source, err := os.Open(name)
			require.NoError(b, err)
			_, err = io.CopyBuffer(io.MultiWriter(target, hash), source, make([]byte, 256<<10))
			require.NoError(b, err)
			require.NoError(b, source.Close())
		}
		require.NoError(b, target.Sync())
		require.NoError(b, target.Close())
	}
}

func BenchmarkStore(b *testing.B) {
	dir := benchTree(b)
	store, _ := open(b)
	b.SetBytes(benchSize)
	for b.Loop() {
		_, err := store.Store(b.Context(), "A", root(b, dir), action.Files{Dir: "."})
		require.NoError(b, err)
	}
}

func BenchmarkFetch(b *testing.B) {
	store, _ := open(b)
	stored, err := store.Store(b.Context(), "A", root(b, benchTree(b)), action.Files{Dir: "."})
	require.NoError(b, err)
	into := b.TempDir()
	b.SetBytes(benchSize)
	for b.Loop() {
		require.NoError(b, store.Fetch(b.Context(), stored.Artifact, root(b, into), "."))
		b.StopTimer()
		require.NoError(b, os.RemoveAll(filepath.Join(into, "d")))
		b.StartTimer()
	}
}
