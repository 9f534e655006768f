package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	gocloud "gocloud.dev/blob"
)

const (
	// checkSize fits where nothing else does: a start that looks whether objects can be
	// written, read and deleted is no matter of room.
	checkSize = 26
	// probeSize is more than what is left of a full disk may hold.
	probeSize = 1 << 20
)

// Check tells whether objects can be written, read and deleted, by doing so.
func (s *Store) Check(ctx context.Context) error { return s.probe(ctx, checkSize) }

// Ready returns nil where the store answers and, after a put that failed, takes an
// object of its own now.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.ping(ctx); err != nil {
		return err
	}
	// Before the try: what fails meanwhile sets it again.
	if !s.failing.Swap(false) {
		return nil
	}
	if err := s.probe(ctx, probeSize); err != nil {
		s.failing.Store(true)
		return fmt.Errorf("after a write that failed it takes no other: %w", err)
	}
	return nil
}

// noteWrite notes a write that failed, so that Ready tries one.
func (s *Store) noteWrite(err error) error {
	if err != nil && !errors.Is(err, ErrExists) {
		s.failing.Store(true)
	}
	return err
}

// probe writes an object, reads and deletes it.
func (s *Store) probe(ctx context.Context, size int) error {
	// Not what a file system could make smaller.
	name, want := "probe-"+rand.Text(), make([]byte, size)
	if _, err := rand.Read(want); err != nil {
		return err
	}
	if err := s.Put(ctx, name, bytes.NewReader(want)); err != nil {
		return err
	}
	opened, err := s.Open(ctx, name)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(opened)
	if err := errors.Join(err, opened.Close(), s.Delete(ctx, name)); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s reads other than it was written", name)
	}
	return nil
}

// ping returns nil if the store answers, without writing.
func (s *Store) ping(ctx context.Context) error {
	if s.dir != "" {
		// A directory of the same name is there also where what was mounted is not.
		return s.within(Temporary, func(root *os.Root, path string) error {
			_, err := root.Stat(path)
			return err
		})
	}
	_, _, err := s.bucket.ListPage(ctx, gocloud.FirstPageToken, 1, &gocloud.ListOptions{Prefix: s.prefix})
	return err
}
