package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// identityPart is the part of a storage that says which one it is, unencrypted.
	identityPart = "identity"
	// identityObject is the only object of that part.
	identityObject = "id"
	// identityLimit is more than the object has.
	identityLimit = 4 << 10
	// adoptCommand is how an operator says that a storage is meant.
	adoptCommand = "headraced adopt-storage"
)

// errOtherStorage says that a storage is not the one of the database.
var errOtherStorage = errors.New("this is not the storage of the database")

// identity is what a storage says of itself.
type identity struct {
	Storage string `json:"storage"`
	// Database is the id of the one that gave Storage: until that database knows its
	// storage, it tells one that it began with from another database's.
	Database string `json:"database"`
}

// pair is a database, and the storage that has to belong to it.
type pair struct {
	store  store.Store
	bucket *blob.Bucket
	// database and storage are their places, for people.
	database, storage string
}

// claim makes sure that the two belong together, and makes it so where neither knows
// another. The database decides between several that do so at once.
func (p *pair) claim(ctx context.Context) error {
	known, held, err := p.identities(ctx)
	if err != nil {
		return err
	}
	if known == "" {
		if known, held, err = p.initialize(ctx, held); err != nil {
			return err
		}
	}
	return p.checkMatch(known, held)
}

// claimInTime is claim with the time limit of a start.
func (p *pair) claimInTime(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, storagePatience)
	defer cancel()
	if err := p.claim(limited); err != nil {
		if errors.Is(err, errOtherStorage) {
			return err
		}
		return fmt.Errorf("%s cannot be asked whether it is the storage of the database %s: %w", p.storage, p.database, err)
	}
	return nil
}

// initialize gives the storage an id where it has none, and the database that of a storage
// which it has given one. A process that ends in between leaves the rest to the next.
func (p *pair) initialize(ctx context.Context, held identity) (known string, _ identity, err error) {
	own, err := p.ensureIdentity(ctx, store.DatabaseIdentity, uuid.NewString())
	if err != nil {
		return "", held, err
	}
	if held.Storage == "" {
		part, err := p.bucket.Part(identityPart)
		if err == nil {
			err = part.PutNew(ctx, identityObject, (&identity{Storage: uuid.NewString(), Database: own}).object())
		}
		if err != nil && !errors.Is(err, blob.ErrExists) {
			return "", held, err
		}
		// Also what was just written: where two wrote, one is there.
		if held, err = p.storageIdentity(ctx); err != nil {
			return "", held, err
		}
	}
	if held.Database == own {
		known, err = p.ensureIdentity(ctx, store.StorageIdentity, held.Storage)
	}
	return known, held, err
}

// check is claim for a server that runs: it writes nothing.
func (p *pair) check(ctx context.Context) error {
	known, held, err := p.identities(ctx)
	if err != nil {
		return err
	}
	return p.checkMatch(known, held)
}

// identities returns what the database knows of its storage, and what the storage says of itself.
func (p *pair) identities(ctx context.Context) (known string, held identity, err error) {
	if known, err = p.databaseIdentity(ctx, store.StorageIdentity); err != nil {
		return "", held, err
	}
	held, err = p.storageIdentity(ctx)
	return known, held, err
}

func (p *pair) checkMatch(known string, held identity) error {
	var what string
	switch {
	case held.Storage == "":
		what = fmt.Sprintf("%s has no %s/%s, and the database %s knows its storage by one: what was mounted there is missing, it is another place, or %s/ was not copied with the rest",
			p.storage, identityPart, identityObject, p.database, identityPart)
	case known == "":
		what = fmt.Sprintf("%s is of another database than %s, which has none yet: two of them on one storage remove each other's artifacts",
			p.storage, p.database)
	case held.Storage != known:
		what = fmt.Sprintf("%s has the id %s, and the database %s knows its storage as %s", p.storage, held.Storage, p.database, known)
	default:
		return nil
	}
	return fmt.Errorf("%w: %s; mount the right one or correct storage-url, and only where this one is to be its storage from now on, stop the servers and run %s with the same settings",
		errOtherStorage, what, adoptCommand)
}

