// Package artifact keeps trees of files, content addressed and immutable, as
// objects. It must never hand out a byte of a tree whose checksum is wrong,
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
	"os"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact/tree"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

const bufferSize = 256 << 10

// ErrDamaged says that the stored form of an artifact is not what was stored.
var ErrDamaged = errors.New("damaged")

// refusal is an error of a class, in its own words.
type refusal struct {
	text  string
	class error
}

// Error implements error.
func (r *refusal) Error() string { return r.text }

// Unwrap returns the class.
func (r *refusal) Unwrap() error { return r.class }

// Store keeps artifacts as objects named <first two digits>/<rest of the digest>.
// The stored form is a plain tar whose entries are in a fixed order and hold no
// owners, so that trees of equal files and times have equal digests. It is not
// compressed: that would make it several times slower than the disk.
// All methods may be called concurrently, and by several processes.
type Store struct {
	objects *blob.Store
	spool   string
	// indexes are of the artifacts that were opened last, by digest.
	indexes *lru.Cache[string, *index]
}

var _ action.Artifacts = (*Store)(nil)

// New returns the store of artifacts on a store of objects. The spool is a directory
// of this machine, where artifacts pass through that are not in a plain directory.
func New(objects *blob.Store, spool string) *Store {
	// Its only error is a size that is not positive.
	indexes, _ := lru.New[string, *index](indexesKept)
	return &Store{objects: objects, spool: spool, indexes: indexes}
}

// Store keeps the files below a directory of root that match one of the globs. A directory
// that is a symlink is not followed. Globs are relative to it, in doublestar's syntax
// (** crosses directories). One that names a directory keeps the whole tree below it, and one
// with brackets also matches names that hold these brackets. Without globs everything is kept.
//
// Permission bits, symlinks (never followed), empty directories, and the modification times of
// files and directories are kept; owners and set-user-id bits are not. Links whose target is
// not in the artifact, and directories that cannot be read and are not named, are in the
// remarks.
//
// These are errors that wrap action.ErrUnstorable: a directory that does not exist, a glob that
// matches nothing or names a link whose target is not in the artifact, files that cannot be
// read, and files other than regular ones, directories and symlinks. When Store returns without
// error, the artifact survives a crash of the machine.
func (s *Store) Store(ctx context.Context, name string, root *os.Root, files action.Files) (action.Stored, error) {
	stored, err := s.store(ctx, name, root, files)
	if err != nil {
		return action.Stored{}, fmt.Errorf("store artifact %q: %w", name, err)
	}
	return stored, nil
}

func (s *Store) store(ctx context.Context, name string, root *os.Root, files action.Files) (action.Stored, error) {
	if info, err := root.Lstat(files.Dir); err != nil || !info.IsDir() {
		return action.Stored{}, fmt.Errorf("%w: the directory to keep is gone or became something else; leave it in its place", action.ErrUnstorable)
	}
	// Should it change now, it is still not followed out of root.
	from, err := root.OpenRoot(files.Dir)
	if err != nil {
		return action.Stored{}, err
	}
	defer func() { _ = from.Close() }()
	entries, remarks, err := selectEntries(ctx, from, files.Globs)
	if err != nil {
		return action.Stored{}, err
	}

	draft, err := s.objects.Draft(s.spool)
	if err != nil {
		return action.Stored{}, fmt.Errorf("%w: %w", action.ErrStorageFailed, err)
	}
	defer func() { _ = draft.Close() }()
	hash := sha256.New()
	size := &counter{writer: io.MultiWriter(draft, hash)}
	buffered := bufio.NewWriterSize(size, bufferSize)
	if err := pack(ctx, buffered, from, entries, files.Time); err != nil {
		return action.Stored{}, err
	}
	if err := buffered.Flush(); err != nil {
		return action.Stored{}, err
	}
	artifact := action.Artifact{Name: name, Digest: hex.EncodeToString(hash.Sum(nil)), Size: size.n}
	// An artifact of the same digest is replaced: that is the same content, unless the
	// old one is damaged.
	if err := draft.Put(ctx, object(artifact.Digest)); err != nil {
		return action.Stored{}, fmt.Errorf("%w: %w", action.ErrStorageFailed, err)
	}
	for i := range remarks {
		remarks[i] = fmt.Sprintf("artifact %q: %s", name, remarks[i])
	}
	return action.Stored{Artifact: artifact, Remarks: remarks}, nil
}

