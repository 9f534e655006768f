// Package blob keeps objects under names in a bucket: a directory, S3, or what else
// gocloud.dev opens by URL. It must never know what an object is for, nor show a
// part of one that is not whole.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	gocloud "gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // For azblob:// URLs.
	_ "gocloud.dev/blob/s3blob"    // For s3:// URLs.
	"gocloud.dev/gcerrors"
)

var (
	// ErrNotFound says that there is no object of that name.
	ErrNotFound = errors.New("there is no such object")
	// ErrExists says that there is an object of that name already.
	ErrExists = errors.New("there is such an object already")
	// ErrDamaged says that what is stored is not what was put.
	ErrDamaged = errors.New("it is not what was put")
)

// fileScheme is that of URLs of directories.
const fileScheme = "file"

// Object is what a listing tells of an object.
type Object struct {
	Name string
	// Size is in bytes, as they are stored.
	Size    int64
	ModTime time.Time
}

// Sealer encrypts objects on their way into a bucket, bound to their names there.
type Sealer interface {
	// Seal returns what encrypts to a writer; the object ends with its Close.
	Seal(name string, to io.Writer) (io.WriteCloser, error)
	// Unseal returns what was sealed, and objects that never were as they are.
	// Where what is stored is not what was sealed under the name, reading ends with
	// ErrDamaged.
	Unseal(ctx context.Context, name string, from io.Reader) (io.Reader, error)
}

// Bucket is where the parts of a storage are.
type Bucket struct {
	// bucket is nil for one that is a directory, whose files are in dir.
	bucket *gocloud.Bucket
	dir    string
}

// Store is a part of a bucket. Names are words of [0-9A-Za-z._-] with slashes
// between. All methods may be called concurrently, and by several processes.
type Store struct {
	// bucket is nil for one that is a directory, whose files are in dir.
	bucket *gocloud.Bucket
	dir    string
	// prefix is what the names of this part begin with in the bucket.
	prefix string
	// sealer is nil where objects are stored as they are.
	sealer Sealer
	// whole is set where the bucket is open for this part alone.
	whole *Bucket
	// unsynced is set where Put does not wait for the disk.
	unsynced bool
	// failing is set while the last thing known of writes is that one failed.
	failing *atomic.Bool
}

