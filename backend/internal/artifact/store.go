// Package artifact keeps trees of files, content addressed and immutable, in a
// directory. It must never hand out a byte of a tree whose checksum is wrong,
// follow a symlink, or know what an artifact is for.
package artifact

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

const (
	// temporary is the directory of artifacts that are being written. It is in
	// the store so that a rename publishes them.
	temporary  = "tmp"
	bufferSize = 256 << 10
)

// Store is a directory of artifacts, <first two digits>/<rest of the digest>.
// The stored form is a plain tar whose entries are in a fixed order and hold no
// times and owners, so that equal trees have equal digests. It is not
// compressed: that would make it several times slower than the disk.
// All methods may be called concurrently.
type Store struct {
	dir string
}

var _ action.Artifacts = (*Store)(nil)

// Open makes the directory where there is none, and removes what a killed process
// left half written and last touched before a time: now where no other process has
// the directory open, else one before which nothing that is still being written was
// begun.
func Open(dir string, before time.Time) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open artifact store: %w", err)
	}
	temp := filepath.Join(dir, temporary)
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return nil, fmt.Errorf("open artifact store: %w", err)
	}
	if err := removeUnfinished(temp, before); err != nil {
		return nil, fmt.Errorf("open artifact store: remove unfinished artifacts: %w", err)
	}
	return &Store{dir: dir}, nil
}

func removeUnfinished(temp string, before time.Time) error {
	files, err := os.ReadDir(temp)
	if err != nil {
		return err
	}
	for _, file := range files {
		info, err := file.Info()
		if err == nil && info.ModTime().Before(before) {
			err = os.Remove(filepath.Join(temp, file.Name()))
		}
		// Another process may have finished it, or removed it as well.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Store keeps the files below dir, a path in root, that match one of the globs.
// A dir that is a symlink is not followed. Globs are relative to dir, in doublestar's syntax (** crosses directories); one that
// names a directory keeps the whole tree below it. Without globs everything is
// kept. Permission bits, symlinks (never followed) and empty directories are
// kept; owners, times, and set-user-id bits are not. A dir that is none, a glob
// that matches nothing, and files other than regular ones, directories and symlinks are errors that
// wrap action.ErrUnstorable. When Store returns without error, the artifact
// survives a crash of the machine.
func (s *Store) Store(ctx context.Context, name string, root *os.Root, dir string, globs []string) (action.Artifact, error) {
	artifact, err := s.store(ctx, name, root, dir, globs)
	if err != nil {
		return action.Artifact{}, fmt.Errorf("store artifact %q: %w", name, err)
	}
	return artifact, nil
}

func (s *Store) store(ctx context.Context, name string, root *os.Root, dir string, globs []string) (action.Artifact, error) {
	if info, err := root.Lstat(dir); err != nil || !info.IsDir() {
		return action.Artifact{}, fmt.Errorf("%w: the directory to keep is gone or became something else; leave it in its place", action.ErrUnstorable)
	}
	// Should it change now, it is still not followed out of root.
	tree, err := root.OpenRoot(dir)
	if err != nil {
		return action.Artifact{}, err
	}
	defer func() { _ = tree.Close() }()
	entries, err := selectEntries(ctx, tree, globs)
	if err != nil {
		return action.Artifact{}, err
	}

	file, err := os.CreateTemp(filepath.Join(s.dir, temporary), "put-")
	if err != nil {
		return action.Artifact{}, err
	}
	defer func() {
		_ = file.Close()
		// After the rename there is nothing of that name.
		_ = os.Remove(file.Name())
	}()
	hash := sha256.New()
	size := &counter{writer: io.MultiWriter(file, hash)}
	buffered := bufio.NewWriterSize(size, bufferSize)
	if err := pack(ctx, buffered, tree, entries); err != nil {
		return action.Artifact{}, err
	}
	if err := buffered.Flush(); err != nil {
		return action.Artifact{}, err
	}
	artifact := action.Artifact{Name: name, Digest: hex.EncodeToString(hash.Sum(nil)), Size: size.n}
	if err := s.publish(file, artifact.Digest); err != nil {
		return action.Artifact{}, err
	}
	return artifact, nil
}

// publish gives the file its name. It replaces an artifact of the same digest:
// that is the same content, unless the old one is damaged.
func (s *Store) publish(file *os.File, digest string) error {
	if err := file.Chmod(0o400); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	path := s.path(digest)
	parent := filepath.Dir(path)
	err := os.Mkdir(parent, 0o700)
	switch {
	case err == nil:
		if err := syncDir(s.dir); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(parent)
}

// Fetch lays the artifact's tree out below dir, a path in root, which must exist
// and may hold other files. The whole stored form is verified before the first file is made.
// A file that is there already is an error, never overwritten.
func (s *Store) Fetch(ctx context.Context, artifact action.Artifact, root *os.Root, dir string) error {
	if err := s.fetch(ctx, artifact, root, dir); err != nil {
		return fmt.Errorf("fetch artifact %q: %w", artifact.Name, err)
	}
	return nil
}

func (s *Store) fetch(ctx context.Context, artifact action.Artifact, root *os.Root, dir string) error {
	if !isDigest(artifact.Digest) {
		return fmt.Errorf("%q is not a SHA-256 digest", artifact.Digest)
	}
	file, err := os.Open(s.path(artifact.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the store holds no artifact sha256:%s; run the action that makes it again", artifact.Digest)
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()

	hash := sha256.New()
	size, err := io.CopyBuffer(hash, contextReader{ctx, file}, make([]byte, bufferSize))
	if err != nil {
		return err
	}
	if digest := hex.EncodeToString(hash.Sum(nil)); digest != artifact.Digest {
		return fmt.Errorf("the stored artifact sha256:%s is damaged: its %d bytes have the digest %s; run the action that makes it again", artifact.Digest, size, digest)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tree, err := root.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	return unpack(ctx, bufio.NewReaderSize(file, bufferSize), tree)
}

// Remove deletes the artifact of a digest. It is no error if there is none.
func (s *Store) Remove(_ context.Context, digest string) error {
	if !isDigest(digest) {
		return fmt.Errorf("remove artifact: %q is not a SHA-256 digest", digest)
	}
	if err := os.Remove(s.path(digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove artifact: %w", err)
	}
	return nil
}

func (s *Store) path(digest string) string {
	return filepath.Join(s.dir, digest[:2], digest[2:])
}

func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == text
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

type counter struct {
	writer io.Writer
	n      int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.writer.Write(p)
	c.n += int64(n)
	return n, err
}

// contextReader ends reading when its context ends.
type contextReader struct {
	ctx    context.Context
	reader io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.reader.Read(p)
}