// Fetch lays the artifact's tree out below dir, a path in root, which must exist
// and may hold other files. The whole stored form is verified before the first file is made.
// A file that is there already is an error, never overwritten. Files of an artifact that an
// older version stored without times are as new as their layout.
func (s *Store) Fetch(ctx context.Context, artifact action.Artifact, root *os.Root, dir string) error {
	if err := s.fetch(ctx, artifact, root, dir); err != nil {
		return fmt.Errorf("fetch artifact %q: %w", artifact.Name, err)
	}
	return nil
}

func (s *Store) fetch(ctx context.Context, artifact action.Artifact, root *os.Root, dir string) error {
	stored, err := s.open(ctx, artifact.Digest)
	if err != nil {
		return err
	}
	defer func() { _ = stored.Close() }()
	verified, err := s.verify(ctx, artifact, stored)
	if err != nil {
		return err
	}
	defer func() { _ = verified.Close() }()
	below, err := root.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = below.Close() }()
	return tree.Unpack(ctx, verified, below, tree.Options{})
}

// open opens the stored form of an artifact.
func (s *Store) open(ctx context.Context, digest string) (io.ReadCloser, error) {
	if !isDigest(digest) {
		return nil, fmt.Errorf("%q is not a SHA-256 digest", digest)
	}
	stored, err := s.objects.Open(ctx, object(digest))
	if errors.Is(err, blob.ErrNotFound) {
		return nil, &refusal{fmt.Sprintf("the store holds no artifact sha256:%s; run the action that makes it again", digest), ErrNotStored}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", action.ErrStorageFailed, err)
	}
	return stored, nil
}

// verify returns the bytes of an artifact from their begin, none of which is used
// before all of them were seen. Where they are read twice, somebody else may write to
// them in between: what differs then is not given.
func (s *Store) verify(ctx context.Context, artifact action.Artifact, stored io.ReadCloser) (io.ReadCloser, error) {
	twice, ok := stored.(io.ReadSeekCloser)
	keep := func([]byte) error { return nil }
	if !ok {
		spooled, err := blob.Spool(s.spool)
		if err != nil {
			return nil, err
		}
		twice = spooled
		keep = func(part []byte) error { _, err := spooled.Write(part); return err }
	}
	seen, err := newSeen()
	buffer := make([]byte, bufferSize)
	if err == nil {
		err = readVerified(ctx, artifact, stored, buffer, func(part []byte) error { seen.add(part); return keep(part) })
	}
	if err == nil {
		_, err = twice.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, twice.Close())
	}
	return &reread{Closer: twice, from: twice, seen: seen, buffer: buffer}, nil
}

// readVerified reads an artifact in parts, all but the last as long as the buffer, and
// returns an error where it is damaged. It reads no more than there should be.
func readVerified(ctx context.Context, artifact action.Artifact, stored io.Reader, buffer []byte, part func([]byte) error) error {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("the stored artifact sha256:%s is %w: %w; run the action that makes it again", artifact.Digest, ErrDamaged, fmt.Errorf(format, args...))
	}
	hash := sha256.New()
	from := blob.UntilDone(ctx, io.LimitReader(stored, artifact.Size+1))
	for size := int64(0); ; {
		n, err := fill(buffer, from)
		size += int64(n)
		if size > artifact.Size {
			return damaged("it is longer than its %d bytes", artifact.Size)
		}
		if errors.Is(err, blob.ErrDamaged) {
			return damaged("%w", err)
		}
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return fmt.Errorf("%w: %w", action.ErrStorageFailed, err)
		}
		if n > 0 {
			// A hash never fails.
			_, _ = hash.Write(buffer[:n])
			if err := part(buffer[:n]); err != nil {
				return err
			}
		}
		if !last {
			continue
		}
		if found := hex.EncodeToString(hash.Sum(nil)); found != artifact.Digest {
			return damaged("its %d bytes have the digest %s", size, found)
		}
		return nil
	}
}

// Remove deletes the artifact of a digest. It is no error if there is none.
func (s *Store) Remove(ctx context.Context, digest string) error {
	if !isDigest(digest) {
		return fmt.Errorf("remove artifact: %q is not a SHA-256 digest", digest)
	}
	if err := s.objects.Delete(ctx, object(digest)); err != nil {
		return fmt.Errorf("remove artifact: %w", err)
	}
	return nil
}

// object returns the name of the artifact of a digest.
func object(digest string) string { return digest[:2] + "/" + digest[2:] }

func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == text
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
