package store

import "context"

// IdentityReader reads the ids of the database and its storage.
type IdentityReader interface {
	// Identity returns an id that SetIdentity wrote.
	Identity(ctx context.Context, of IdentityKind) (string, error)
}

// IdentityWriter reads and writes the ids of the database and its storage.
type IdentityWriter interface {
	IdentityReader

	// SetIdentity writes an id if the stored one still is the one that was seen, empty for
	// none; else ErrStale.
	SetIdentity(ctx context.Context, of IdentityKind, seen, id string) error
}

// IdentityKind names a part of an installation that has a random id of its own.
type IdentityKind string

const (
	// DatabaseIdentity is the id of the database itself.
	DatabaseIdentity IdentityKind = "database"
	// StorageIdentity is the id of the storage of artifacts and logs that belongs to it.
	StorageIdentity IdentityKind = "storage"
	// KeyFileIdentity is the id of the key file that seals values of the database.
	KeyFileIdentity IdentityKind = "key_file"
)
