package artifact

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact/tree"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

const (
	// indexesKept is how many artifacts that were opened stay verified in memory. Of each, that is 64 KiB for
	// each GiB, and its list of files.
	indexesKept = 8
	// filesListed and namesListed bound the list of the files of an artifact, in number and in bytes of
	// names.
	filesListed = 20_000
	namesListed = 4 << 20
)

// ErrNoFile says that an artifact has no file of a path.
var ErrNoFile = errors.New("the artifact has no such file")

// File is a file, directory or symlink of an artifact.
type File struct {
	// Path has slashes. It may hold any bytes but 0, and need not be UTF-8.
	Path string
	// Mode has the type and the permission bits.
	Mode fs.FileMode
	// Size is in bytes, 0 for what is not a regular file.
	Size int64
	// ModifiedAt is zero if it is not known, which is so for symlinks.
	ModifiedAt time.Time
	// Target is that of a symlink.
	Target string
	// Digest is the SHA-256 of a regular file, as hex.
	Digest string

	// at is the place of its bytes in the stored form.
	at int64
}

// index is what is known of an artifact once all of it was read and verified.
type index struct {
	files []File
	// all counts the files, also those that are not in files.
	all  int
	seen *seen
}

// Opened is an artifact of which all was verified once. What is read of it is verified again, part by part.
// It holds no file open.
type Opened struct {
	store    *Store
	artifact action.Artifact
	index    *index
}

// Verified tells whether Open needs not read the artifact.
func (s *Store) Verified(digest string) bool { return s.indexes.Contains(digest) }

// Open reads and verifies an artifact, unless it is one of those that were opened last. It returns an
// error that wraps ErrNotStored or ErrDamaged if the store does not have it as it was stored.
func (s *Store) Open(ctx context.Context, artifact action.Artifact) (*Opened, error) {
	found, ok := s.indexes.Get(artifact.Digest)
	if !ok {
		var err error
		if found, err = s.readIndex(ctx, artifact); err != nil {
			return nil, fmt.Errorf("open artifact %q: %w", artifact.Name, err)
		}
		s.indexes.Add(artifact.Digest, found)
	}
	return &Opened{store: s, artifact: artifact, index: found}, nil
}

// readIndex reads all of an artifact.
func (s *Store) readIndex(ctx context.Context, artifact action.Artifact) (*index, error) {
	stored, err := s.open(ctx, artifact.Digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stored.Close() }()
	found := &index{}
	if found.seen, err = newSeen(); err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	listed := make(chan error, 1)
	go func() {
		err := found.list(reader)
		// What is not a tar is read to its end too: it is damaged, and that is the error.
		_, _ = io.Copy(io.Discard, reader)
		listed <- err
	}()
	err = readVerified(ctx, artifact, stored, make([]byte, bufferSize), func(part []byte) error {
		found.seen.add(part)
		_, err := writer.Write(part)
		return err
	})
	// Its error is nil.
	_ = writer.CloseWithError(err)
	if listErr := <-listed; err == nil {
		err = listErr
	}
	return found, err
}

// list reads the files of a stored form.
func (x *index) list(from io.Reader) error {
	hash, buffer, names := sha256.New(), make([]byte, bufferSize), 0
	return eachFile(from, func(file File, content io.Reader) (bool, error) {
		x.all++
		names += len(file.Path) + len(file.Target)
		if len(x.files) < x.all-1 || x.all > filesListed || names > namesListed {
			return true, nil
		}
		if file.Mode.IsRegular() {
			hash.Reset()
			if _, err := io.CopyBuffer(hash, content, buffer); err != nil {
				return false, err
			}
			file.Digest = hex.EncodeToString(hash.Sum(nil))
		}
		x.files = append(x.files, file)
		return true, nil
	})
}

// eachFile calls a function with each file of a stored form and its bytes, until it returns false.
func eachFile(from io.Reader, do func(file File, content io.Reader) (bool, error)) error {
	place := &placed{from: from}
	// A seeker is told to pass what nobody reads.
	var counted io.Reader = place
	if seeker, ok := from.(io.Seeker); ok {
		counted = struct {
			io.Reader
			io.Seeker
		}{place, placedSeeker{place, seeker}}
	}
	reader := tar.NewReader(counted)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		file := File{Path: strings.TrimSuffix(header.Name, "/"), Mode: fs.FileMode(header.Mode).Perm(), at: place.at}
		switch header.Typeflag {
		case tar.TypeReg:
			file.Size = header.Size
		case tar.TypeDir:
			file.Mode |= fs.ModeDir
		case tar.TypeSymlink:
			file.Mode |= fs.ModeSymlink
			file.Target = header.Linkname
		default:
			return fmt.Errorf("the entry %q is neither file, directory nor symlink", header.Name)
		}
		if tree.HasTime(header.ModTime) {
			file.ModifiedAt = header.ModTime
		}
		if more, err := do(file, reader); err != nil || !more {
			return err
		}
	}
}

// placed knows how much was read.
type placed struct {
	from io.Reader
	at   int64
}

// Read implements io.Reader.
func (p *placed) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.at += int64(n)
	return n, err
}

type placedSeeker struct {
	*placed

	seeker io.Seeker
}

// Seek implements io.Seeker.
func (p placedSeeker) Seek(offset int64, whence int) (int64, error) {
	at, err := p.seeker.Seek(offset, whence)
	if err == nil {
		p.at = at
	}
	return at, err
}

