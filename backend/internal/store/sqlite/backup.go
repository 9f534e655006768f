package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlstore"
)

// Backup copies a database as it is at one moment to a new file, also while a server
// works on it, which is kept from nothing meanwhile. The copy is checked before it
// gets its name. A file of that name is fs.ErrExist and stays.
func Backup(ctx context.Context, path, to string) error {
	// A name that begins with file: would mean something else to SQLite.
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	return durable.Create(to, func(temporary string) error {
		err := reading(ctx, path, nil, func(ctx context.Context, c *sql.Conn) error {
			if _, err := schemaVersion(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if _, err := c.ExecContext(ctx, "VACUUM INTO $1", temporary); err != nil {
				return fmt.Errorf("copy %s: %w", path, classify(err))
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := check(ctx, temporary); err != nil {
			return fmt.Errorf("the copy of %s cannot be used: %w", path, err)
		}
		return nil
	})
}

// Restore puts what Backup made at path, where no database may be, and from which no
// server may start meanwhile. What is not whole, or of a newer headraced, is refused
// and leaves nothing behind; what was killed before goes.
func Restore(ctx context.Context, from, path string) error {
	if err := durable.RemoveUnfinished(path); err != nil {
		return err
	}
	return durable.Create(path, func(temporary string) error {
		if err := nothingBeside(path); err != nil {
			return err
		}
		if err := copyDatabase(ctx, from, temporary); err != nil {
			return err
		}
		// The copy is checked, so that the way to it is too.
		if err := check(ctx, temporary); err != nil {
			return fmt.Errorf("%s cannot be used: %w", from, err)
		}
		return nil
	})
}

// nothingBeside returns an error where SQLite would take a file for a part of the
// database at path.
func nothingBeside(path string) error {
	for _, ending := range []string{"-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(path + ending); err == nil {
			return fmt.Errorf("%s belongs to another database: move it to where that is, or choose another directory", path+ending)
		}
	}
	return nil
}

// copyDatabase copies what is a database in one file by its header, and nothing else.
func copyDatabase(ctx context.Context, from, to string) error {
	// Not to wait for a writer, should it be a named pipe.
	source, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	size, err := checkHeader(source)
	if err != nil {
		return fmt.Errorf("%s cannot be used: %w", from, err)
	}
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	for ; size > 0 && err == nil; size -= copiedAtOnce {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(target, source, min(size, copiedAtOnce))
		}
	}
	return errors.Join(err, target.Close())
}

// copiedAtOnce is how much is copied before somebody who gave up is heard.
const copiedAtOnce = 16 << 20

// Where the header of a database says how large its pages are, how it is written and
// how many pages there are; inWAL says that its newest commits may be in a file beside
// it.
const (
	magic       = "SQLite format 3\x00"
	sizeByte    = 16
	journalByte = 18
	pagesByte   = 28
	headerSize  = 32
	inWAL       = 2
)

// check returns nil where a file is a whole database of headraced in one file, and not
// of a newer one.
func check(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = checkHeader(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	// Nothing is written beside it either.
	return reading(ctx, path, url.Values{"immutable": {"1"}}, func(ctx context.Context, c *sql.Conn) error {
		version, err := schemaVersion(ctx, c)
		if err != nil {
			return err
		}
		newest, err := sqlstore.NewestVersion(migrations)
		if err != nil {
			return err
		}
		if version > newest {
			return newer(version, newest)
		}
		if err := checkSchema(ctx, c, version); err != nil {
			return err
		}
		return checkPages(ctx, c)
	})
}

// Check returns an error if a page, a row or an index of a database is damaged. A server may use
// the database, and is not blocked.
func Check(ctx context.Context, path string) error {
	if err := reading(ctx, path, nil, checkPages); err != nil {
		return fmt.Errorf("%s: %w", path, damage(err))
	}
	return nil
}

// checkHeader returns the size of a database that is in one file.
func checkHeader(file *os.File) (size int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errNoFile
	}
	header := make([]byte, headerSize)
	switch n, err := file.ReadAt(header, 0); {
	case n == 0 && errors.Is(err, io.EOF):
		return 0, errors.New("it is empty")
	case errors.Is(err, io.EOF) || err == nil && !strings.HasPrefix(string(header), magic):
		return 0, errNotOurs
	case err != nil:
		return 0, err
	}
	if header[journalByte] == inWAL {
		return 0, errors.New("it is the file of a server and not one that headraced backup made: its newest commits may be in the -wal file beside it")
	}
	// SQLite takes zeros for what a last page lacks.
	if want := headerBytes(header); info.Size() != want {
		return 0, fmt.Errorf("it is damaged or not all there: it has %d of %d bytes", info.Size(), want)
	}
	return info.Size(), nil
}

// headerBytes returns how many bytes a database has by its header.
func headerBytes(header []byte) int64 {
	size := int64(binary.BigEndian.Uint16(header[sizeByte:]))
	if size == 1 {
		size = 1 << 16
	}
	return size * int64(binary.BigEndian.Uint32(header[pagesByte:]))
}

// checkPages returns an error where a page, a row or an index is not as it should be.
func checkPages(ctx context.Context, c *sql.Conn) error {
	var found string
	if err := c.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return notOurs(err)
	}
	if found != "ok" {
		return damagedPagesError(strings.Join(strings.Fields(found), " "))
	}
	return nil
}

// damagedPagesError is what SQLite found wrong in a database.
type damagedPagesError string

// Error implements error.
func (d damagedPagesError) Error() string { return "it is damaged or not all there: " + string(d) }

// Is makes it one of store.ErrDamaged.
func (damagedPagesError) Is(target error) bool { return target == store.ErrDamaged }
