package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
)

const (
	// storagePatience is how long the storage may take to answer a question about
	// itself.
	storagePatience = 10 * time.Second
	// storageTrust is how long an answer of the storage holds for /readyz.
	storageTrust = 5 * time.Second
)

// storage is where artifacts and logs are kept.
type storage struct {
	artifacts, logs *blob.Store
	// dir is its directory, without symlinks, empty where it is none.
	dir string
	// keys are its data keys, nil if it is not encrypted.
	keys      *seal.Keys
	available *availability
}

// storageURL returns the bucket of a configuration: the data directory where it names
// none.
func storageURL(cfg config.Config) (string, error) {
	if cfg.StorageURL != "" {
		return cfg.StorageURL, nil
	}
	path, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return "", fmt.Errorf("data-dir: %w", err)
	}
	return blob.DirectoryURL(path), nil
}

// openStorage opens the storage and tries it, so that no server starts that could
// not keep what its actions make.
func (s *start) openStorage(ctx context.Context, data *data) (*storage, error) {
	address, err := storageURL(s.config)
	if err != nil {
		return nil, err
	}
	shown, err := blob.Shown(address)
	if err != nil {
		return nil, fmt.Errorf("storage-url: %w", err)
	}
	st, err := s.openBucket(ctx, address, &pair{store: data.store, database: data.place, storage: shown})
	if err != nil {
		return nil, fmt.Errorf("storage-url: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, storagePatience)
	defer cancel()
	switch err := st.artifacts.Check(limited); {
	case full(err):
		// What is stored can be read, and attempts wait for room.
		s.log.Error("The storage of artifacts and logs is full: free space there", "storage", shown, "error", err)
	case err != nil:
		return nil, fmt.Errorf("storage-url: %s cannot be written to, read and cleaned up: %w", shown, err)
	}
	s.log.Info("Artifacts and logs", "storage", shown, "encrypted", st.keys != nil)
	if s.config.DatabaseURL != "" && s.config.StorageURL == "" {
		s.log.Warn("Artifacts and logs are in this server's own data directory, where other servers on the database do not find them; " +
			"set storage-url where there are others")
	}
	return st, nil
}

// full tells whether an error says that a disk has no room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// sealedValues says whether values of the database can be opened. Without the key file that sealed
// them no secret, credential or webhook works, unless storage-key has sealed new values since.
func (s withListeners) sealedValues(ctx context.Context, seals *sealer.Sealer, encrypted bool) (ready func(context.Context) error) {
	err := seals.Check(ctx)
	switch {
	case err != nil && encrypted:
		s.log.Warn("Values that were sealed before storage-key was set cannot be opened", "error", err)
	case err != nil:
		s.log.Error("Secrets, credentials of connections and secrets of webhooks cannot be opened", "error", err)
	}
	if encrypted {
		return func(context.Context) error { return nil }
	}
	return seals.Check
}

// openBucket begins with whose it is: nothing is made, and no data key, in a storage that
// is another one.
func (s *start) openBucket(ctx context.Context, address string, with *pair) (*storage, error) {
	bucket, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return nil, err
	}
	s.opened.add(bucket.Close)
	with.bucket = bucket
	if err := with.claimInTime(ctx); err != nil {
		return nil, err
	}
	st := &storage{}
	if dir, isDir, err := blob.Directory(address); err != nil {
		return nil, err
	} else if isDir {
		if st.dir, err = filepath.EvalSymlinks(dir); err != nil {
			return nil, err
		}
	}
	artifacts, artifactsErr := bucket.Part(artifactsDir)
	logs, logsErr := bucket.Part(logsDir)
	if err := errors.Join(artifactsErr, logsErr); err != nil {
		return nil, err
	}
	keys, err := s.openKeys(ctx, bucket, artifacts, logs)
	if err != nil {
		return nil, err
	}
	st.artifacts, st.logs, st.keys = artifacts, logs, keys
	if keys != nil {
		st.artifacts, st.logs = artifacts.Sealed(keys), logs.Sealed(keys)
	}
	st.available = &availability{clock: s.clock, try: func(ctx context.Context) error {
		err := errors.Join(with.check(ctx), artifacts.Ready(ctx), logs.Ready(ctx))
		if keys != nil {
			err = errors.Join(err, keys.Check(ctx))
		}
		return err
	}}
	return st, nil
}

// openKeys returns nil where the storage is not encrypted. The parts are those that may
// have encrypted objects.
func (s *start) openKeys(ctx context.Context, bucket *blob.Bucket, parts ...*blob.Store) (*seal.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, storagePatience)
	defer cancel()
	if s.config.StorageKey == "" {
		return nil, refuseSealed(ctx, bucket)
	}
	ring, closeRing, err := openRing(ctx, bucket, s.config.StorageKey)
	if err != nil {
		return nil, err
	}
	s.opened.add(closeRing)
	return ring.Open(ctx, parts...)
}