// databaseIdentity returns an id that the database has, empty for none.
func (p *pair) databaseIdentity(ctx context.Context, of store.IdentityKind) (id string, err error) {
	err = p.store.View(ctx, func(ctx context.Context, r store.Reader) error {
		id, err = r.Identity(ctx, of)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// ensureIdentity gives the database an id where it has none, and returns the one that it has.
func (p *pair) ensureIdentity(ctx context.Context, of store.IdentityKind, id string) (settled string, err error) {
	for {
		err := p.store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
			if settled, err = tx.Identity(ctx, of); errors.Is(err, store.ErrNotFound) {
				settled, err = id, tx.SetIdentity(ctx, of, "", id)
			}
			return err
		})
		// Another server came first, whose id is there now.
		if !errors.Is(err, store.ErrStale) {
			return settled, err
		}
	}
}

// storageIdentity returns what the storage says of itself, empty where it says nothing.
func (p *pair) storageIdentity(ctx context.Context) (held identity, err error) {
	part, err := p.bucket.Existing(identityPart)
	if errors.Is(err, blob.ErrNotFound) {
		return held, nil
	}
	if err != nil {
		return held, err
	}
	opened, err := part.Open(ctx, identityObject)
	if errors.Is(err, blob.ErrNotFound) {
		return held, nil
	}
	if err != nil {
		return held, err
	}
	text, err := io.ReadAll(io.LimitReader(opened, identityLimit))
	if err := errors.Join(err, opened.Close()); err != nil {
		return held, fmt.Errorf("read %s/%s: %w", identityPart, identityObject, err)
	}
	if err := json.Unmarshal(text, &held); err != nil || held.Storage == "" {
		return held, fmt.Errorf("%w: %s/%s in %s is not what a server wrote there; put it back, or run %s",
			errOtherStorage, identityPart, identityObject, p.storage, adoptCommand)
	}
	return held, nil
}

// object returns what is stored of an identity.
func (i *identity) object() io.Reader {
	// Two texts always encode.
	text, _ := json.Marshal(i)
	return bytes.NewReader(append(text, '\n'))
}

// adopt makes the two belong together, whatever they knew before. Both get a new id, so
// that no other database's servers and no other storage of this one's are taken for right.
func (p *pair) adopt(ctx context.Context) error {
	own, err := p.ensureIdentity(ctx, store.DatabaseIdentity, uuid.NewString())
	if err != nil {
		return err
	}
	known, err := p.databaseIdentity(ctx, store.StorageIdentity)
	if err != nil {
		return err
	}
	part, err := p.bucket.Part(identityPart)
	if err != nil {
		return err
	}
	given := identity{Storage: uuid.NewString(), Database: own}
	if err := part.Put(ctx, identityObject, given.object()); err != nil {
		return err
	}
	err = p.store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.SetIdentity(ctx, store.StorageIdentity, known, given.Storage)
	})
	if errors.Is(err, store.ErrStale) {
		return errors.New("somebody else gave the database a storage just now; look which it has to be, and try again")
	}
	return err
}

// AdoptStorage makes the storage of a configuration the one of its database, and says so.
func AdoptStorage(ctx context.Context, cfg config.Config) (summary string, err error) {
	s := newStart(cfg, Options{Log: hclog.NewNullLogger()})
	defer func() { err = errors.Join(err, s.opened.close()) }()
	var dir *dataDir
	if cfg.DatabaseURL == "" {
		path, err := embeddedDir(cfg.DataDir)
		if err != nil {
			return "", err
		}
		if dir, err = lockDataDir(path); err != nil {
			return "", err
		}
		s.opened.add(dir.unlock)
	}
	if err := s.openData(ctx, dir); err != nil {
		return "", withRepair(err, s.data)
	}
	data := s.data
	address, err := storageURL(cfg)
	if err != nil {
		return "", err
	}
	bucket, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return "", fmt.Errorf("storage-url: %w", err)
	}
	s.opened.add(bucket.Close)
	shown, err := blob.Shown(address)
	if err != nil {
		return "", fmt.Errorf("storage-url: %w", err)
	}
	p := pair{store: data.store, bucket: bucket, database: data.place, storage: shown}
	if p.check(ctx) == nil {
		return fmt.Sprintf("%s is the storage of %s already", shown, data.place), nil
	}
	if err := p.adopt(ctx); err != nil {
		return "", fmt.Errorf("adopt %s: %w", shown, err)
	}
	return fmt.Sprintf("%s is the storage of the database %s from now on, and of no other; servers on another storage, or on this one with another database, are not ready any more",
		shown, data.place), nil
}
