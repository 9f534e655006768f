// Package blob keeps objects under names in a bucket: a directory, S3, or what else
// gocloud.dev opens by URL. It must never know what an object is for, nor show a
// part of one that is not whole.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"time"

	gocloud "gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // For s3:// URLs.
	"gocloud.dev/gcerrors"
)

// ErrNotFound says that there is no object of that name.
var ErrNotFound = errors.New("there is no such object")

// Object is what a listing tells of an object.
type Object struct {
	Name string
	// Size is in bytes, as they are stored.
	Size    int64
	ModTime time.Time
}

// Store is a part of a bucket. Names are words of [0-9A-Za-z._-] with slashes
// between. All methods may be called concurrently, and by several processes.
type Store struct {
	bucket *gocloud.Bucket
	// dir is where the files are of a bucket that is a directory, empty for others.
	dir string
}

// Open opens what is below a name in the bucket of a URL: file:///a/directory, which
// is made where it is missing, or s3://bucket?region=…&endpoint=…&prefix=…, with the
// credentials of AWS's usual places. The bucket is not asked before it is used.
func Open(ctx context.Context, bucket, under string) (*Store, error) {
	dir, isDir, err := Directory(bucket)
	if err != nil {
		return nil, err
	}
	if isDir {
		return openDir(filepath.Join(dir, under))
	}
	opened, err := gocloud.OpenBucket(ctx, bucket)
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	return &Store{bucket: gocloud.PrefixedBucket(opened, under+"/")}, nil
}

// Directory returns the directory of a file URL, and whether it is one.
func Directory(bucket string) (string, bool, error) {
	parsed, err := url.Parse(bucket)
	if err != nil {
		return "", false, fmt.Errorf("%q is not a URL", bucket)
	}
	if parsed.Scheme != fileblob.Scheme {
		return "", false, nil
	}
	if parsed.Host != "" || !filepath.IsAbs(parsed.Path) || parsed.RawQuery != "" {
		return "", false, fmt.Errorf("%q names no directory of this machine; use file:///path/of/it", bucket)
	}
	return filepath.Clean(parsed.Path), true, nil
}

func openDir(dir string) (*Store, error) {
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, Metadata: fileblob.MetadataDontWrite,
		// A rename makes an object visible, and does not cross file systems.
		NoTempDir: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	return &Store{bucket: bucket, dir: dir}, nil
}

// Put keeps all that the reader gives under a name, in place of what was there. The
// object is seen whole or not at all, and survives a crash of the machine once Put
// returned nil.
func (s *Store) Put(ctx context.Context, name string, from io.Reader) error {
	// A writer whose context has ended leaves nothing.
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	var file *os.File
	writer, err := s.bucket.NewWriter(ctx, name, &gocloud.WriterOptions{
		ContentType: "application/octet-stream",
		BeforeWrite: func(as func(any) bool) error {
			as(&file)
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	_, err = writer.ReadFrom(from)
	if err == nil && file != nil {
		err = file.Sync()
	}
	if err != nil {
		abandon()
		_ = writer.Close()
		return fmt.Errorf("put %s: %w", name, err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return s.syncParents(name)
}

// syncParents makes the name of a new file last: that of its directory too.
func (s *Store) syncParents(name string) error {
	if s.dir == "" {
		return nil
	}
	for dir := filepath.Dir(filepath.Join(s.dir, name)); ; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return fmt.Errorf("put %s: %w", name, err)
		}
		if dir == s.dir || len(dir) < len(s.dir) {
			return nil
		}
	}
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

// Open reads an object from its begin.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	reader, err := s.bucket.NewReader(ctx, name, nil)
	if err != nil {
		return nil, s.failed("open", name, err)
	}
	return reader, nil
}

// List gives the objects whose names begin with a prefix, in the order of their
// names. It ends after the first error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		listed := s.bucket.List(&gocloud.ListOptions{Prefix: prefix})
		for {
			object, err := listed.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Object{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if !yield(Object{Name: object.Key, Size: object.Size, ModTime: object.ModTime}, nil) {
				return
			}
		}
	}
}

// Delete takes an object away. It is no error if there is none.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.bucket.Delete(ctx, name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return s.failed("delete", name, err)
	}
	return nil
}

// Close lets go of the bucket.
func (s *Store) Close() error { return s.bucket.Close() }

func (s *Store) failed(what, name string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%s %s: %w", what, name, ErrNotFound)
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}
