package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Draft is an object that gets its name when all of it is written, such as that of
// its own checksum. It is for one goroutine.
type Draft struct {
	store *Store
	file  *os.File
	// object is the file where it becomes the object itself, else nil.
	object *draftFile
}

// Draft begins an object without a name. In a plain directory what is written becomes
// the object; elsewhere it is first a file without a name in the spool, a directory of
// this machine.
func (s *Store) Draft(spool string) (*Draft, error) {
	if s.dir != "" && s.sealer == nil {
		object, err := s.newDraft()
		if s.noteWrite(err) != nil {
			return nil, fmt.Errorf("begin an object: %w", err)
		}
		return &Draft{store: s, file: object.File, object: object}, nil
	}
	file, err := Spool(spool)
	if err != nil {
		return nil, err
	}
	return &Draft{store: s, file: file}, nil
}

// Write implements io.Writer.
func (d *Draft) Write(p []byte) (int, error) {
	n, err := d.file.Write(p)
	if d.object != nil {
		err = d.store.noteWrite(err)
	}
	return n, err
}

// Put keeps what was written under a name, as Store's Put does. It is called once.
func (d *Draft) Put(ctx context.Context, name string) error {
	if d.object == nil {
		if _, err := d.file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("put %s: %w", name, err)
		}
		return d.store.Put(ctx, name, d.file)
	}
	err := checkName(name)
	if err == nil {
		err = d.store.noteWrite(d.store.publish(d.object, name, false))
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// Close lets go of the draft, which leaves nothing where it was not put.
func (d *Draft) Close() error {
	if d.object == nil {
		return d.file.Close()
	}
	return d.object.Close()
}

// Spool makes a file without a name in a directory: for what is read twice, and
// gone when it is closed or its process killed.
func Spool(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "spool-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", errors.Join(err, file.Close()))
	}
	return file, nil
}