// OpenBucket opens the bucket of a URL: file:///a/directory, which is made where it is
// missing, s3://bucket?region=…&endpoint=…&prefix=… or azblob://container?prefix=…, with
// the credentials of AWS's or Azure's usual places. A bucket elsewhere is not asked before it is used.
func OpenBucket(ctx context.Context, bucket string) (*Bucket, error) {
	if _, err := Shown(bucket); err != nil {
		return nil, err
	}
	dir, isDir, err := Directory(bucket)
	if err != nil {
		return nil, err
	}
	if !isDir {
		opened, err := gocloud.OpenBucket(ctx, bucket)
		if err != nil {
			return nil, OpenFailed(bucket, err)
		}
		return &Bucket{bucket: opened}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	return &Bucket{dir: dir}, nil
}

// Part returns what is below a name in the bucket, with which it is closed.
func (b *Bucket) Part(name string) (*Store, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	s := &Store{bucket: b.bucket, dir: b.dir, prefix: name + "/", failing: new(atomic.Bool)}
	if b.dir == "" {
		return s, nil
	}
	return s, s.prepareDir()
}

// Existing is Part for one that must be there already, where that shows before there
// is an object: ErrNotFound in a directory that has no directory of that name.
func (b *Bucket) Existing(name string) (*Store, error) {
	if b.dir != "" {
		if _, err := os.Lstat(filepath.Join(b.dir, name)); errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
	}
	return b.Part(name)
}

// Close lets go of the bucket.
func (b *Bucket) Close() error {
	if b.bucket == nil {
		return nil
	}
	return b.bucket.Close()
}

// Open opens one part of the bucket of a URL, which its Close closes.
func Open(ctx context.Context, bucket, under string) (*Store, error) {
	whole, err := OpenBucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	s, err := whole.Part(under)
	if err != nil {
		return nil, errors.Join(err, whole.Close())
	}
	s.whole = whole
	return s, nil
}

// Sealed returns a part of the same objects that are encrypted from now on.
func (s *Store) Sealed(by Sealer) *Store {
	sealed := *s
	sealed.sealer, sealed.whole = by, nil
	return &sealed
}

// Unsynced returns the same store with a Put that does not wait for the disk: a crash
// of the machine may take the last seconds of it.
func (s *Store) Unsynced() *Store {
	other := *s
	other.unsynced, other.whole = true, nil
	return &other
}

// Remote tells whether the objects are elsewhere, behind a network, and not in a
// directory.
func (s *Store) Remote() bool { return s.dir == "" }

// Directory returns the directory of a file URL, and whether it is one.
func Directory(bucket string) (string, bool, error) {
	parsed, err := url.Parse(bucket)
	if err != nil {
		return "", false, errNoURL
	}
	if parsed.Scheme != fileScheme {
		return "", false, nil
	}
	if parsed.Host != "" || !filepath.IsAbs(parsed.Path) || parsed.RawQuery != "" {
		return "", false, fmt.Errorf("%s names no directory of this machine; use file:///path/of/it", shown(parsed))
	}
	return filepath.Clean(parsed.Path), true, nil
}

// DirectoryURL returns the URL of a directory, given as an absolute path.
func DirectoryURL(path string) string {
	return (&url.URL{Scheme: fileScheme, Path: path}).String()
}

// errNoURL keeps what was given out of the text: it may hold a secret.
var errNoURL = errors.New("it is not a URL; use file:///path/of/a/directory, s3://bucket?region=name or azblob://container")

// Shown returns a bucket's URL without what may be secret, for people. It refuses URLs
// that hold credentials, and what is none.
func Shown(bucket string) (string, error) {
	parsed, err := url.Parse(bucket)
	if err != nil || parsed.Scheme == "" {
		return "", errNoURL
	}
	if parsed.User != nil {
		return "", fmt.Errorf("%s holds credentials; give them by the environment, for S3 as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for Azure as AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY", shown(parsed))
	}
	return shown(parsed), nil
}

func shown(bucket *url.URL) string {
	return (&url.URL{Scheme: bucket.Scheme, Host: bucket.Host, Path: bucket.Path}).String()
}

// OpenFailed tells why a bucket, or a key, does not open, which no secret is in: the text
// of an error of gocloud may have the URL with its parameters.
func OpenFailed(bucket string, err error) error {
	parsed, parseErr := url.Parse(bucket)
	if parseErr != nil {
		return errNoURL
	}
	text := err.Error()
	for _, whole := range []string{bucket, parsed.String()} {
		text = strings.ReplaceAll(text, whole, shown(parsed))
	}
	return fmt.Errorf("open %s: %s", shown(parsed), text)
}

// Put keeps all that the reader gives under a name, in place of what was there. The
// object is seen whole or not at all, and survives a crash of the machine once Put
// returned nil.
func (s *Store) Put(ctx context.Context, name string, from io.Reader) error {
	if err := s.noteWrite(s.put(ctx, name, from, false)); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// PutNew is Put for a name that nothing has yet: ErrExists where something has it.
func (s *Store) PutNew(ctx context.Context, name string, from io.Reader) error {
	if err := s.noteWrite(s.put(ctx, name, from, true)); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, name string, from io.Reader, onlyNew bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	if s.dir != "" {
		return s.putFile(ctx, name, from, onlyNew)
	}
	stored := s.encoded(ctx, name, from)
	defer stored.Close()
	// An upload that fails leaves nothing. A writer of gocloud.dev would do, but for
	// Azure's, which panics when its upload failed.
	err := s.bucket.Upload(ctx, s.prefix+name, stored, &gocloud.WriterOptions{ContentType: "application/octet-stream", IfNotExist: onlyNew})
	if code := gcerrors.Code(err); onlyNew && (code == gcerrors.FailedPrecondition || code == gcerrors.AlreadyExists) {
		return ErrExists
	}
	return err
}

// encoded returns what encode writes.
func (s *Store) encoded(ctx context.Context, name string, from io.Reader) *encoding {
	reader, writer := io.Pipe()
	f := &encoding{PipeReader: reader, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		writer.CloseWithError(s.encode(ctx, writer, name, from))
	}()
	return f
}

// encoding is read while it is written. Close ends the writing.
type encoding struct {
	*io.PipeReader
	done chan struct{}
}

// Close implements io.Closer.
func (f *encoding) Close() error {
	err := f.PipeReader.Close()
	<-f.done
	return err
}

// encode writes what is stored of an object.
func (s *Store) encode(ctx context.Context, to io.Writer, name string, from io.Reader) error {
	from = UntilDone(ctx, from)
	if s.sealer == nil {
		_, err := io.Copy(to, from)
		return err
	}
	sealed, err := s.sealer.Seal(s.prefix+name, to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(sealed, from); err != nil {
		return err
	}
	return sealed.Close()
}

// Open reads an object from its begin. What it returns is an io.Seeker too where
// reading it again costs as little as the first time, and gives the same.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	opened, err := s.open(ctx, name)
	if err != nil {
		return nil, s.failed("open", name, err)
	}
	if s.sealer == nil {
		return opened, nil
	}
	plain, err := s.sealer.Unseal(ctx, s.prefix+name, opened)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, errors.Join(err, opened.Close()))
	}
	return unsealed{plain, opened}, nil
}

