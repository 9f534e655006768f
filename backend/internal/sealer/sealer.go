// Package sealer seals values that are small and secret for the database, such as secrets
// and credentials of connections. It must never keep, log or return a value or a key in a
// text.
package sealer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// ErrNoKey is in the chain of errors that an operator has to mend: the key that would seal
// or open a value is missing, not set up or another one. The message says which.
var ErrNoKey = errors.New("no usable key")

// The first byte of a sealed value says which keys sealed it.
const (
	byRing byte = 1
	byFile byte = 2
)

// part begins the name under which a value is sealed. No part of a storage has that name,
// so that an object of the storage is never taken for a value.
const part = "values/"

// Config is what a Sealer needs.
type Config struct {
	// Ring is the data keys of an encrypted storage. Nil without storage-key.
	Ring *seal.Keys
	// KeyFile is the path of the key file in the data directory, which may be missing.
	KeyFile string
	// CreateKeyFile lets the first Seal create the key file if there is no ring. It must
	// not be set if several servers use the database.
	CreateKeyFile bool
	// Store keeps the id of the key file.
	Store store.Store
}

// Sealer seals and opens values. All methods may be called concurrently, but not within a
// transaction of the store.
type Sealer struct {
	config Config

	mu   sync.Mutex
	file *seal.Keys
	// checked is set once the key file is known to be that of the database.
	checked bool
}

// New returns a sealer. It reads nothing.
func New(config Config) *Sealer { return &Sealer{config: config} }

// Seal returns the sealed form of a value. The binding is the name of the object that the
// value belongs to: only Open with the same binding returns the value.
func (s *Sealer) Seal(ctx context.Context, plain []byte, binding string) ([]byte, error) {
	keys, by := s.config.Ring, byRing
	if keys == nil {
		var err error
		if keys, err = s.sealingFile(ctx); err != nil {
			return nil, err
		}
		by = byFile
	}
	var sealed bytes.Buffer
	sealed.WriteByte(by)
	w, err := keys.Seal(part+binding, &sealed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

// Open returns the value that was sealed with the binding.
func (s *Sealer) Open(ctx context.Context, sealed []byte, binding string) ([]byte, error) {
	if len(sealed) == 0 || !seal.IsSealed(sealed[1:]) {
		return nil, fmt.Errorf("the value of %s is not sealed: %w", binding, blob.ErrDamaged)
	}
	var keys *seal.Keys
	switch sealed[0] {
	case byRing:
		if keys = s.config.Ring; keys == nil {
			return nil, fmt.Errorf("%w: the value of %s was sealed with storage-key, which is not set; set it to the key of the storage", ErrNoKey, binding)
		}
	case byFile:
		var err error
		if keys, err = s.openingFile(); err != nil {
			return nil, fmt.Errorf("open the value of %s: %w", binding, err)
		}
	default:
		return nil, fmt.Errorf("the value of %s was sealed by a newer headraced", binding)
	}
	reader, err := keys.Unseal(ctx, part+binding, bytes.NewReader(sealed[1:]))
	if err == nil {
		var plain []byte
		if plain, err = io.ReadAll(reader); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("open the value of %s: %w", binding, err)
}

// sealingFile returns the key file to seal with, and creates it if the database has sealed
// nothing with one.
func (s *Sealer) sealingFile(ctx context.Context) (*seal.Keys, error) {
	if !s.config.CreateKeyFile {
		return nil, fmt.Errorf("%w: servers on PostgreSQL seal secrets with the key of the storage; set --storage-key on every server", ErrNoKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checked {
		return s.file, nil
	}
	known, err := s.knownFile(ctx)
	if err != nil {
		return nil, err
	}
	if known == "" {
		if err := seal.NewKeyFile(s.config.KeyFile); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create the key file: %w", err)
		}
	}
	file, id, err := s.readFile()
	if err != nil {
		return nil, err
	}
	if known == "" {
		if err := s.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			return tx.SetIdentity(ctx, store.KeyFileIdentity, "", id)
		}); err != nil {
			return nil, err
		}
		known = id
	}
	if id != known {
		return nil, s.otherFile()
	}
	s.file, s.checked = file, true
	return file, nil
}

func (s *Sealer) otherFile() error {
	return fmt.Errorf("%w: the key file %s is not the one that values of this database are sealed with; put that one back", ErrNoKey, filepath.Base(s.config.KeyFile))
}

// Check returns an error if values of the database were sealed with a key file that is missing or
// is another one. They may have been replaced since.
func (s *Sealer) Check(ctx context.Context) error {
	known, err := s.knownFile(ctx)
	if err != nil || known == "" {
		return err
	}
	_, id, err := s.readFile()
	if err == nil && id != known {
		err = s.otherFile()
	}
	return err
}

// knownFile returns the id of the key file that sealed values of the database, empty for
// none.
func (s *Sealer) knownFile(ctx context.Context) (id string, err error) {
	err = s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		id, err = r.Identity(ctx, store.KeyFileIdentity)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// openingFile returns the key file to open with.
func (s *Sealer) openingFile() (*seal.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		file, _, err := s.readFile()
		if err != nil {
			return nil, err
		}
		s.file = file
	}
	return s.file, nil
}

func (s *Sealer) readFile() (*seal.Keys, string, error) {
	keys, id, err := seal.OpenFileKeys(s.config.KeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("%w: the key file %s is not in the data directory; put it back from the backup or copy it from the data directory of before. "+
			"If it is lost, set storage-key and give every secret a new value", ErrNoKey, filepath.Base(s.config.KeyFile))
	case err != nil:
		return nil, "", fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	return keys, id, nil
}
