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

	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
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
// and leaves nothing behind.
func Restore(ctx context.Context, from, path string) error {
	return durable.Create(path, func(temporary string) error {
		if err := nothingBeside(path); err != nil {
			return err
		}
		if err := copyFile(from, temporary); err != nil {
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

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

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
	if err := checkHeader(path); err != nil {
		return err
	}
	// Nothing is written beside it either.
	return reading(ctx, path, url.Values{"immutable": {"1"}}, func(ctx context.Context, c *sql.Conn) error {
		version, err := schemaVersion(ctx, c)
		if err != nil {
			return err
		}
		newest, err := known()
		if err != nil {
			return err
		}
		if version > newest {
			return newer(version, newest)
		}
		return checkPages(ctx, c)
	})
}

func checkHeader(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, headerSize)
	switch n, err := io.ReadFull(file, header); {
	case n == 0 && errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF) || err == nil && !strings.HasPrefix(string(header), magic):
		return errNotOurs
	case err != nil:
		return err
	}
	if header[journalByte] == inWAL {
		return errors.New("it is the file of a server and not one that headraced backup made: its newest commits may be in the -wal file beside it")
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// SQLite takes zeros for what a last page lacks.
	if want := headerBytes(header); info.Size() != want {
		return fmt.Errorf("it is damaged or not all there: it has %d of %d bytes", info.Size(), want)
	}
	return nil
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
		return fmt.Errorf("it is damaged or not all there: %s", strings.Join(strings.Fields(found), " "))
	}
	return nil
}