// refuseSealed returns an error where the storage has data keys and the configuration
// no key: new objects would be readable to all, and the old ones to nobody.
func refuseSealed(ctx context.Context, bucket *blob.Bucket) error {
	objects, err := bucket.Existing(seal.Part)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	sealed, err := seal.Exists(ctx, objects)
	if err != nil {
		return err
	}
	if sealed {
		return errors.New("it is encrypted, since it has data keys in " + seal.Part + "/; set storage-key to the key that they are wrapped with")
	}
	return nil
}

func openRing(ctx context.Context, bucket *blob.Bucket, key string) (*seal.Ring, func() error, error) {
	wrap, err := seal.OpenKey(ctx, key)
	if err != nil {
		return nil, nil, fmt.Errorf("storage-key: %w", err)
	}
	objects, err := bucket.Part(seal.Part)
	if err != nil {
		return nil, nil, errors.Join(err, wrap.Close())
	}
	return seal.NewRing(objects, wrap), wrap.Close, nil
}

// RotateStorageKey adds a data key to an encrypted storage.
func RotateStorageKey(ctx context.Context, cfg config.Config) error {
	return withRing(ctx, cfg, func(ring *seal.Ring, parts ...*blob.Store) error { return ring.Rotate(ctx, parts...) })
}

// RewrapStorageKey wraps the data keys of an encrypted storage by another key.
func RewrapStorageKey(ctx context.Context, cfg config.Config, to string) (err error) {
	wrap, err := seal.OpenKey(ctx, to)
	if err != nil {
		return fmt.Errorf("to: %w", err)
	}
	defer func() { err = errors.Join(err, wrap.Close()) }()
	return withRing(ctx, cfg, func(ring *seal.Ring, parts ...*blob.Store) error { return ring.Rewrap(ctx, wrap, parts...) })
}

// withRing gives the data keys, and the parts that may have encrypted objects.
func withRing(ctx context.Context, cfg config.Config, do func(*seal.Ring, ...*blob.Store) error) (err error) {
	if cfg.StorageKey == "" {
		return errors.New("storage-key: name the key that the data keys are wrapped with")
	}
	address, err := storageURL(cfg)
	if err != nil {
		return err
	}
	bucket, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return fmt.Errorf("storage-url: %w", err)
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	ring, closeRing, err := openRing(ctx, bucket, cfg.StorageKey)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRing()) }()
	artifacts, artifactsErr := bucket.Part(artifactsDir)
	logs, logsErr := bucket.Part(logsDir)
	if err := errors.Join(artifactsErr, logsErr); err != nil {
		return err
	}
	return do(ring, artifacts, logs)
}

// availability tells whether the storage can be used. Callers that ask often get the last
// answer.
type availability struct {
	try     func(context.Context) error
	clock   func() time.Time
	mu      sync.Mutex
	triedAt time.Time
	err     error
}

// Err returns nil while the storage can be used. The answer may be a few seconds old.
func (a *availability) Err(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if age := a.clock().Sub(a.triedAt); !a.triedAt.IsZero() && age >= 0 && age < storageTrust {
		return a.err
	}
	return a.tryNow(ctx)
}

// Check is Err without the memory: it tries the storage now.
func (a *availability) Check(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tryNow(ctx)
}

// tryNow tries the storage for all callers that wait, so not by the context of one of them.
func (a *availability) tryNow(ctx context.Context) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), storagePatience)
	defer cancel()
	a.err = a.try(limited)
	a.triedAt = a.clock()
	return a.err
}