// Size returns the length of the stored form, which is a tar.
func (o *Opened) Size() int64 { return o.artifact.Size }

// Files returns the files of the artifact in its order, and how many it has: of a very large
// artifact, only the first are returned.
func (o *Opened) Files() (files []File, all int) { return o.index.files, o.index.all }

// Find returns the file of a path, or an error that wraps ErrNoFile. The digest of a file that
// Files does not return is empty.
func (o *Opened) Find(ctx context.Context, path string) (File, error) {
	for _, file := range o.index.files {
		if file.Path == path {
			return file, nil
		}
	}
	found, ok := File{}, false
	if o.index.all > len(o.index.files) {
		from, err := o.read(ctx)
		if err != nil {
			return File{}, err
		}
		defer func() { _ = from.Close() }()
		err = eachFile(from, func(file File, _ io.Reader) (bool, error) {
			if file.Path == path {
				found, ok = file, true
			}
			return !ok, nil
		})
		if err != nil {
			return File{}, err
		}
	}
	if !ok {
		return File{}, fmt.Errorf("%w: %q", ErrNoFile, path)
	}
	return found, nil
}

// ReadFile gives a part of a regular file of the artifact, of that many bytes from an offset on, or what
// there is of them. A damaged byte is never given: the error wraps ErrDamaged.
func (o *Opened) ReadFile(ctx context.Context, file File, offset, length int64, give func(part []byte) error) error {
	offset = min(max(offset, 0), file.Size)
	return o.give(ctx, file.at+offset, min(length, file.Size-offset), give)
}

// Read gives a part of the stored form, as ReadFile does.
func (o *Opened) Read(ctx context.Context, offset, length int64, give func(part []byte) error) error {
	offset = min(max(offset, 0), o.artifact.Size)
	return o.give(ctx, offset, min(length, o.artifact.Size-offset), give)
}

func (o *Opened) give(ctx context.Context, offset, length int64, give func(part []byte) error) error {
	if length <= 0 {
		return nil
	}
	from, err := o.read(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	if _, err := from.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	for length > 0 {
		part, err := from.part()
		if err != nil {
			return err
		}
		part = part[:min(int64(len(part)), length)]
		if err := give(part); err != nil {
			return err
		}
		length -= int64(len(part))
	}
	return nil
}

// read returns what reads the stored form a second time.
func (o *Opened) read(ctx context.Context) (*partReader, error) {
	stored, err := o.store.open(ctx, o.artifact.Digest)
	if err != nil {
		return nil, fmt.Errorf("read artifact %q: %w", o.artifact.Name, err)
	}
	return &partReader{ctx: ctx, stored: stored, seen: o.index.seen, size: o.artifact.Size, buffer: make([]byte, bufferSize)}, nil
}

// partReader reads a stored form a second time, from any place on. It verifies each part that it
// returns something of.
type partReader struct {
	ctx    context.Context //nolint:containedctx // It is that of one call.
	stored io.ReadCloser
	seen   *seen
	size   int64
	buffer []byte
	// at is the place of the next byte that is returned, next the part that stored is at.
	at   int64
	next int
	// left is the verified rest of the part before next that is not returned yet, if at is in it.
	left []byte
}

// part returns the verified rest of the part at the place; io.EOF at the end.
func (r *partReader) part() ([]byte, error) {
	if len(r.left) == 0 {
		if err := r.load(); err != nil {
			return nil, err
		}
	}
	part := r.left
	r.left = nil
	r.at += int64(len(part))
	return part, nil
}

// Read implements io.Reader.
func (r *partReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if err := r.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left, r.at = r.left[n:], r.at+int64(n)
	return n, nil
}

// load reads the part that holds the place.
func (r *partReader) load() error {
	if r.at >= r.size {
		return io.EOF
	}
	from := blob.UntilDone(r.ctx, r.stored)
	number := int(r.at / bufferSize)
	if number != r.next {
		var err error
		if seeker, ok := r.stored.(io.Seeker); ok {
			_, err = seeker.Seek(int64(number)*bufferSize, io.SeekStart)
		} else {
			// It is only read ahead: give and tar never go back.
			_, err = io.CopyN(io.Discard, from, int64(number-r.next)*bufferSize)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return readFailed(err)
		}
	}
	n, err := fill(r.buffer, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return readFailed(err)
	}
	if number >= r.seen.parts() || !r.seen.is(number, r.buffer[:n]) {
		return errChanged
	}
	r.next = number + 1
	r.left = r.buffer[r.at-int64(number)*bufferSize : n]
	return nil
}

// readFailed returns the error of a storage.
func readFailed(err error) error {
	if errors.Is(err, blob.ErrDamaged) {
		return fmt.Errorf("the stored artifact is %w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w: %w", action.ErrStorageFailed, err)
}

// Seek implements io.Seeker. It reads nothing.
func (r *partReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < r.at || offset > r.size {
		return 0, fmt.Errorf("seek to %d of %d bytes from %d", offset, r.size, r.at)
	}
	passed := offset - r.at
	r.at = offset
	r.left = r.left[min(passed, int64(len(r.left))):]
	return offset, nil
}

// Close implements io.Closer.
func (r *partReader) Close() error { return r.stored.Close() }