// unsealed reads an object that was sealed.
type unsealed struct {
	io.Reader
	io.Closer
}

func (s *Store) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if s.dir != "" {
		var file *os.File
		err := s.within(name, func(root *os.Root, path string) (err error) {
			file, err = openRegular(root, path)
			return err
		})
		// Not a file that is nil as a reader that is not.
		if err != nil {
			return nil, err
		}
		return file, nil
	}
	return s.bucket.NewReader(ctx, s.prefix+name, nil)
}

// List gives the objects whose names begin with a prefix, in the order of their
// names. It ends after the first error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	if s.dir != "" {
		below := prefix[:strings.LastIndexByte(prefix, '/')+1]
		return func(yield func(Object, error) bool) { s.listDir(ctx, below, prefix, yield) }
	}
	return func(yield func(Object, error) bool) {
		listed := s.bucket.List(&gocloud.ListOptions{Prefix: s.prefix + prefix})
		for {
			object, err := listed.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Object{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			name := strings.TrimPrefix(object.Key, s.prefix)
			if !yield(Object{Name: name, Size: object.Size, ModTime: object.ModTime}, nil) {
				return
			}
		}
	}
}

// Delete takes an object away. It is no error if there is none.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return s.failed("delete", name, err)
	}
	if s.dir != "" {
		err := ctx.Err()
		if err == nil {
			err = s.within(name, remove)
		}
		if err != nil {
			return s.failed("delete", name, err)
		}
		return nil
	}
	if err := s.bucket.Delete(ctx, s.prefix+name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return s.failed("delete", name, err)
	}
	return nil
}

// DeleteUnder takes all objects away whose names begin with a word and a slash. It
// is no error if there are none.
func (s *Store) DeleteUnder(ctx context.Context, word string) error {
	if err := checkName(word); err != nil {
		return s.failed("delete", word, err)
	}
	if s.dir != "" {
		err := ctx.Err()
		if err == nil {
			err = s.within(word, (*os.Root).RemoveAll)
		}
		if err != nil {
			return s.failed("delete", word, err)
		}
		return nil
	}
	for object, err := range s.List(ctx, word+"/") {
		if err == nil {
			err = s.Delete(ctx, object.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of the bucket where it is open for this part alone.
func (s *Store) Close() error {
	if s.whole == nil {
		return nil
	}
	return s.whole.Close()
}

func (s *Store) failed(what, name string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: %w", what, name, ErrNotFound)
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}

func checkName(name string) error {
	odd := strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("._-/", r)
	})
	if odd || path.Clean(name) != name || !filepath.IsLocal(name) || name == "." {
		return fmt.Errorf("%q is not a valid object name", name)
	}
	if first, _, _ := strings.Cut(name, "/"); first == Temporary {
		return fmt.Errorf("%q is where objects are that have no name yet", name)
	}
	return nil
}

// UntilDone returns what reads until the context ends.
func UntilDone(ctx context.Context, from io.Reader) io.Reader { return contextReader{ctx, from} }

type contextReader struct {
	ctx  context.Context
	from io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
